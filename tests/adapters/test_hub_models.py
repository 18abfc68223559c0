"""Finding the models of `mlx` and `transformers`: a download that was cut short is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

pytest.importorskip("safetensors")

from safetensors.numpy import save_file

from longscribe.adapters.recognizers import ct2_models, mlx_models, transformers_models
from longscribe.adapters.recognizers.hub_models import broken_weights
from longscribe.adapters.recognizers.mlx_models import find_mlx_model
from longscribe.adapters.recognizers.models import FoundModel
from longscribe.adapters.recognizers.transformers_models import find_transformers_model
from longscribe.errors import ModelError, UsageError
from tests.hub import cached

TENSORS = {"a": np.arange(2000, dtype=np.float32), "b": np.ones((3, 4), dtype=np.float16)}


@dataclass(frozen=True, kw_only=True)
class Kind:
    find: Callable[[str], FoundModel]
    required: tuple[str, ...]
    weights: str
    repository: str
    """Of `small`."""
    extra: str


MLX = Kind(
    find=find_mlx_model,
    required=("config.json",),
    weights="weights.safetensors",
    repository="mlx-community/whisper-small-mlx",
    extra="mlx",
)
TRANSFORMERS = Kind(
    find=find_transformers_model,
    required=("config.json", "tokenizer.json"),
    weights="model.safetensors",
    repository="openai/whisper-small",
    extra="transformers",
)


@pytest.fixture(params=[MLX, TRANSFORMERS], ids=lambda kind: kind.extra)
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def folder(kind: Kind, tmp_path: Path) -> Path:
    """What looks like a model."""
    return fill(tmp_path / "model", kind)


def fill(folder: Path, kind: Kind) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in kind.required:
        (folder / name).write_text(name)
    save_file(TENSORS, folder / kind.weights)
    return folder


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


# --- folders -------------------------------------------------------------------


def test_a_folder_is_taken_as_it_is(kind: Kind, folder: Path) -> None:
    assert kind.find(str(folder)).path == folder


def test_the_same_files_are_the_same_model_wherever_they_lie(
    kind: Kind, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    (copy / "README.md").write_text("notes of no consequence")
    assert kind.find(str(copy)).identity == kind.find(str(folder)).identity
    save_file(TENSORS | {"a": TENSORS["a"] + 1}, copy / kind.weights)
    assert kind.find(str(copy)).identity != kind.find(str(folder)).identity


def test_a_missing_file_is_named(kind: Kind, folder: Path) -> None:
    for name in (*kind.required, kind.weights):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(ModelError, match=name) as caught:
            kind.find(str(folder))
        assert str(folder) in str(caught.value)
        (folder / name).write_bytes(content)


@pytest.mark.parametrize("by", [1, 100, 8000])
def test_weights_that_were_cut_short_are_no_model(kind: Kind, folder: Path, by: int) -> None:
    cut(folder / kind.weights, by)
    with pytest.raises(ModelError, match="cut short"):
        kind.find(str(folder))


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"\xff" * 100, b"<html>not found</html>"])
def test_what_is_no_file_of_weights_is_no_model(kind: Kind, folder: Path, content: bytes) -> None:
    (folder / kind.weights).write_bytes(content)
    if content == b"\x00" * 100:
        with pytest.raises(ModelError, match="damaged"):
            kind.find(str(folder))
    else:
        with pytest.raises(ModelError, match="cut short"):
            kind.find(str(folder))


@pytest.mark.parametrize("offsets", [[], [0], {}, "x", None])
def test_a_header_that_makes_no_sense_is_damage(kind: Kind, folder: Path, offsets: object) -> None:
    header = json.dumps({"a": {"data_offsets": offsets}}).encode()
    (folder / kind.weights).write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match="damaged"):
        kind.find(str(folder))


def test_weights_that_can_not_be_read_are_broken(tmp_path: Path) -> None:
    assert broken_weights(tmp_path / f"{'x' * 300}.safetensors") is not None


def test_mlx_reads_older_conversions_too(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", MLX)
    (folder / MLX.weights).unlink()
    np.savez(folder / "weights.npz", **TENSORS)
    assert find_mlx_model(str(folder)).path == folder
    cut(folder / "weights.npz", 10)
    with pytest.raises(ModelError, match=r"weights\.npz .*cut short"):
        find_mlx_model(str(folder))


def test_transformers_counts_the_parts_of_split_weights(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model", TRANSFORMERS)
    parts = [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    (folder / TRANSFORMERS.weights).rename(folder / parts[0])
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", parts, strict=True))}))
    with pytest.raises(ModelError, match=parts[1]):
        find_transformers_model(str(folder))
    shutil.copy(folder / parts[0], folder / parts[1])
    assert find_transformers_model(str(folder)).path == folder
    cut(folder / parts[1], 5)
    with pytest.raises(ModelError, match="cut short"):
        find_transformers_model(str(folder))
    index.write_text("{}")
    with pytest.raises(ModelError, match=r"index\.json \(damaged\)"):
        find_transformers_model(str(folder))


def test_what_is_no_folder_is_refused(kind: Kind, folder: Path) -> None:
    with pytest.raises(ModelError, match="is a file"):
        kind.find(str(folder / "config.json"))
    for name in ("/no/such/model", "./no/such/model", "~/no-such-model", "a/b/c"):
        with pytest.raises(ModelError, match="no model directory"):
            kind.find(name)


# --- names ---------------------------------------------------------------------


def test_names_are_those_of_faster_whisper() -> None:
    assert set(transformers_models.REPOSITORIES) == set(ct2_models.REPOSITORIES)
    assert set(mlx_models.REPOSITORIES) < set(ct2_models.REPOSITORIES), "not all were converted"
    for repositories in (mlx_models.REPOSITORIES, transformers_models.REPOSITORIES):
        assert repositories["turbo"] == repositories["large-v3-turbo"]
        assert repositories["large"] == repositories["large-v3"]


def test_an_unknown_name_is_answered_with_the_nearest(kind: Kind) -> None:
    with pytest.raises(UsageError, match="Did you mean 'large-v3'") as caught:
        kind.find("large-v33")
    assert "distil-large-v3" in str(caught.value)


class Hub:
    """A hub that fills the cache with what `kind` needs; stands for the client's download."""

    def __init__(self, kind: Kind, base: Path) -> None:
        self.kind, self.cache = kind, base / "cache"
        self.calls: list[bool] = []
        self.online = True

    @property
    def folder(self) -> Path:
        return cached(self.cache, self.kind.repository)

    def snapshot_download(
        self,
        repository: str,
        *,
        allow_patterns: list[str],
        cache_dir: Path,
        local_dir: Path | None,
        force_download: bool,
    ) -> str:
        assert (repository, cache_dir, local_dir) == (self.kind.repository, self.cache, None)
        assert {*self.kind.required, self.kind.weights} <= set(allow_patterns)
        self.calls.append(force_download)
        if not self.online:
            raise ConnectionError("no network\nat all")
        if force_download or not (self.folder / self.kind.weights).exists():
            fill(cached(self.cache, self.kind.repository, remove=True), self.kind)
        return str(self.folder)


@pytest.fixture
def hub(kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(kind, tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setenv("HF_HUB_CACHE", str(hub.cache))
    return hub


def test_a_name_is_fetched_once(kind: Kind, hub: Hub) -> None:
    for name in ("small", "small", kind.repository):
        assert kind.find(name).path == hub.folder
    assert hub.calls == [False]


def test_a_cached_download_that_was_cut_short_is_fetched_again(kind: Kind, hub: Hub) -> None:
    fill(hub.folder, kind)
    (hub.folder / kind.weights).unlink()
    assert kind.find("small").path == hub.folder
    assert hub.calls == [False]
    cut(hub.folder / kind.weights, 50)
    kind.find("small")
    assert hub.calls == [False, False, True], "the client does not look into what it has"


def test_without_a_network_the_way_around_is_told(kind: Kind, hub: Hub) -> None:
    hub.online = False
    with pytest.raises(ModelError, match=r"no network\)") as caught:
        kind.find("small")
    assert f"hf download {kind.repository}" in str(caught.value)
    fill(hub.folder, kind)
    cut(hub.folder / kind.weights, 50)
    with pytest.raises(ModelError, match="can't give it"):
        kind.find("small")


def test_without_the_hubs_client_it_is_named(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match="pip install huggingface-hub"):
        kind.find("small")
