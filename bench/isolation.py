"""What does it cost to keep the decoder in a process of its own?

    python bench/isolation.py --minutes 20 --pairs 3

Transcribes the same file with isolation on and off, in alternating pairs so that
whatever else the machine does weighs on both, and prints each wall time, the ratio
of each pair and their median with its spread. Exits 1 if the median is above 1.03,
a run failed, or the two wrote different text.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _common import ROOT, make_long_file
from rich.console import Console
from rich.table import Table

HIGHEST_RATIO = 1.03
"""Wall time with isolation against without."""


class BenchError(Exception):
    """A run did not do what it should."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One run with isolation and one without, right after each other. Seconds."""

    on: float
    off: float

    @property
    def ratio(self) -> float:
        return self.on / self.off


def transcribe(media: Path, folder: Path, isolation: str, given: argparse.Namespace) -> float:
    """Transcribe `media` into `folder`; return the seconds it took.

    Raises:
        BenchError: it did not end with status 0.
    """
    command = [sys.executable, "-m", "longscribe", "transcribe", str(media), "--quiet"]
    command += ["--model", str(given.model), "--device", "cpu", "--compute-type", "int8"]
    command += ["--batch-size", str(given.batch_size), "--beam-size", str(given.beam_size)]
    command += ["--language", "en", "--workers", "1", "--output-dir", str(folder)]
    command += ["--isolation", isolation]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.monotonic() - began
    if done.returncode:
        raise BenchError(f"isolation {isolation}: status {done.returncode}: {done.stderr}")
    return seconds


def measure(media: Path, folder: Path, number: int, given: argparse.Namespace) -> Pair:
    """Run one pair. Which comes first alternates."""
    order = ("on", "off") if number % 2 else ("off", "on")
    seconds = {
        isolation: transcribe(media, folder / isolation, isolation, given) for isolation in order
    }
    one, other = ((folder / each / f"{media.stem}.json").read_bytes() for each in order)
    if one != other:
        raise BenchError(f"the two transcripts in {folder} differ")
    return Pair(**seconds)


def table(pairs: list[Pair], minutes: float) -> Table:
    rows = Table(title=f"Isolation, {minutes:g} minutes of speech", title_justify="left")
    for heading in ("pair", "on", "off", "ratio"):
        rows.add_column(heading, justify="right")
    for number, pair in enumerate(pairs, start=1):
        rows.add_row(str(number), f"{pair.on:.1f} s", f"{pair.off:.1f} s", f"{pair.ratio:.3f}")
    return rows


def bench(given: argparse.Namespace, folder: Path, console: Console) -> int:
    media = folder / f"sample-{given.minutes:g}min.flac"
    make_long_file(media, given.minutes)
    transcribe(media, folder / "warm", "on", given)  # file caches and the clock of the CPU
    pairs = []
    for number in range(given.pairs):
        console.print(f"pair {number + 1} of {given.pairs} …")
        pairs.append(measure(media, folder / str(number), number, given))
    ratios = [pair.ratio for pair in pairs]
    median = statistics.median(ratios)
    console.print(table(pairs, given.minutes))
    console.print(
        f"Isolation takes {median:.3f} times as long, from {min(ratios):.3f} to "
        f"{max(ratios):.3f} in {len(pairs)} pairs (wanted at most {HIGHEST_RATIO})."
    )
    return 1 if median > HIGHEST_RATIO else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--beam-size", type=int, default=5)
    given = parser.parse_args()
    given.model = given.model.resolve()
    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="longscribe-bench-"))
    try:
        return bench(given, folder, console)
    except BenchError as error:
        console.print(f"Not as it should be: {error}", style="bold red", markup=False)
        return 1
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
