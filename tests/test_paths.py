"""Paths stand where they come in."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from longscribe.adapters.environments import places
from longscribe.adapters.recognizers.hub_cache import hub_cache
from longscribe.config import Options
from longscribe.errors import UsageError
from longscribe.paths import absolute, expanded, given_path, home
from longscribe.wiring import placed


def test_a_path_may_be_given_as_people_do(tmp_path: Path) -> None:
    assert given_path("a.mp3") == given_path(Path("a.mp3")) == Path("a.mp3")
    entry = next(os.scandir(tmp_path.parent))
    assert given_path(entry) == Path(entry.path)


@pytest.mark.parametrize("value", [b"a.mp3", 3, None, ["a.mp3"], object()])
def test_what_is_no_path_is_said_by_its_type(value: object) -> None:
    with pytest.raises(UsageError, match=type(value).__name__):
        given_path(value)


@pytest.fixture
def gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()


def test_the_current_folder_is_gone(gone: None, tmp_path: Path) -> None:
    assert absolute(tmp_path / "x") == tmp_path / "x"
    with pytest.raises(UsageError, match=r"x\.mp3 is"):
        absolute(Path("x.mp3"))
    with pytest.raises(UsageError, match="where outputs go"):
        placed(Options(model="tiny"))
    assert placed(Options(model="tiny", output_dir=tmp_path)).output_dir == tmp_path
    with pytest.raises(UsageError, match=r"names\.txt"):
        placed(Options(model="tiny", output_dir=tmp_path, glossary=Path("names.txt")))


def test_without_a_home_what_lies_there_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "HF_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: (_ for _ in ()).throw(KeyError("none")))
    assert not home().exists()
    assert not expanded("~/x").exists()
    assert not hub_cache().exists()
    assert not places.settings_file({}).exists()
    assert not places.environments({}).exists()
