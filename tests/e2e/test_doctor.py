"""`longscribe doctor` on this machine, and on one where something is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import support
from tests.e2e.support import MODEL, ROOT

pytestmark = pytest.mark.needs_model


def checkup(env: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    done = support.longscribe("doctor", "--json", env=env)
    assert "Traceback" not in done.err, done.err
    return done.status, json.loads(done.out)


def engine(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in document["engines"] if one["name"] == name)


def shadow(folder: Path, module: str, code: str) -> dict[str, str]:
    """Return an environment in which importing `module` runs `code`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(code)
    return {
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT / "src"), str(ROOT))),
        "LONGSCRIBE_MODEL": str(MODEL),
    }


def test_a_machine_that_can_start_says_what_it_would_use(tmp_path: Path) -> None:
    """The very thing that is promised is then tried."""
    status, found = checkup({"LONGSCRIBE_MODEL": str(MODEL)})
    assert (status, found["can_start"]) == (0, True)
    assert found["model"]["state"] == "whole"
    chosen = engine(found, found["recognizer"])
    assert chosen["works"]
    assert chosen["versions"]
    assert "cpu" in chosen["devices"]
    assert found["devices"][-1]["name"] == "cpu"
    assert found["variables"]["LONGSCRIBE_MODEL"] == str(MODEL)
    audio = support.write_flac(tmp_path / "a.flac", support.sample_audio()[: 8 * support.RATE])
    done = support.longscribe(
        *("transcribe", audio, "--model", MODEL, "--language", "en", "-o", tmp_path)
    )
    assert done.status == 0, done.err
    events = support.journal(tmp_path / "a.longscribe")
    assert events[0]["recognizer"] == found["recognizer"]


def test_the_table_says_the_same_to_people() -> None:
    done = support.longscribe("doctor", env={"LONGSCRIBE_MODEL": str(MODEL)})
    assert done.status == 0, done.err
    assert "Recognizer " in done.out
    assert "faster-whisper" in done.out
    assert "room for jobs" in done.out


def test_an_engine_that_crashes_when_imported_is_reported_not_suffered(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    status, found = checkup(
        {**shadow(tmp_path, "ctranslate2", code), "LONGSCRIBE_RECOGNIZER": "faster-whisper"}
    )
    assert (status, found["can_start"]) == (1, False)
    broken = engine(found, "faster-whisper")
    assert not broken["works"]
    assert "SIGSEGV" in broken["trouble"]
    [problem] = [one for one in found["problems"] if one["blocking"]]
    assert "SIGSEGV" in problem["found"]
    assert problem["mend"].startswith("pip install")


def test_an_engine_with_a_broken_library_is_reported(tmp_path: Path) -> None:
    code = "raise ImportError('libcudart.so.12: cannot open shared object file')"
    status, found = checkup(
        {**shadow(tmp_path, "ctranslate2", code), "LONGSCRIBE_RECOGNIZER": "faster-whisper"}
    )
    assert status == 1
    assert engine(found, "faster-whisper")["trouble"]
    assert engine(found, "faster-whisper")["mend"]


def test_a_model_that_is_missing_while_offline_blocks(tmp_path: Path) -> None:
    wanted = {"LONGSCRIBE_MODEL": "small", "LONGSCRIBE_RECOGNIZER": "faster-whisper"}
    status, found = checkup({**wanted, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"})
    assert status == 1
    assert found["model"] == {"name": "small", "state": "absent", "missing": [], "offline": True}
    status, found = checkup({**wanted, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "0"})
    assert status == 0
    [problem] = [one for one in found["problems"] if "small" in one["found"]]
    assert problem["mend"] == "longscribe models fetch small --recognizer faster-whisper"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LONGSCRIBE_BATCH_SIZE", "many", "batch"),
        ("LONGSCRIBE_RECOGNIZER", "nonesuch", "Unknown recognizer 'nonesuch'"),
        ("LONGSCRIBE_MODEL", "smal", "Unknown model 'smal'"),
    ],
)
def test_a_variable_that_would_stop_every_run_is_found(
    variable: str, value: str, told: str
) -> None:
    status, found = checkup({variable: value})
    assert status == 1
    assert any(told in one["found"] for one in found["problems"] if one["blocking"])


def test_secrets_are_not_told() -> None:
    secret = "hf_abcdefghijklmnop"
    done = support.longscribe("doctor", "--json", env={"HF_TOKEN": secret})
    assert secret not in done.out
    assert json.loads(done.out)["variables"]["HF_TOKEN"] == "(set)"
