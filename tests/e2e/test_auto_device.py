"""`--device auto` where a worker finds a GPU: it stays there, and the ladder may leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import RATE, journal, longscribe, options, sample_audio, write_flac

pytestmark = pytest.mark.needs_model


def events(tmp_path: Path, **env: str) -> list[dict]:
    media = write_flac(tmp_path / "talk.flac", sample_audio()[: 100 * RATE])
    given = options(
        tmp_path, "--language", "en", "--device", "auto", "--retry-delay", "0",
        recognizer="tests.e2e.on_gpu:load",
    )  # fmt: skip
    outcome = longscribe("transcribe", media, *given, env=env)
    assert outcome.status == 0, outcome.err
    return journal(tmp_path / "talk.longscribe")


def devices(found: list[dict]) -> list[str]:
    return [event["device"] for event in found if event["type"] == "worker_ready"]


def test_no_worker_is_sent_to_the_cpu_without_a_failure(tmp_path: Path) -> None:
    found = events(tmp_path)
    assert devices(found) == ["cuda"]
    assert not [event for event in found if event["type"] == "attempt_failed"]


def test_what_fails_on_the_gpu_ends_on_the_cpu(tmp_path: Path) -> None:
    found = events(tmp_path, GPU_FAULT="yes")
    assert devices(found)[0] == "cuda"
    assert devices(found)[-1] == "cpu"
    rungs = [e["attempt"]["rung"] for e in found if e["type"] == "attempt_started"]
    assert rungs[-1] == "other device"
