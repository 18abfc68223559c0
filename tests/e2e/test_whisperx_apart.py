"""WhisperX under its own Python, driven by a Longscribe that has none of its packages.

Runs by `make conformance-whisperx`, which makes the environment; elsewhere it is skipped.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from tests.e2e.support import (
    GLOSSARY,
    MODEL,
    RATE,
    SAMPLE,
    longscribe,
    sample_audio,
    write_flac,
)

HOME = os.environ.get("WHISPERX_HOME")

pytestmark = pytest.mark.skipif(HOME is None, reason="run by make conformance-whisperx")


def test_the_sample_is_transcribed_and_resumed(tmp_path: Path) -> None:
    assert importlib.util.find_spec("whisperx") is None, "it would prove nothing"
    command = (
        *("transcribe", SAMPLE, "--recognizer", "whisperx", "--model", MODEL, "--language", "en"),
        *("--align-model", "none", "--glossary", GLOSSARY, "--output-dir", tmp_path),
    )
    env = {"LONGSCRIBE_HOME": str(HOME)}
    done = longscribe(*command, env=env)
    assert done.status == 0, done.err
    assert f"runs under {HOME}" in done.err + done.out
    text = (tmp_path / "sample.txt").read_text()
    for name in ("Annabell", "Brannock", "Harwick"):
        assert name in text, name
    words = [
        word
        for segment in json.loads((tmp_path / "sample.json").read_text())["segments"]
        for word in segment["words"]
    ]
    assert len(words) > 300
    before = (tmp_path / "sample.json").read_bytes()
    assert longscribe(*command, env=env).status == 0
    assert (tmp_path / "sample.json").read_bytes() == before


def test_without_an_alignment_model_the_words_have_times_and_the_user_is_told(
    tmp_path: Path,
) -> None:
    """WhisperX knows none for Swahili."""
    media = write_flac(tmp_path / "short.flac", sample_audio()[: 8 * RATE])
    done = longscribe(
        *("transcribe", media, "--recognizer", "whisperx", "--model", MODEL, "--language", "sw"),
        *("--output-dir", tmp_path),
        env={"LONGSCRIBE_HOME": str(HOME)},
    )
    assert done.status == 0, done.err
    told = " ".join(done.err.split())
    assert told.count("Words are timed by Whisper's attention: no alignment model for 'sw'") == 1
    assert json.loads((tmp_path / "short.json").read_text())["segments"][0]["words"]
