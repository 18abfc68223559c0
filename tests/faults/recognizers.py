"""A recognizer that is quick, always says the same, and goes wrong on cue.

What it says is derived from the samples, so a wrong or shifted window shows in
the text. What goes wrong, where and how often, stands in the plan (`plans.py`).
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import Capabilities, WindowAudio
from longscribe.types import (
    SAMPLE_RATE,
    ChunkResult,
    LanguageGuess,
    Prompt,
    Segment,
    WindowResult,
    Word,
)
from longscribe.worker.messages import Channel, ChunkDecoded
from tests.faults.plans import Fault, Plan, claim, current_plan

if TYPE_CHECKING:
    from longscribe.ports import Pcm

MEBIBYTE = 1024 * 1024
ROOM = 96 * MEBIBYTE
"""Address space that a worker keeps when it is given a limit."""
OOM_LIMIT = 160 * MEBIBYTE
"""Memory of the control group in which a worker is killed for it."""
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "ai", "or"))


# --- the part that works ------------------------------------------------------


def load(settings: RecognizerSettings, model_path: str) -> FakeRecognizer:
    """Fulfils `RecognizerFactory`."""
    strike("load")
    return FakeRecognizer(settings)


class FakeRecognizer:
    """Fulfils `Recognizer`."""

    def __init__(self, settings: RecognizerSettings) -> None:
        self.capabilities = Capabilities(
            prompts=True,
            word_times=True,
            scoring=False,
            batching=True,
            translate=True,
            languages=("en", "de"),
        )
        self.device = "cpu" if settings.device == "auto" else settings.device
        self.compute_type = settings.compute_type
        self._plan = current_plan() or Plan(scratch="")
        self._pace = self._plan.window_seconds

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        strike("language")
        return LanguageGuess(language="en", probability=0.9)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        size = settings.batch_size
        batches = [windows[at : at + size] for at in range(0, len(windows), size)]
        done: list[WindowResult] = []
        for number, batch in enumerate(batches):
            here = Place(batch=batch, beam=settings.beam_size, device=self.device, done=done)
            strike("every", chunk_id, here)
            if number == 0:
                strike("first", chunk_id, here)
            if number == max(1, len(batches) // 2) or len(batches) == 1:
                strike("middle", chunk_id, here)
            time.sleep(self._pace * len(batch))
            self._pace *= self._plan.slower
            done += [_say(member, settings, chunk_id) for member in batch]
            yield tuple(done[-len(batch) :])
        strike("answer", chunk_id, Place(batch=windows, beam=0, device=self.device, done=done))


def _say(member: WindowAudio, settings: DecodeSettings, chunk_id: int) -> WindowResult:
    """Return one word a second, from a digest of the second's samples."""
    span = member.window.span
    words = []
    for start in range(span.start, span.end - SAMPLE_RATE // 2, SAMPLE_RATE):
        end = min(start + SAMPLE_RATE, span.end)
        pcm = member.pcm[start - span.start : end - span.start]
        digest = hashlib.blake2b(pcm.tobytes(), digest_size=3).digest()
        text = " " + "".join(SYLLABLES[byte % len(SYLLABLES)] for byte in digest)
        words.append(Word(start=start, end=end - 1600, text=text, probability=0.5))
    terms = member.bias.terms
    text = ", ".join(terms) or settings.initial_prompt
    segment = Segment(
        start=span.start,
        end=span.end,
        text="".join(word.text for word in words),
        words=tuple(words) if settings.word_times else (),
        chunk_id=chunk_id,
        window=member.window.index,
        bias_window_id=member.bias.bias_window_id,
        bias_terms=terms,
        average_logprob=-0.25,
        no_speech_probability=0.01,
        compression_ratio=1.0,
    )
    return WindowResult(
        chunk_id=chunk_id,
        window=member.window,
        bias_window_id=member.bias.bias_window_id,
        prompt=Prompt(terms=terms, text=text, token_ids=tuple(text.encode())),
        segments=(segment,) if words else (),
    )


# --- on cue -------------------------------------------------------------------


class Place:
    """Where in its work a worker is."""

    def __init__(
        self, *, batch: Sequence[WindowAudio], beam: int, device: str, done: list[WindowResult]
    ) -> None:
        self.batch = batch
        self.beam = beam
        self.device = device
        self.done = done


NOWHERE = Place(batch=(), beam=0, device="", done=[])


def strike(phase: str, chunk: int | None = None, place: Place = NOWHERE) -> None:
    """Let happen what the plan has for this moment."""
    plan = current_plan()
    if plan is None:
        return
    for fault in plan.faults:
        if fault.phase != phase or not _applies(fault, chunk, place):
            continue
        if fault.after and (claim(plan.scratch, f"spared-{fault.name}", fault.after) is not None):
            continue
        told = {"kind": fault.kind, "phase": phase, "chunk": chunk, "windows": len(place.batch)}
        if claim(plan.scratch, fault.name, fault.times, **told) is not None:
            FAULTS[fault.kind](chunk, place)


def _applies(fault: Fault, chunk: int | None, place: Place) -> bool:
    owned = [member.window.owns for member in place.batch]
    return (
        fault.chunk in (None, chunk)
        and len(place.batch) > fault.batch_over - (not place.batch)
        and place.beam >= fault.beam_over + (fault.beam_over > 0)
        and not (fault.off_cpu and place.device == "cpu")
        and (
            fault.window_at is None
            or any(span.start <= fault.window_at < span.end for span in owned)
        )
    )


def _segfault(*_: Any) -> None:
    ctypes.string_at(0)


def _raise(error: BaseException) -> None:
    raise error


def _limited_allocation(*_: Any) -> None:
    """Allocate until there is no more address space."""
    _limit_room()
    hoard = []
    while True:
        hoard.append(bytearray(8 * MEBIBYTE))


def _limit_room() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    now = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, resource.RLIM_INFINITY))


_LEAKED: list[bytearray] = []


def _leak(*_: Any) -> None:
    """Keep a little more at each visit, until there is no more."""
    if not _LEAKED:
        _limit_room()
    _LEAKED.append(bytearray(24 * MEBIBYTE))


def memory_group() -> Path | None:
    """Return a new control group with little memory, or None where there can be none."""
    for root in MEMORY_GROUPS:
        group = root / f"faults-{os.getpid()}"
        limit = "memory.limit_in_bytes" if root.name == "memory" else "memory.max"
        try:
            group.mkdir()
            (group / limit).write_text(str(OOM_LIMIT), encoding="ascii")
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        return group
    return None


def remove_memory_groups() -> None:
    """Remove the control groups of workers that were killed in them."""
    for group in (group for root in MEMORY_GROUPS for group in root.glob("faults-*")):
        if not psutil.pid_exists(int(group.name.rpartition("-")[2])):
            with suppress(OSError):
                group.rmdir()


def _killed_for_memory(*_: Any) -> None:
    """Touch memory until the system's own killer strikes."""
    group = memory_group()
    assert group is not None, "the plan should have left this out here"
    (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    hoard = []
    while True:
        hoard.append(b"x" * (4 * MEBIBYTE))


def _deadlock(library: ctypes.CDLL) -> None:
    """Wait for ever in C: no signal handler brings this call back."""
    mutex = ctypes.create_string_buffer(128)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def _hang(*_: Any) -> None:
    _deadlock(ctypes.CDLL(None))


def _hang_holding_the_gil(*_: Any) -> None:
    _deadlock(ctypes.PyDLL(None))


def _hang_politely_refusing(*_: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang()


def _stop(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _pipe() -> int:
    """Return the descriptor on which the worker answers."""
    pipes = [
        int(fd.name)
        for fd in Path("/proc/self/fd").iterdir()
        if fd.is_symlink() and str(fd.readlink()).startswith("pipe:") and int(fd.name) > 2
    ]
    return next(fd for fd in sorted(pipes) if _is_for_writing(fd))


def _is_for_writing(descriptor: int) -> bool:
    flags = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii").split("flags:")[1]
    return int(flags.split()[0], 8) & os.O_ACCMODE == os.O_WRONLY


def _garbage(*_: Any) -> None:
    os.write(_pipe(), b"Illegal instruction, maybe\n" * 3)
    time.sleep(0.2)


def _half_a_message(*_: Any) -> None:
    os.write(_pipe(), b"LSC1\x00\x00\x10\x00\x00\x00\x00\x00half")
    os._exit(0)


def _print(*_: Any) -> None:
    os.write(1, b"a native library says hello\n" * 200)
    print("so does Python", flush=True)  # noqa: T201
    sys.stderr.write("and the log takes it\n")


def _answer(chunk: int | None, place: Place) -> None:
    """Send an answer out of turn, well formed."""
    result = ChunkResult(chunk_id=chunk or 0, windows=tuple(place.done))
    channel = next(thing for thing in gc.get_objects() if isinstance(thing, Channel))
    channel.send(ChunkDecoded(result=result, seconds=0.0, peak_memory=0))


def _answer_for_another(chunk: int | None, place: Place) -> None:
    other = (chunk or 0) + 1
    place.done[:] = [replace(result, chunk_id=other) for result in place.done]
    _answer(other, place)
    time.sleep(0.2)


def _exit_later(*_: Any) -> None:
    threading.Timer(0.03, os._exit, (0,)).start()


def _bear_children(*_: Any) -> None:
    """Leave processes behind and die."""
    for _ in range(5):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    _segfault()


FAULTS: Mapping[str, Callable[[int | None, Place], None]] = {
    "segfault": _segfault,
    "abort": lambda *_: os.abort(),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "exit 0": lambda *_: os._exit(0),
    "exit 3": lambda *_: os._exit(3),
    "exit 0 later": _exit_later,
    "leave children": _bear_children,
    "raise": lambda *_: _raise(ValueError("the beam went astray")),
    "MemoryError": lambda *_: _raise(MemoryError("no more")),
    "allocate under a limit": _limited_allocation,
    "allocate until killed": _killed_for_memory,
    "leak": _leak,
    "hang": _hang,
    "hang holding the GIL": _hang_holding_the_gil,
    "hang ignoring SIGTERM": _hang_politely_refusing,
    "stop": _stop,
    "garbage on the pipe": _garbage,
    "half a message": _half_a_message,
    "garbage on stdout": _print,
    "answer early": _answer,
    "answer twice": _answer,
    "answer for another": _answer_for_another,
}
"""What a fault does, by its name."""

EXPECTED: Mapping[str, str | None] = {
    "segfault": "crash",
    "abort": "crash",
    "kill": "crash",
    "exit 0": "no_answer",
    "exit 3": "crash",
    "leave children": "crash",
    "raise": "error",
    "MemoryError": "oom",
    "allocate under a limit": "oom",
    "allocate until killed": "oom",
    "hang": "hang",
    "hang holding the GIL": "hang",
    "hang ignoring SIGTERM": "hang",
    "stop": "hang",
    "garbage on the pipe": "garbage",
    "half a message": "garbage",
    "answer early": "garbage",
    "answer for another": "garbage",
}
"""As what the journal must know a fault. The others are harmless, or strike the next chunk."""
