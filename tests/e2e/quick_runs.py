"""Runs in this process whose decoding is the fault suite's: real but for the words, and quick."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from longscribe import Options, wiring
from longscribe.cli.batch import transcribe_all
from longscribe.errors import LongscribeError
from tests.faults.media import make_speech

TALK = {
    "recognizer": "tests.faults.recognizers:load",
    "model": "none",
    "language": "en",
    "isolation": "off",
    "device": "cpu",
    "beam_size": 1,
    "chunking": "on",
    "chunk_duration": 60,
}


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended."""

    status: int
    said: str


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a user, empty."""
    monkeypatch.setattr(wiring, "MEDIA_READER", "tests.faults.media:open_media")
    monkeypatch.setattr(wiring, "SPEECH_DETECTOR", "tests.faults.media:WaveDetector")
    monkeypatch.setattr(os, "fsync", os.fsync)  # the reader puts its own there
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The command, with the options that all runs here share."""

    def transcribe(*media: str, **more: object) -> Done:
        capsys.readouterr()
        try:
            options = Options.build(**{**TALK, **more})
            status = transcribe_all([Path(m) for m in media], options, verbose=False, quiet=False)
        except LongscribeError as error:
            return Done(status=error.exit_status, said=str(error))
        return Done(status=status, said=capsys.readouterr().err)

    return transcribe


def speech(name: str, seed: int = 1, seconds: float = 20) -> Path:
    return make_speech(Path(name), seconds, seed)


def contents() -> dict[str, bytes]:
    """Return the content of every file here, but for those in job folders."""
    return {path.name: path.read_bytes() for path in Path().iterdir() if path.is_file()}
