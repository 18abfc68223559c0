"""Finding a model: in a folder, under a name, and saying what to do when there is none."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import huggingface_hub
import pytest

from longscribe.adapters.recognizers.catalog import CATALOG
from longscribe.adapters.recognizers.ct2_models import (
    REPOSITORIES,
    REQUIRED,
    WEIGHTS,
    broken_ct2_weights,
    find_ct2_model,
)
from longscribe.adapters.recognizers.models import has_client, take_as_given
from longscribe.config import Options
from longscribe.errors import ModelError, UsageError
from longscribe.wiring import settled
from tests.e2e.support import MODEL
from tests.hub import cached, ct2_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What looks like a model."""
    return fill(tmp_path / "model")


def fill(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name in (*REQUIRED, "vocabulary.json", "preprocessor_config.json"):
        (folder / name).write_text(name)
    (folder / WEIGHTS).write_bytes(ct2_weights())
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
    (folder / name).write_bytes(ct2_weights(b"changed") if name == WEIGHTS else b"changed")
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
    """Stands for `huggingface_hub.snapshot_download`: fills the cache, or fails."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.asked: list[tuple[str, bool]] = []

    def __call__(
        self, repository: str, *, cache_dir: Path, force_download: bool, **_: object
    ) -> str:
        self.asked.append((repository, force_download))
        if self.trouble is not None:
            raise self.trouble
        return str(fill(cached(cache_dir, repository)))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_cached_model_needs_neither_network_nor_client(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fill(cached(cache, REPOSITORIES["large-v3"]))
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert find_ct2_model("large-v3").path == folder


def test_what_is_not_cached_is_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    for _ in range(2):
        found = find_ct2_model("someone/whisper-ct2")
        assert found.path == cached(cache, "someone/whisper-ct2")
    assert hub.asked == [("someone/whisper-ct2", False)]


def test_a_download_that_broke_off_is_gone_on_with(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    (cached(cache, "someone/whisper-ct2") / "config.json").write_text("{}")
    assert (find_ct2_model("someone/whisper-ct2").path / WEIGHTS).is_file()
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "trouble",
    [OSError("no route to host\nand more"), RuntimeError("401 Unauthorized"), ValueError()],
)
def test_what_can_not_be_fetched_is_one_line_that_says_what_to_do(
    trouble: Exception, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(trouble))
    with pytest.raises(ModelError) as caught:
        find_ct2_model("someone/whisper-ct2")
    said = str(caught.value)
    assert "\n" not in said
    assert "hf download someone/whisper-ct2" in said
    assert "--model models/whisper-ct2" in said


@pytest.mark.parametrize("left", [0, 3, 30, -100, -1])
def test_weights_that_were_cut_short_are_no_model(left: int, folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:left])
    with pytest.raises(ModelError, match=r"model\.bin \(cut short"):
        find_ct2_model(str(folder))


@pytest.mark.skipif(not (MODEL / WEIGHTS).is_file(), reason="there is no demo model")
def test_real_weights_are_whole_and_half_of_them_are_not(tmp_path: Path) -> None:
    assert broken_ct2_weights(MODEL / WEIGHTS) is None
    data = (MODEL / WEIGHTS).read_bytes()
    for length in (len(data) // 2, len(data) - 1):
        (tmp_path / WEIGHTS).write_bytes(data[:length])
        assert broken_ct2_weights(tmp_path / WEIGHTS) is not None


def heard(mels: int) -> bytes:
    """Return weights whose first layer hears so many mels."""
    name = b"encoder/conv1/weight\0"
    values = bytes(2 * mels * 3)
    parts = [struct.pack("<IH", 6, 2), b"W\0", struct.pack("<IIH", 3, 1, len(name)), name]
    parts += [struct.pack("<B3IBI", 3, 2, mels, 3, 1, len(values)), values, struct.pack("<I", 0)]
    return b"".join(parts)


def test_a_model_of_other_mels_must_say_so(folder: Path) -> None:
    """Otherwise faster-whisper makes 80 of them, and fails at the first window."""
    (folder / WEIGHTS).write_bytes(heard(128))
    assert find_ct2_model(str(folder)).path == folder
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"lacks preprocessor_config\.json\."):
        find_ct2_model(str(folder))
    (folder / WEIGHTS).write_bytes(heard(80))
    assert find_ct2_model(str(folder)).path == folder


@pytest.mark.parametrize("name", ["~nosuch/x", "x" * 300, "./" + "x" * 300, "nul\0"])
def test_what_the_system_can_not_look_at_is_one_line(name: str) -> None:
    looks = [kind.shelf.look for kind in CATALOG.values()]
    for look in (*looks, lambda model: settled(Options.build(model=model))):
        with pytest.raises(UsageError, match="no path that can be looked at") as caught:
            look(name)
        assert len(str(caught.value)) < 250


def test_whether_the_client_is_here_is_told_without_importing_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert has_client()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert not has_client()


def test_every_name_leads_to_a_repository() -> None:
    for name, repository in REPOSITORIES.items():
        assert repository.count("/") == 1, name


def test_other_engines_find_their_models_themselves(folder: Path) -> None:
    assert take_as_given("whatever").identity == "whatever"
    assert take_as_given(str(folder)).identity == find_ct2_model(str(folder)).identity


@pytest.mark.parametrize("recognizer", sorted(CATALOG))
@pytest.mark.parametrize("name", ["/nonexistent", "./nonexistent", "~/nonexistent/model"])
def test_a_folder_that_is_not_there_is_called_so(recognizer: str, name: str) -> None:
    """Not a model that lacks all its files."""
    with pytest.raises(ModelError, match=f"There is no model (directory|file) {name}") as raised:
        CATALOG[recognizer].shelf.look(name)
    assert "lacks" not in str(raised.value)
