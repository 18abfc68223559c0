"""What does it cost to know media by all of its bytes?

    python bench/hashing.py --minutes 10 --megabits 6 --pairs 3

Makes a film (the demo's speech with a picture of noise, of so many megabits a second) and
transcribes it with and without hashing, in alternating pairs, and with a home of its own, so
that no digest is remembered. Prints each wall time and the median ratio; what hashing takes
by itself; and that as a share of the run, which is the most it could cost if nothing of it
were hidden behind the rest. Exits 1 if that share is above 2 %, or a run failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from _common import ROOT, SAMPLE, SAMPLE_RATE, read_samples, repeated
from rich.console import Console

from longscribe.fingerprint import fingerprint_file

MOST = 0.02
"""Of a run's wall time."""
RATE = 25
"""Pictures a second."""

WITHOUT = """
from longscribe import fingerprint
from longscribe.adapters import content

def sampled(path, *more):
    look = fingerprint.FileLook.at(path)
    digest = fingerprint.sampled_fingerprint(path) or fingerprint.fingerprint_file(path)
    return fingerprint.HashedFile(digest=digest, look=look, whole=False)

content.hash_file = sampled
"""
"""What a run without hashing does first."""


def make_film(path: Path, minutes: float, megabits: float) -> None:
    """Write speech with a picture that no codec can make smaller."""
    pixels = megabits * 1e6 / 8 / RATE
    height = max(16, round((pixels * 3 / 4) ** 0.5) // 2 * 2)
    width = max(16, round(pixels / height) // 2 * 2)
    noise = np.random.default_rng(0)
    with av.open(str(path), "w", format="matroska") as film:
        picture = film.add_stream("rawvideo", rate=RATE)
        picture.width, picture.height, picture.pix_fmt = width, height, "gray"
        sound = film.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        sound.codec_context.format = "s16"
        for second, block in enumerate(_seconds(minutes)):
            frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, second * SAMPLE_RATE
            frame.time_base = Fraction(1, SAMPLE_RATE)
            film.mux(sound.encode(frame))
            for number in range(RATE):
                seen = noise.integers(0, 256, (height, width), dtype=np.uint8)
                shown = av.VideoFrame.from_ndarray(seen, format="gray")
                shown.pts, shown.time_base = second * RATE + number, Fraction(1, RATE)
                film.mux(picture.encode(shown))
        film.mux(picture.encode(None))
        film.mux(sound.encode(None))


def _seconds(minutes: float) -> Iterator[np.ndarray]:
    length = round(minutes * 60) * SAMPLE_RATE
    audio = np.concatenate(list(repeated(read_samples(SAMPLE), length, seed=0)))
    for at in range(0, length, SAMPLE_RATE):
        yield np.ascontiguousarray(audio[at : at + SAMPLE_RATE])


def transcribe(media: Path, folder: Path, given: argparse.Namespace, *, hashed: bool) -> float:
    """Transcribe `media` into `folder`; return the seconds it took."""
    arguments = ["transcribe", str(media), "--quiet", "--model", str(given.model)]
    arguments += ["--recognizer", "faster-whisper", "--device", "cpu", "--language", "en"]
    arguments += ["--output-dir", str(folder)]
    code = f"{'' if hashed else WITHOUT}\nfrom longscribe.cli.main import main\nmain()\n"
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LONGSCRIBE_HOME": str(folder / "home")},
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"a run ended with status {done.returncode}: {done.stderr}")
    return seconds


def bench(given: argparse.Namespace, folder: Path, console: Console) -> int:
    film = folder / "film.mkv"
    make_film(film, given.minutes, given.megabits)
    size = film.stat().st_size
    alone = min(_seconds_of_hashing(film) for _ in range(5))  # whatever else the machine does
    console.print(
        f"{given.minutes:g} minutes, {size / 1e6:.0f} MB; hashed by itself in {alone:.2f} s "
        f"({size / 1e9 / alone:.2f} GB/s)."
    )
    ratios, walls = [], []
    for number in range(given.pairs):
        order = (True, False) if number % 2 else (False, True)
        seconds = {
            hashed: transcribe(film, folder / f"{number}-{hashed}", given, hashed=hashed)
            for hashed in order
        }
        ratios.append(seconds[True] / seconds[False])
        walls.append(seconds[True])
        console.print(
            f"pair {number + 1}: {seconds[True]:.1f} s with, {seconds[False]:.1f} s without, "
            f"ratio {ratios[-1]:.3f}"
        )
    share = alone / statistics.median(walls)
    console.print(
        f"A run with hashing takes {statistics.median(ratios):.3f} times as long; if nothing of it "
        f"were hidden, it would be {share:.2%} of the run (wanted at most {MOST:.0%})."
    )
    return 1 if share > MOST else 0


def _seconds_of_hashing(film: Path) -> float:
    began = time.monotonic()
    fingerprint_file(film)
    return time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--megabits", type=float, default=6, help="of picture, a second")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    given = parser.parse_args()
    given.model = given.model.resolve()
    folder = Path(tempfile.mkdtemp(prefix="longscribe-bench-"))
    try:
        return bench(given, folder, Console(highlight=False))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
