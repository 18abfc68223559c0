"""Finding whisper.cpp's models: a file, a folder, a name; and never a part of a model."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from longscribe.adapters.recognizers import ggml_models
from longscribe.adapters.recognizers.ggml_file import (
    FORMATS,
    check_whole,
    read_header,
    read_vocabulary,
)
from longscribe.adapters.recognizers.ggml_models import find_ggml_model
from longscribe.errors import ModelError, UsageError
from tests.hub import cached

WORDS = [b"a", b" the", b"\x00", b"", "é".encode()]
TENSORS = 11 + 15 + 24  # of one layer each
BLOCK_BYTES = {  # of 256 numbers
    0: 1024, 1: 512, 2: 144, 3: 160, 6: 176, 7: 192, 8: 272, 10: 84, 11: 110, 12: 144, 13: 176,
    14: 210,
}  # fmt: skip


def write_model(path: Path, kinds: Sequence[int] = (1,), stored: int = 1) -> Path:
    """Write a file laid out as a Whisper of one layer, with tensors of these `ggml_type`s."""
    sizes = (51865, 1500, 64, 1, 1, 448, 64, 1, 1, 80, stored)
    parts = [b"lmgg", struct.pack("<11i", *sizes), struct.pack("<2i", 2, 3), bytes(24)]
    parts += [struct.pack("<i", len(WORDS))]
    parts += [struct.pack("<I", len(word)) + word for word in WORDS]
    for number in range(TENSORS):
        kind = kinds[number % len(kinds)]
        name = f"tensor.{number}".encode()
        parts += [struct.pack("<5i", 2, len(name), kind, 128, 2), name, bytes(BLOCK_BYTES[kind])]
    path.write_bytes(b"".join(parts))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "ggml-tiny.bin")


# --- the file ----------------------------------------------------------------


def test_the_header_says_what_it_is(model: Path) -> None:
    header = check_whole(model)
    assert header == read_header(model)
    assert (header.vocabulary, header.mels, header.format) == (51865, 80, "float16")
    assert header.tensors == TENSORS
    assert read_vocabulary(model) == WORDS


@pytest.mark.parametrize("kinds", [(0,), (1, 0), *((kind, 0) for kind in BLOCK_BYTES)])
def test_every_format_is_measured_right(kinds: tuple[int, ...], tmp_path: Path) -> None:
    check_whole(write_model(tmp_path / "model.bin", kinds))


@pytest.mark.parametrize("stored", [*FORMATS, 2008])
def test_the_format_is_told_whatever_the_version_of_the_quantization(
    stored: int, tmp_path: Path
) -> None:
    assert read_header(write_model(tmp_path / "m", stored=stored)).format == FORMATS[stored % 1000]


def test_no_part_of_a_model_is_taken_for_one(model: Path) -> None:
    whole = model.read_bytes()
    for length in range(0, len(whole), 97):
        model.write_bytes(whole[:length])
        with pytest.raises(ModelError) as caught:
            check_whole(model)
        assert str(model) in str(caught.value)


def test_not_even_one_that_ends_between_two_tensors(model: Path) -> None:
    whole = model.read_bytes()
    last = whole.rindex(b"tensor.") - 20
    model.write_bytes(whole[:last])
    with pytest.raises(ModelError, match="not complete"):
        check_whole(model)
    model.write_bytes(whole[:-1])
    with pytest.raises(ModelError, match="not complete"):
        check_whole(model)


def test_what_follows_a_model_is_noticed(model: Path) -> None:
    model.write_bytes(model.read_bytes() + b"<html>")
    with pytest.raises(ModelError):
        check_whole(model)


@pytest.mark.parametrize("content", [b"GGUF" + bytes(100), b"<html>404</html>", b"\x06" * 100])
def test_other_files_are_no_models(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ggml-base.bin").write_bytes(content)
    with pytest.raises(ModelError, match="no ggml Whisper model"):
        find_ggml_model(str(tmp_path / "ggml-base.bin"))


# --- finding -----------------------------------------------------------------


def test_a_file_or_the_folder_that_holds_it(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_ggml_model(str(model))
    assert found.path == model
    assert find_ggml_model(str(model.parent)) == found
    monkeypatch.setenv("HOME", str(model.parent))
    assert find_ggml_model("~/ggml-tiny.bin") == found


def test_the_same_weights_are_the_same_model_wherever_they_lie(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.bin"
    copy.write_bytes(model.read_bytes())
    identity = find_ggml_model(str(model)).identity
    assert find_ggml_model(str(copy)).identity == identity
    content = bytearray(model.read_bytes())
    content[-1] = 1
    copy.write_bytes(content)
    assert find_ggml_model(str(copy)).identity != identity


def test_a_folder_with_several_models_or_none_is_refused(model: Path) -> None:
    write_model(model.parent / "ggml-base.bin")
    with pytest.raises(ModelError, match=r"ggml-base\.bin, ggml-tiny\.bin"):
        find_ggml_model(str(model.parent))
    for file in model.parent.iterdir():
        file.rename(file.with_suffix(".txt"))
    with pytest.raises(ModelError, match=r"holds no file ggml-\*\.bin"):
        find_ggml_model(str(model.parent))


@pytest.mark.parametrize("name", ["/no/such.bin", "./no-such", "models/ggml-tiny.bin", "tiny.bin"])
def test_a_file_that_is_not_there_is_not_asked_of_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="There is no model file"):
        find_ggml_model(name)


def test_a_slip_of_the_pen_is_noticed() -> None:
    with pytest.raises(UsageError, match="Did you mean 'large-v3-turbo'"):
        find_ggml_model("large-v3-turb")


def test_the_names_are_those_of_pywhispercpp() -> None:
    constants = pytest.importorskip("pywhispercpp.constants")
    assert set(ggml_models.NAMES) == set(constants.AVAILABLE_MODELS)
    assert constants.MODELS_BASE_URL.endswith(ggml_models.REPOSITORY)


class Hub:
    """Stands for `huggingface_hub.hf_hub_download`: puts a model into the cache, or fails."""

    def __init__(self, base: Path) -> None:
        self.cache = base / "cache"
        self.trouble: Exception | None = None
        self.gives = base / "ggml-tiny.bin"
        self.asked: list[tuple[str, bool]] = []

    def file(self, name: str) -> Path:
        return cached(self.cache, ggml_models.REPOSITORY) / name

    def __call__(
        self,
        repository: str,
        file: str,
        *,
        cache_dir: Path,
        local_dir: Path | None,
        force_download: bool,
    ) -> str:
        assert (repository, cache_dir, local_dir) == (ggml_models.REPOSITORY, self.cache, None)
        self.asked.append((file, force_download))
        if self.trouble is not None:
            raise self.trouble
        if force_download or not self.file(file).exists():
            shutil.copy(self.gives, self.file(file))
        return str(self.file(file))


@pytest.fixture
def hub(model: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    package = pytest.importorskip("huggingface_hub")
    hub = Hub(model.parent)
    monkeypatch.setattr(package, "hf_hub_download", hub)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.cache))
    return hub


def test_a_name_is_fetched_once(hub: Hub) -> None:
    for name in ("turbo", "large-v3-turbo"):
        assert find_ggml_model(name).path == hub.file("ggml-large-v3-turbo.bin")
    assert hub.asked == [("ggml-large-v3-turbo.bin", False)]
    find_ggml_model("base.en-q5_1")
    assert hub.asked[1:] == [("ggml-base.en-q5_1.bin", False)]


def test_a_cached_file_that_was_cut_short_is_fetched_again(hub: Hub) -> None:
    whole = hub.gives.read_bytes()
    hub.file("ggml-tiny.bin").write_bytes(whole[:-100])
    assert find_ggml_model("tiny").path.read_bytes() == whole
    assert hub.asked == [("ggml-tiny.bin", False), ("ggml-tiny.bin", True)]


def test_what_can_not_be_fetched_is_one_line_that_says_what_to_do(hub: Hub) -> None:
    hub.trouble = OSError("no route to host\nand more")
    with pytest.raises(ModelError) as caught:
        find_ggml_model("tiny")
    said = str(caught.value)
    assert "\n" not in said
    assert "hf download ggerganov/whisper.cpp ggml-tiny.bin" in said


def test_a_half_fetched_model_is_noticed(hub: Hub) -> None:
    hub.gives.write_bytes(hub.gives.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not complete"):
        find_ggml_model("tiny")
