"""Synthesise speech shards until the time is up: `python -m tools.demo_model.synthesize OUT`.

A shard is a pair of files: `NAME.npy`, the takes of one worker end to end (16 kHz mono int16), and
`NAME.json`, one record for each take: [offset, length, template, names, respelt names, voice]. The
JSON is renamed into place last, so whoever sees it can read both. What a shard holds depends on its
seed, worker and number alone; how many shards there are depends on the time given.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .corpus import Corpus, compose_line, load_corpus
from .voices import SAMPLE_RATE, Samples, decode_wav, speak

BATCH = 30  # lines given to one synthesizer process at a time
SHORTEST, LONGEST = int(0.3 * SAMPLE_RATE), 14 * SAMPLE_RATE


@dataclass(frozen=True, kw_only=True)
class SynthesisPlan:
    """How much to say, and with how many processes."""

    out: Path
    workers: int
    seconds: float
    seed: int
    takes_per_shard: int = 120
    coded_share: float = 0.22


def through_opus(samples: Samples, kbps: int, folder: Path) -> Samples:
    """The samples after Opus at a low rate."""
    _write_wav(folder / "plain.wav", samples)
    opus, coded = folder / "coded.opus", folder / "coded.wav"
    _quiet(
        [
            "opusenc",
            "--quiet",
            "--speech",
            "--bitrate",
            str(kbps),
            str(folder / "plain.wav"),
            str(opus),
        ]
    )
    _quiet(["opusdec", "--quiet", "--rate", str(SAMPLE_RATE), str(opus), str(coded)])
    return _read_wav(coded, len(samples))


def through_mp3(samples: Samples, kbps: int, folder: Path) -> Samples:
    """The samples after MP3 at a low rate; at 16 kbit/s LAME halves the bandwidth as well."""
    _write_wav(folder / "plain.wav", samples)
    mp3, coded = folder / "coded.mp3", folder / "coded.wav"
    rate = "8" if kbps <= 16 else "16"
    _quiet(
        [
            "lame",
            "--quiet",
            "-b",
            str(kbps),
            "--resample",
            rate,
            str(folder / "plain.wav"),
            str(mp3),
        ]
    )
    _quiet(["lame", "--quiet", "--decode", str(mp3), str(coded)])
    return _read_wav(coded, len(samples))


def _quiet(command: list[str]) -> None:
    subprocess.run(
        command, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _write_wav(path: Path, samples: Samples) -> None:
    size = 2 * len(samples)
    header = (
        b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (1).to_bytes(2, "little") * 2 + SAMPLE_RATE.to_bytes(4, "little")
        + (2 * SAMPLE_RATE).to_bytes(4, "little") + (2).to_bytes(2, "little")
        + (16).to_bytes(2, "little") + b"data" + size.to_bytes(4, "little")
    )  # fmt: skip
    path.write_bytes(header + samples.tobytes())


def _read_wav(path: Path, length: int) -> Samples:
    samples = np.clip(decode_wav(path.read_bytes()), -32_768, 32_767).astype(np.int16)[:length]
    return np.pad(samples, (0, length - len(samples)))


def through_codec(samples: Samples, rng: random.Random, folder: Path) -> Samples:
    """The samples after a random low-rate codec, sample for sample where they were."""
    if rng.random() < 0.6:
        return through_opus(samples, rng.choice((8, 10, 12, 16, 24)), folder)
    return through_mp3(samples, rng.choice((16, 24, 32, 40)), folder)


def make_shard(
    plan: SynthesisPlan, corpus: Corpus, rng: random.Random, folder: Path, takes: int
) -> tuple[Samples, list[list[object]]]:
    """The samples and records of one shard."""
    pieces: list[Samples] = []
    records: list[list[object]] = []
    offset = 0
    while len(pieces) < takes:
        lines = [compose_line(corpus, rng) for _ in range(BATCH)]
        for line, take in zip(
            lines, speak([line.spoken for line in lines], rng, folder), strict=True
        ):
            if take is None or not SHORTEST < len(take.samples) < LONGEST:
                continue
            length = len(take.samples)
            records.append([offset, length, line.template, line.names, line.respelt, take.voice])
            pieces.append(take.samples)
            offset += length
    samples = np.concatenate(pieces)
    if rng.random() < plan.coded_share:
        samples = through_codec(samples, rng, folder)
    return samples, records


def work(plan: SynthesisPlan, worker: int) -> None:
    """One worker: shard after shard until the time is up. Its first shard is small, so that
    training can start early."""
    corpus = load_corpus("training")
    deadline = time.monotonic() + plan.seconds
    number = 0
    scratch = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        while time.monotonic() < deadline:
            rng = random.Random(f"{plan.seed}/{worker}/{number}")
            takes = BATCH if number == 0 else plan.takes_per_shard
            samples, records = make_shard(plan, corpus, rng, Path(folder), takes)
            base = plan.out / f"shard-{plan.seed}-{worker:02d}-{number:04d}"
            np.save(base.with_suffix(".npy"), samples)
            base.with_suffix(".part").write_text(json.dumps(records))
            base.with_suffix(".part").rename(base.with_suffix(".json"))
            number += 1


def main() -> None:
    """Start the workers and wait for them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    plan = SynthesisPlan(**vars(parser.parse_args()))
    plan.out.mkdir(parents=True, exist_ok=True)
    workers = [
        multiprocessing.Process(target=work, args=(plan, number)) for number in range(plan.workers)
    ]
    for process in workers:
        process.start()
    for process in workers:
        process.join()


if __name__ == "__main__":
    main()
