"""Media and runs that many end-to-end tests look at: made once, whatever the number of processes."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from tests.e2e.support import (
    GLOSSARY,
    MARK,
    RATE,
    Outcome,
    exclusively,
    longscribe,
    options,
    own_processes,
    sample_audio,
    wait_until,
    write_flac,
)

TINY_SECONDS = 18.2
"""One window."""
SHORT_SECONDS = 102.0
"""Ends in a pause of the sample; two chunks of 60 s."""
LONG_SECONDS = 166.5
"""Three chunks."""


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """Every process a test has started is gone when it ends."""
    mark = os.environ[MARK] = uuid.uuid4().hex
    yield
    del os.environ[MARK]
    wait_until(lambda: not own_processes(mark))


@pytest.fixture(autouse=True, scope="session")
def one_worker() -> Iterator[None]:
    """Chunks come in their order, whatever the machine's cores, unless a test asks for more.

    For the whole session: runs that several tests look at are made before any test's own fixture.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGSCRIBE_WORKERS", "1")
        yield


@pytest.fixture(scope="session")
def shared(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a function that makes a folder once, for all processes of pytest-xdist together."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder = base / f"shared-{name}"
        with exclusively(base / f"shared-{name}.lock"):
            if not (folder / ".made").exists():
                folder.mkdir(exist_ok=True)
                make(folder)
                (folder / ".made").touch()
        return folder

    return once


@pytest.fixture(scope="session")
def media(shared) -> Path:
    """A folder with `tiny.flac` (18.2 s), `short.flac` (102 s) and `long.flac` (166.5 s), cut from the sample."""

    def make(folder: Path) -> None:
        audio = sample_audio()
        write_flac(folder / "tiny.flac", audio[: round(TINY_SECONDS * RATE)])
        write_flac(folder / "short.flac", audio[: round(SHORT_SECONDS * RATE)])
        write_flac(folder / "long.flac", audio[: round(LONG_SECONDS * RATE)])

    return shared("media", make)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that went through, and where it left its files."""

    out: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def run_once(shared) -> Callable[..., Finished]:
    """Return a function that runs the command once for all tests that look at its files."""

    def run(name: str, *arguments: str | Path) -> Finished:
        def make(folder: Path) -> None:
            outcome = longscribe("transcribe", *arguments, *options(folder))
            (folder / "outcome.json").write_text(json.dumps(asdict(outcome)))

        out = shared(name, make)
        return Finished(out=out, outcome=Outcome(**json.loads((out / "outcome.json").read_text())))

    return run


@pytest.fixture(scope="session")
def with_glossary(run_once, media) -> Finished:
    return run_once("with", media / "short.flac", "--glossary", GLOSSARY)


@pytest.fixture(scope="session")
def without_glossary(run_once, media) -> Finished:
    return run_once("without", media / "short.flac")


@pytest.fixture(scope="session")
def unbroken(run_once, media) -> Finished:
    """The long excerpt, with the glossary, never disturbed."""
    return run_once("unbroken", media / "long.flac", "--glossary", GLOSSARY)
