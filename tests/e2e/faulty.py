"""A recognizer that fails on demand: the real one, wrapped.

`FAULT` names what happens when a chunk is decoded, as `kind:chunk` (several are
parted by spaces):

    crash:1     the process dies of SIGSEGV
    kill:1      it dies of SIGKILL
    exit:1      it ends with status 7
    raise:1     an exception
    memory:1    MemoryError
    print:1     the recognizer writes to its standard output, and decodes
    wait:1      it touches `FAULT_DIR/waiting-1` and goes on when `FAULT_DIR/go` is there
    once-…:1    as above, but only the first time (`FAULT_DIR` remembers)
    load:0      dies while the model is loaded
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longscribe.adapters.recognizers import faster_whisper
from longscribe.config import DecodeSettings, RecognizerSettings
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import LanguageGuess, WindowResult

if TYPE_CHECKING:
    from longscribe.ports import Pcm


def load(settings: RecognizerSettings, model_path: str) -> FaultyRecognizer:
    if "load:0" in os.environ.get("FAULT", ""):
        os.kill(os.getpid(), signal.SIGSEGV)
    return FaultyRecognizer(faster_whisper.load(settings, model_path))


class FaultyRecognizer:
    """Fulfils `Recognizer`, as long as it lives."""

    def __init__(self, real: Recognizer) -> None:
        self._real = real
        self.capabilities = real.capabilities
        self.device = real.device
        self.compute_type = real.compute_type

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:
        _fail("language")
        return self._real.detect_language(windows)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        _fail(str(chunk_id))
        yield from self._real.decode(windows, settings, chunk_id)

    def score(
        self, window: WindowAudio, texts: Sequence[str], settings: DecodeSettings
    ) -> tuple[float, ...]:
        return self._real.score(window, texts, settings)


def _raise(error: Exception) -> None:
    raise error


def _print() -> None:
    os.write(1, b"a native library says hello\n" * 100)
    print("so does Python", flush=True)  # noqa: T201


FAULTS = {
    "crash": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(7),
    "raise": lambda: _raise(ValueError("the beam went astray [in brackets]")),
    "memory": lambda: _raise(MemoryError("no more")),
    "print": _print,
}


def _fail(place: str) -> None:
    for fault in os.environ.get("FAULT", "").split():
        kind, _, where = fault.partition(":")
        if where == place:
            _happen(kind, place)


def _happen(kind: str, place: str) -> None:
    if kind.startswith("once-"):
        done = _folder() / f"{kind}-{place}"
        if done.exists():
            return
        done.touch()
        kind = kind.removeprefix("once-")
    if kind == "wait":
        (_folder() / f"waiting-{place}").touch()
        while not (_folder() / "go").exists():
            time.sleep(0.01)
    else:
        FAULTS[kind]()


def _folder() -> Path:
    return Path(os.environ["FAULT_DIR"])
