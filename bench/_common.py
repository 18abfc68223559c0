"""What the benchmarks share: long media to read, and the memory of a process tree."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "demo" / "sample.flac"
SAMPLE_RATE = 16_000
MEBIBYTE = 1024 * 1024


# --- media -------------------------------------------------------------------


def read_samples(path: Path) -> np.ndarray:
    """Return the audio of `path` as 16 kHz mono s16. For short files: all of it is held."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    blocks = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            blocks += resampler.resample(frame)
        blocks += resampler.resample(None)
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def repeated(sample: np.ndarray, length: int, seed: int) -> Iterator[np.ndarray]:
    """Yield `sample` over and over, with a pause of 1 to 9 s before each, `length` samples in all.

    The pauses come from `seed`, so no repeat lies at the same place in its
    window as another. The last repeat is cut short.
    """
    rng = random.Random(seed)
    left = length
    while left > 0:
        pause = np.zeros(rng.randint(1 * SAMPLE_RATE, 9 * SAMPLE_RATE), dtype=np.int16)
        for part in (pause[:left], sample[: max(0, left - len(pause))]):
            yield part
            left -= len(part)


def write_flac(path: Path, parts: Iterator[np.ndarray]) -> None:
    """Write 16 kHz mono s16 audio as FLAC, a second at a time."""
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        for part in parts:
            for start in range(0, len(part), SAMPLE_RATE):
                block = np.ascontiguousarray(part[None, start : start + SAMPLE_RATE])
                frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
                frame.sample_rate = SAMPLE_RATE
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_long_file(path: Path, minutes: float, seed: int = 0) -> None:
    """Write the demo's sample, repeated to `minutes`, to `path`."""
    length = round(minutes * 60 * SAMPLE_RATE)
    write_flac(path, repeated(read_samples(SAMPLE), length, seed))


# --- memory ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What a process tree holds, in bytes."""

    total: int
    """Linux: the sum of PSS, in which a page that several processes share counts once
    altogether. Elsewhere: the sum of USS, in which shared pages do not count."""
    own: int
    """The part that no file backs and the system cannot take back. Linux: anonymous
    and shared memory, of the PSS. Elsewhere: the same as `total`."""
    highest: dict[int, int]
    """By process id, the largest resident set it has had so far. On Linux the kernel keeps
    it, so that no spike between two readings is missed; pages that processes share count
    in each of them."""


def memory_kind() -> str:
    """Return what `Memory.total` is on this system."""
    return "PSS" if sys.platform == "linux" else "USS"


def tree_memory(root: psutil.Process) -> Memory:
    """Return what `root` and all its descendants hold now."""
    found = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in (root, *root.children(recursive=True)):
            # A process may end between being listed and being read.
            with contextlib.suppress(psutil.Error, OSError):
                found.append(_memory(process))
    return Memory(
        total=sum(memory.total for memory in found),
        own=sum(memory.own for memory in found),
        highest={pid: most for memory in found for pid, most in memory.highest.items()},
    )


def _memory(process: psutil.Process) -> Memory:
    """Return what one process holds now."""
    if sys.platform != "linux":
        memory = process.memory_full_info()
        return Memory(total=memory.uss, own=memory.uss, highest={process.pid: memory.rss})
    share = _kilobytes(process.pid, "smaps_rollup", ("Pss", "Pss_Anon", "Pss_Shmem"))
    (most,) = _kilobytes(process.pid, "status", ("VmHWM",))
    own = share[1] + share[2]
    return Memory(total=share[0] * 1024, own=own * 1024, highest={process.pid: most * 1024})


def _kilobytes(pid: int, file: str, names: Sequence[str]) -> list[int]:
    """Return fields of a file in /proc; 0 for one that is not there (the process is ending)."""
    text = Path(f"/proc/{pid}/{file}").read_text("ascii", errors="replace")
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return [int(fields.get(name, "0").split()[0]) for name in names]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a command went."""

    status: int
    seconds: float
    peak: Memory
    """The highest of each figure, each for itself."""
    samples: int
    """How often the memory was read."""
    cpu_seconds: float = 0.0
    """Of the command and of all descendants that were waited for."""


def run_sampled(
    command: Sequence[str],
    *,
    log: Path,
    interval: float,
    watch: Callable[[float], None] = lambda _: None,
    env: Mapping[str, str] | None = None,
) -> Run:
    """Run `command` while its memory is read, and return how it went.

    Args:
        command: what to run; what it prints goes to `log`.
        log: a file, replaced.
        interval: seconds between two readings of the memory.
        watch: called about fifty times a second with the seconds since the start.
        env: its environment; ours if None.
    """
    cpu_before = _cpu_of_children()
    peak = Memory(total=0, own=0, highest={})
    readings = 0
    with log.open("wb") as output:
        began = time.monotonic()
        child = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=env
        )
        root = psutil.Process(child.pid)
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(watch, began, ended))
        watcher.start()
        try:
            while child.poll() is None:
                now = tree_memory(root)
                peak = _higher(peak, now)
                readings += 1
                time.sleep(interval)
        finally:
            _stop(child)
            ended.set()
            watcher.join()
        seconds = time.monotonic() - began
    return Run(
        status=child.returncode,
        seconds=seconds,
        peak=peak,
        samples=readings,
        cpu_seconds=_cpu_of_children() - cpu_before,
    )


def _cpu_of_children() -> float:
    """Return the CPU seconds of all processes that were waited for, and of their own."""
    used = os.times()
    return used.children_user + used.children_system


def _watch(watch: Callable[[float], None], began: float, ended: threading.Event) -> None:
    """Call `watch` until the run has ended, and once more then."""
    while not ended.wait(0.02):
        watch(time.monotonic() - began)
    watch(time.monotonic() - began)


def _higher(one: Memory, other: Memory) -> Memory:
    return Memory(
        total=max(one.total, other.total),
        own=max(one.own, other.own),
        highest={
            pid: max(one.highest.get(pid, 0), other.highest.get(pid, 0))
            for pid in one.highest | other.highest
        },
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End `child` and what it started, if it still runs (the benchmark was interrupted)."""
    if child.poll() is None:
        family = psutil.Process(child.pid)
        for process in (*family.children(recursive=True), family):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
    child.wait()
