"""Finding a model: in a folder, under a name, and saying what to do when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import pytest

from longscribe.adapters.recognizers import models
from longscribe.adapters.recognizers.models import REQUIRED, find_ct2_model, take_as_given
from longscribe.errors import ModelError, UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What looks like a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (*REQUIRED, "vocabulary.json", "preprocessor_config.json"):
        (folder / name).write_text(name)
    return folder


def test_a_folder_is_taken_as_it_is(folder: Path) -> None:
    assert find_ct2_model(str(folder)).path == folder


def test_a_relative_folder_and_one_at_home_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    identity = find_ct2_model(str(folder)).identity
    assert find_ct2_model("model").identity == identity
    assert find_ct2_model("~/model").identity == identity


def test_the_same_files_are_the_same_model_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "other name"
    shutil.copytree(folder, copy)
    (copy / "README.md").write_text("notes of no consequence")
    (copy / ".cache").mkdir()
    assert find_ct2_model(str(copy)).identity == find_ct2_model(str(folder)).identity


@pytest.mark.parametrize("name", [*REQUIRED, "vocabulary.json", "preprocessor_config.json"])
def test_other_files_are_another_model(name: str, folder: Path) -> None:
    before = find_ct2_model(str(folder)).identity
    (folder / name).write_text("changed")
    assert find_ct2_model(str(folder)).identity != before


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=name) as caught:
        find_ct2_model(str(folder))
    assert str(folder) in str(caught.value)


def test_all_missing_files_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        find_ct2_model(str(tmp_path))
    for name in (*REQUIRED, "vocabulary.json"):
        assert name in str(caught.value)


def test_either_form_of_the_vocabulary_will_do(folder: Path) -> None:
    (folder / "vocabulary.json").rename(folder / "vocabulary.txt")
    assert find_ct2_model(str(folder)).path == folder


def test_a_file_is_no_model(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file"):
        find_ct2_model(str(folder / "model.bin"))


@pytest.mark.parametrize("name", ["/no/such/model", "./no/such/model", "~/no-such-model", "a/b/c"])
def test_a_path_that_is_not_there_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="There is no model directory"):
        find_ct2_model(name)


def test_a_slip_of_the_pen_is_noticed() -> None:
    with pytest.raises(UsageError, match="Did you mean 'large-v3'"):
        find_ct2_model("large-v33")


class Hub:
    """Stands for `huggingface_hub.snapshot_download`."""

    def __init__(self, cached: Path | None, remote: Path | Exception) -> None:
        self.cached, self.remote = cached, remote
        self.asked: list[tuple[str, bool]] = []

    def __call__(self, repository: str, **options: object) -> str:
        local = bool(options.get("local_files_only"))
        self.asked.append((repository, local))
        found = self.cached if local else self.remote
        if found is None:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")
        if isinstance(found, Exception):
            raise found
        return str(found)


def test_a_cached_model_needs_no_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(folder, AssertionError("the network was asked"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert find_ct2_model("large-v3").path == folder
    assert [local for _, local in hub.asked] == [True]


def test_what_is_not_cached_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(None, folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    assert find_ct2_model("someone/whisper-ct2").path == folder
    assert hub.asked == [("someone/whisper-ct2", True), ("someone/whisper-ct2", False)]


@pytest.mark.parametrize(
    "trouble",
    [OSError("no route to host\nand more"), RuntimeError("401 Unauthorized"), ValueError()],
)
def test_what_can_not_be_fetched_is_one_line_that_says_what_to_do(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(None, trouble))
    with pytest.raises(ModelError) as caught:
        find_ct2_model("someone/whisper-ct2")
    said = str(caught.value)
    assert "\n" not in said
    assert "hf download someone/whisper-ct2" in said
    assert "--model models/whisper-ct2" in said


def test_a_half_fetched_model_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.bin").unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(folder, folder))
    with pytest.raises(ModelError, match=r"model\.bin"):
        find_ct2_model("large-v3")


def test_every_name_leads_to_a_repository() -> None:
    for name, repository in models.REPOSITORIES.items():
        assert repository.count("/") == 1, name


def test_other_engines_find_their_models_themselves(folder: Path) -> None:
    assert take_as_given("whatever").identity == "whatever"
    assert take_as_given(str(folder)).identity == find_ct2_model(str(folder)).identity
