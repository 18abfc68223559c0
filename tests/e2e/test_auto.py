"""`--recognizer auto`: what it takes is said, stays, and is what `resume` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import longscribe
from longscribe import Options, api, wiring
from longscribe.adapters.recognizers import catalog
from longscribe.errors import RecognizerError
from longscribe.reading import begun_recognizer
from tests.e2e import support
from tests.e2e.support import MODEL

pytestmark = pytest.mark.needs_model


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was run with no word about the recognizer."""
    folder = tmp_path_factory.mktemp("auto")
    audio = support.write_flac(folder / "a.flac", support.sample_audio()[: 8 * support.RATE])
    done = support.longscribe(
        *("transcribe", audio, *support.options(folder, "--language", "en", recognizer=""))
    )
    assert done.status == 0, done.err
    (folder / "said.txt").write_text(done.err)
    return folder / "a.longscribe"


def test_what_was_chosen_is_said_and_stands_in_the_journal(job: Path) -> None:
    events = support.journal(job)
    start = events[0]
    assert start["recognizer"] in catalog.CATALOG
    assert f'"recognizer": "{start["recognizer"]}"' in start["settings"], "resume takes it too"
    [notice] = [event["message"] for event in events if event["type"] == "notice"]
    assert notice.startswith(f"Recognizer {start['recognizer']}, ")
    assert notice in (job.parent / "said.txt").read_text()


def test_neither_the_same_command_nor_resume_redoes_anything(job: Path) -> None:
    done = support.longscribe(
        *("transcribe", job.parent / "a.flac"),
        *support.options(job.parent, "--language", "en", recognizer=""),
    )
    assert done.status == 0, done.err
    assert "with which this job was begun" in done.err
    longscribe.resume(job)
    [first, *others] = support.runs(support.journal(job))
    assert support.attempted_chunks(first)
    assert len(others) == 2
    assert not any(support.attempted_chunks(run) for run in others)
    assert {run[0]["recognizer"] for run in (first, *others)} == {first[0]["recognizer"]}


def test_one_that_is_installed_later_does_not_take_a_job_over(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = support.journal(job)[0]["recognizer"]
    if begun != "faster-whisper":
        pytest.skip(f"{begun} is the first choice here")
    monkeypatch.setattr(wiring, "device_kinds", lambda: ("mps", "cpu"))
    (tmp_path / "mlx_whisper").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    options = Options.build(output_dir=job.parent, model="small")
    chosen, _ = api._with_recognizer(tmp_path / "new.flac", options)
    assert chosen.recognizer == begun, "a folder of that name is no package"
    code = tmp_path / "mlx_whisper" / "__init__.py"
    code.write_text("raise AssertionError('it was imported')")
    catalog.importlib.invalidate_caches()
    chosen, [reason] = api._with_recognizer(tmp_path / "new.flac", options)
    assert chosen.recognizer == "mlx"
    assert "mlx" in reason
    chosen, _ = api._with_recognizer(job.parent / "a.flac", options)
    assert chosen.recognizer == begun
    on_gpu = Options.build(output_dir=job.parent, model="small", device="mps")
    chosen, _ = api._with_recognizer(job.parent / "a.flac", on_gpu)
    assert chosen.recognizer == "mlx", "another device is another job's worth of work anyway"
    local = Options.build(output_dir=tmp_path, model=str(MODEL))
    chosen, _ = api._with_recognizer(tmp_path / "new.flac", local)
    assert chosen.recognizer == begun, "mlx can't read this model"


def test_a_job_says_with_what_it_was_begun(job: Path, tmp_path: Path) -> None:
    assert begun_recognizer(job, "auto") == support.journal(job)[0]["recognizer"]
    assert begun_recognizer(job, "cuda") is None
    assert begun_recognizer(tmp_path / "none", "auto") is None
    (tmp_path / "bad.longscribe").mkdir()
    (tmp_path / "bad.longscribe" / "job.db").write_bytes(b"")
    assert begun_recognizer(tmp_path / "bad.longscribe", "auto") is None
    (tmp_path / "bad.longscribe" / "job.db").write_bytes(b"no database at all")
    assert begun_recognizer(tmp_path / "bad.longscribe", "auto") is None


def test_where_nothing_is_installed_the_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path))
    with pytest.raises(RecognizerError, match="No recognizer is installed") as caught:
        longscribe.transcribe(support.SAMPLE, Options.build(output_dir=tmp_path))
    assert "pip install 'longscribe[" in caught.value.remedy
    assert not list(tmp_path.iterdir()), "nothing was begun"
