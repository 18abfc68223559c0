"""Several workers at once: the outputs are those of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.conftest import Finished
from tests.e2e.support import GLOSSARY, finished_chunks, journal, longscribe, options, outputs

pytestmark = pytest.mark.needs_model


def test_the_number_of_workers_changes_no_byte(
    unbroken: Finished, media: Path, tmp_path: Path
) -> None:
    given = options(tmp_path, "--glossary", GLOSSARY, "--workers", "3")
    outcome = longscribe("transcribe", media / "long.flac", *given)
    assert outcome.status == 0, outcome.err
    told = journal(tmp_path / "long.longscribe")
    assert sorted(finished_chunks(told)) == [0, 1, 2]
    assert len({e["worker"] for e in told if e["type"] == "worker_ready"}) > 1
    assert outputs(tmp_path, "long") == outputs(unbroken.out, "long")


def test_a_file_of_one_chunk_has_one_worker(media: Path, tmp_path: Path) -> None:
    given = [*options(tmp_path, "--workers", "3")]
    given[given.index("--chunking") + 1] = "auto"
    outcome = longscribe("transcribe", media / "short.flac", *given)
    assert outcome.status == 0, outcome.err
    told = journal(tmp_path / "short.longscribe")
    assert [e["worker"] for e in told if e["type"] == "worker_ready"] == [0]
