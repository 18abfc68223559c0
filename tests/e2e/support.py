"""Running the command as a user does, and looking at what it left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import numpy.typing as npt
import psutil

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "demo" / "model"
SAMPLE = ROOT / "demo" / "sample.flac"
GLOSSARY = ROOT / "demo" / "glossary.txt"
FORMATS = ("srt", "vtt", "json", "txt", "tsv")
RATE = 16_000
PATIENCE = 120.0
"""Seconds after which a test gives up on a condition. Far more than it takes."""
MARK = "LONGSCRIBES_TEST_RUN"
"""Environment variable by which a test knows its own processes again."""
FAULTY = "tests.e2e.faulty:load"

Samples = npt.NDArray[np.int16]


# --- media -------------------------------------------------------------------


def sample_audio() -> Samples:
    """Return the demo's sample, decoded."""
    with av.open(str(SAMPLE)) as container:
        return np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])


def write_flac(path: Path, audio: Samples, rate: int = RATE, layout: str = "mono") -> Path:
    """Write 16-bit samples, shape (n,) or (n, channels)."""
    return _encode(path, audio, "flac", rate=rate, layout=layout)


def write_wav(path: Path, audio: Samples, rate: int = RATE, layout: str = "mono") -> Path:
    return _encode(path, audio, "pcm_s16le", rate=rate, layout=layout)


def _encode(path: Path, audio: Samples, codec: str, *, rate: int, layout: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.codec_context.layout = layout
        stream.codec_context.format = "s16"
        for at in range(0, len(audio), rate):
            piece = np.ascontiguousarray(audio[at : at + rate]).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def reference(seconds: float) -> str:
    """Return what is said in the first `seconds` of the sample."""
    turns = json.loads((ROOT / "demo" / "sample.json").read_text(encoding="utf-8"))
    return " ".join(turn["text"] for turn in turns if turn["end"] <= seconds)


# --- the command -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    def error_line(self) -> str:
        """Return the one line that says what went wrong; there must be no other."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err, self.err
        return lines[0]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "80",
        **(extra or {}),
    }


def longscribe(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    before: Callable[[], object] | None = None,
) -> Outcome:
    """Run the command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "longscribe", *map(str, arguments)],
        env=environment(env),
        cwd=cwd,
        preexec_fn=before,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


def python(code: str, *arguments: str | Path, cwd: Path | None = None) -> Outcome:
    """Run a program that uses the library, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment(),
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


def options(
    out: Path, *more: str | Path, model: Path = MODEL, recognizer: str = "faster-whisper"
) -> list[str]:
    """Return the options most runs here share: small chunks, a quick search."""
    engine = ["--recognizer", recognizer] if recognizer else []
    common = ["--model", model, "-o", out, *engine, "--chunking", "on", "--chunk-duration", 60]
    return [str(part) for part in (*common, "--beam-size", 1, *more)]


class Running:
    """The command, started and not waited for; gone for certain when the block ends."""

    def __init__(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "longscribe", *map(str, arguments)],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests that a shell runs in the background hand on that SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        """SIGKILL its process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def interrupt(self) -> Outcome:
        """Press Ctrl-C, as a terminal does: the whole foreground group gets it."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.finish()

    def finish(self) -> Outcome:
        out, err = self.process.communicate(timeout=PATIENCE)
        return Outcome(status=self.process.returncode, out=out, err=err)

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Return once `happened()`; fail if the command ends before."""

        def ended_or_happened() -> object:
            ended = self.process.poll() is not None
            return happened() or ended

        wait_until(ended_or_happened)
        if not happened():
            raise AssertionError(f"the command ended first: {self.finish()}")


def wait_until(happened: Callable[[], object]) -> None:
    """Poll until `happened()` is true."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"waited {PATIENCE:g} s in vain"
        time.sleep(0.01)


# --- what it left ------------------------------------------------------------


def outputs(out: Path, stem: str) -> dict[str, bytes]:
    """Return the content of the output files, by extension."""
    return {
        ext: (out / f"{stem}.{ext}").read_bytes()
        for ext in FORMATS
        if (out / f"{stem}.{ext}").exists()
    }


def document(out: Path, stem: str) -> Any:
    return json.loads((out / f"{stem}.json").read_text(encoding="utf-8"))


def journal(job: Path) -> list[dict[str, Any]]:
    """Return the events in the job's journal; none where there is no journal yet."""
    try:
        with sqlite3.connect(f"{(job / 'job.db').as_uri()}?mode=ro", uri=True, timeout=10) as db:
            rows = db.execute("SELECT body FROM event ORDER BY seq").fetchall()
    except sqlite3.OperationalError:
        return []
    db.close()
    return [json.loads(body) for (body,) in rows]


def kinds(events: Sequence[Mapping[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def runs(events: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Part the events of a journal by run."""
    parted: list[list[dict[str, Any]]] = []
    for event in events:
        if event["type"] == "run_started":
            parted.append([])
        parted[-1].append(event)
    return parted


def finished_chunks(events: Sequence[Mapping[str, Any]]) -> list[int]:
    return [event["chunk_id"] for event in events if event["type"] == "chunk_finished"]


def attempted_chunks(events: Sequence[Mapping[str, Any]]) -> list[int]:
    return [e["attempt"]["chunk_id"] for e in events if e["type"] == "attempt_started"]


# --- processes ---------------------------------------------------------------


def own_processes(mark: str) -> list[psutil.Process]:
    """Return the living processes that carry our mark, this one apart."""
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.pid != os.getpid() and process.environ().get(MARK) == mark
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return found


# --- sharing between the processes of pytest-xdist ---------------------------


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel frees whatever happens."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
