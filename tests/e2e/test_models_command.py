"""`longscribe models`: a hub on loopback gives, breaks off, and is gone on with."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from longscribe.adapters.recognizers.catalog import CATALOG
from longscribe.adapters.recognizers.ct2_models import CT2_SHELF, REPOSITORIES
from longscribe.adapters.recognizers.ggml_file import check_whole, read_vocabulary
from longscribe.adapters.recognizers.models import ModelState
from longscribe.wiring import RECOGNIZERS
from tests.e2e import support
from tests.e2e.support import MODEL, Outcome
from tests.exports import exported
from tests.hub import COMMIT, LoopbackHub, cached, ct2_weights, serving

SMALL = REPOSITORIES["small"]
WEIGHTS = ct2_weights(os.urandom(300_000))
FILES = {
    "config.json": b"{}",
    "model.bin": WEIGHTS,
    "tokenizer.json": b'{"model": {}}',
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not worth fetching",
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with serving(LoopbackHub({SMALL: FILES})) as served:
        yield served


def models(
    *arguments: str | Path, cache: Path, hub: LoopbackHub | None = None, cwd: Path | None = None
) -> Outcome:
    """Run `longscribe models`; without a hub it is offline."""
    online = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"} if hub else {"HF_HUB_OFFLINE": "1"}
    env = {"HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **online}
    return support.longscribe("models", *arguments, env=env, cwd=cwd)


def fetch(cache: Path, hub: LoopbackHub | None, *more: str | Path) -> Outcome:
    return models("fetch", "small", "--recognizer", "faster-whisper", *more, cache=cache, hub=hub)


def downloaded(hub: LoopbackHub) -> list[str]:
    return [name for method, name, _ in hub.asked if method == "GET"]


# --- fetch and path ------------------------------------------------------------


def test_a_model_is_fetched_once_and_then_found_without_a_network(
    cache: Path, hub: LoopbackHub
) -> None:
    where = ("small", "--recognizer", "faster-whisper")
    missing = models("path", *where, cache=cache)
    assert missing.status == 1
    assert "longscribe models fetch small --recognizer faster-whisper" in missing.error_line()
    done = fetch(cache, hub)
    assert done.status == 0, done.err
    path = Path(done.out.strip())
    assert path.is_relative_to(cache)
    assert {file.name for file in path.iterdir()} == set(FILES) - {"README.md"}
    assert (path / "model.bin").read_bytes() == WEIGHTS
    asked = len(hub.asked)
    again = fetch(cache, hub)
    offline = models("path", *where, cache=cache)
    assert again.out == offline.out == done.out
    assert len(hub.asked) == asked, "nothing is asked for what is here"


def test_a_connection_that_breaks_is_gone_on_with_where_it_broke(
    cache: Path, hub: LoopbackHub
) -> None:
    # The client keeps what it has in pieces of 10 MB.
    large = ct2_weights(os.urandom(25_000_000))
    hub.repositories = {SMALL: {**FILES, "model.bin": large}}
    hub.breaks["model.bin"] = [15_000_000]
    done = fetch(cache, hub)
    assert done.status == 0, done.err
    assert (Path(done.out.strip()) / "model.bin").read_bytes() == large
    begins = [first for method, name, first in hub.asked if (method, name) == ("GET", "model.bin")]
    assert begins[0] == 0
    assert begins[1] > 0, "the rest alone is asked for"


def test_a_download_that_was_given_up_is_no_model_and_its_whole_files_are_kept(
    cache: Path, hub: LoopbackHub
) -> None:
    hub.breaks["model.bin"] = [100] * 20
    failed = fetch(cache, hub)
    assert failed.status == 1
    assert "hf download Systran/faster-whisper-small" in failed.err.splitlines()[-1]
    assert "Traceback" not in failed.err
    where = models("path", "small", "--recognizer", "faster-whisper", cache=cache)
    assert where.status == 1
    [row] = [
        row
        for row in json.loads(models("list", "--json", cache=cache).out)
        if (row["recognizer"], row["name"]) == ("faster-whisper", "small")
    ]
    assert row["state"] in {"partial", "absent"}
    hub.breaks.clear()
    before = set(downloaded(hub)) - {"model.bin"}
    hub.asked.clear()
    assert fetch(cache, hub).status == 0
    assert "model.bin" in downloaded(hub)
    assert not before & set(downloaded(hub)), "whole files are not fetched twice"


def test_a_model_can_be_fetched_into_a_folder(
    tmp_path: Path, cache: Path, hub: LoopbackHub
) -> None:
    folder = tmp_path / "for the other machine"
    done = fetch(cache, hub, "--to", folder)
    assert Path(done.out.strip()) == folder, done.err
    assert CT2_SHELF.look(str(folder)).state is ModelState.WHOLE


def test_a_fetch_into_a_folder_of_the_models_name_is_gone_on_with(
    tmp_path: Path, cache: Path, hub: LoopbackHub
) -> None:
    fetch_here = ("fetch", "small", "--recognizer", "faster-whisper", "--to", "small")
    hub.breaks["model.bin"] = [100] * 20
    assert models(*fetch_here, cache=cache, hub=hub, cwd=tmp_path).status == 1
    assert (tmp_path / "small").is_dir()
    hub.breaks.clear()
    for _ in range(2):
        done = models(*fetch_here, cache=cache, hub=hub, cwd=tmp_path)
        assert done.status == 0, done.err
        assert (tmp_path / "small" / "model.bin").read_bytes() == WEIGHTS


def test_what_the_hub_does_not_have_is_one_line(cache: Path, hub: LoopbackHub) -> None:
    done = models("fetch", "no/body", "--recognizer", "faster-whisper", cache=cache, hub=hub)
    assert done.status == 1
    assert "no/body" in done.error_line()


def test_offline_nothing_is_asked(cache: Path) -> None:
    done = fetch(cache, None)
    assert done.status == 1
    assert "not on this machine" in done.error_line()


def test_a_slip_of_the_pen_is_noticed(cache: Path) -> None:
    done = models("path", "smal", "--recognizer", "faster-whisper", cache=cache)
    assert done.status == 2
    assert "Did you mean 'small'" in done.error_line()


# --- list ----------------------------------------------------------------------


def test_every_recognizer_of_ours_can_be_looked_after() -> None:
    assert set(CATALOG) == set(RECOGNIZERS)


def test_what_is_here_is_listed_with_its_place(tmp_path: Path, cache: Path) -> None:
    whole = cached(cache, "someone/whisper-fine-tune")
    part = cached(cache, SMALL)
    for name, content in FILES.items():
        (whole / name).write_bytes(content)
        (part / name).write_bytes(content[: len(content) // 2])
    (tmp_path / "models" / "mine").mkdir(parents=True)
    for name, content in FILES.items():
        (tmp_path / "models" / "mine" / name).write_bytes(content)
    rows = json.loads(models("list", "--json", cache=cache, cwd=tmp_path).out)
    ours = [row for row in rows if row["recognizer"] == "faster-whisper"]
    found = {row["name"]: row for row in ours if row["state"] != "absent"}
    assert set(found) == {"small", "someone/whisper-fine-tune", "models/mine"}
    assert found["small"]["state"] == "partial"
    assert "model.bin" in found["small"]["missing"][0]
    assert found["someone/whisper-fine-tune"]["path"] == str(whole)
    assert found["models/mine"]["size"] == sum(map(len, FILES.values()))
    absent = {row["name"] for row in rows if row["recognizer"] == "mlx"}
    assert "large-v3-turbo" in absent
    table = models("list", "--recognizer", "whisper.cpp", cache=cache).out
    assert "tiny" in table
    assert "Systran" not in table


def test_a_folder_named_like_a_model_does_not_break_the_list(tmp_path: Path, cache: Path) -> None:
    for name in ("base", "en-us"):
        (tmp_path / name).mkdir()
    done = models("list", "--json", cache=cache, cwd=tmp_path)
    assert done.status == 0, done.err
    states = {row["state"] for row in json.loads(done.out) if row["name"] == "base"}
    assert states == {"absent"}


def test_the_commit_that_was_fetched_is_the_one_that_counts(cache: Path) -> None:
    folder = cached(cache, SMALL)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    assert folder.name == COMMIT
    (folder.parents[1] / "refs" / "main").write_text("f" * 40)
    assert models("path", "small", "--recognizer", "faster-whisper", cache=cache).status == 1


# --- convert -------------------------------------------------------------------


@pytest.fixture(scope="module")
def hugging_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in the hub's format."""
    pytest.importorskip("safetensors")
    pytest.importorskip("tokenizers")
    if not (MODEL / "model.bin").is_file():
        pytest.skip(f"{MODEL} has no model.bin")
    return exported("hugging-face", tmp_path_factory)


def test_a_model_for_whisper_cpp_is_what_the_recipe_of_the_demo_model_makes(
    hugging_face: Path, tmp_path: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """That one is known to be heard by whisper.cpp: its own suite decodes with it."""
    done = models("convert", hugging_face, "--recognizer", "whisper.cpp", cache=cache, cwd=tmp_path)
    assert done.status == 0, done.err
    out = tmp_path / done.out.strip()
    assert out == tmp_path / "models" / f"ggml-{hugging_face.name}.bin"
    other = exported("ggml", tmp_path_factory) / "ggml-model.bin"
    assert check_whole(out) == check_whole(other)
    assert read_vocabulary(out) == read_vocabulary(other)
    assert out.stat().st_size == other.stat().st_size
    again = models(
        "convert", hugging_face, "--recognizer", "whisper.cpp", cache=cache, cwd=tmp_path
    )
    assert again.status == 2
    assert "already" in again.error_line()


def test_a_model_for_mlx_is_what_the_recipe_of_the_demo_model_makes(
    hugging_face: Path, tmp_path: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path / "mlx"
    done = models("convert", hugging_face, "--recognizer", "mlx", "--to", out, cache=cache)
    assert done.status == 0, done.err
    made = _read(out / "weights.safetensors")
    other = _read(exported("mlx", tmp_path_factory) / "weights.safetensors")
    config = json.loads((hugging_face / "generation_config.json").read_text())
    assert made.pop("alignment_heads").tolist() == config["alignment_heads"]
    assert set(made) == set(other)
    assert all(np.array_equal(made[name], other[name]) for name in made)


def test_weights_in_parts_and_in_bfloat16_are_converted(
    hugging_face: Path, tmp_path: Path, cache: Path
) -> None:
    """As fine-tunes often come."""
    folder = tmp_path / "parts"
    shutil.copytree(hugging_face, folder)
    whole = _read(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, chosen in parts.items():
        _write_bfloat16(folder / file, {name: whole[name] for name in chosen})
    index = {"weight_map": {name: file for file, chosen in parts.items() for name in chosen}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    out = tmp_path / "out"
    done = models("convert", folder, "--recognizer", "mlx", "--to", out, cache=cache)
    assert done.status == 0, done.err
    made = _read(out / "weights.safetensors")
    name = "decoder.blocks.0.attn.query.weight"
    original = whole["model.decoder.layers.0.self_attn.q_proj.weight"].astype(np.float32)
    assert np.allclose(made[name], original, rtol=2**-7)


def test_a_conversion_that_fails_leaves_nothing_behind(
    hugging_face: Path, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(hugging_face, folder)
    (folder / "tokenizer.json").write_text("{}")
    done = models("convert", folder, "--recognizer", "whisper.cpp", cache=cache, cwd=tmp_path)
    assert done.status == 1
    assert "tokenizer.json" in done.error_line()
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None for name in ("ctranslate2", "transformers", "torch")
    ),
    reason="CTranslate2's converter needs transformers and torch",
)
def test_a_model_for_faster_whisper_is_made_by_ctranslate2(
    hugging_face: Path, tmp_path: Path, cache: Path
) -> None:
    done = models(
        *("convert", hugging_face, "--recognizer", "faster-whisper", "--compute-type", "int8"),
        *("--to", tmp_path / "ct2"),
        cache=cache,
    )
    assert done.status == 0, done.err
    audio = support.write_flac(tmp_path / "a.flac", support.sample_audio()[: 8 * support.RATE])
    heard = support.longscribe(
        *("transcribe", audio, "--recognizer", "faster-whisper", "--language", "en"),
        *("--model", tmp_path / "ct2", "-o", tmp_path, "--beam-size", "1"),
    )
    assert heard.status == 0, heard.err
    assert "the story of a light that did not go out" in (tmp_path / "a.txt").read_text()


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="all that is needed is here"
)
def test_without_the_converter_the_command_is_told(
    hugging_face: Path, tmp_path: Path, cache: Path
) -> None:
    done = models(
        "convert", hugging_face, "--recognizer", "faster-whisper", cache=cache, cwd=tmp_path
    )
    assert done.status == 1
    assert "pip install 'longscribe[faster-whisper,transformers]'" in done.error_line()


@pytest.mark.parametrize(
    ("recognizer", "told"),
    [("transformers", "not to it"), ("pocketsphinx", "no conversion"), ("parrot:load", "no conv")],
)
def test_where_there_is_no_way_it_is_refused(recognizer: str, told: str, cache: Path) -> None:
    done = models("convert", MODEL, "--recognizer", recognizer, cache=cache)
    assert done.status == 2
    assert told in done.error_line()


def test_a_model_in_another_format_is_refused(tmp_path: Path, cache: Path) -> None:
    done = models("convert", MODEL, "--recognizer", "mlx", cache=cache, cwd=tmp_path)
    assert done.status == 1
    assert "model.safetensors" in done.error_line()


@pytest.mark.parametrize("said", ["int8", "float99"])
def test_a_number_format_that_would_change_nothing_is_refused(said: str, cache: Path) -> None:
    for recognizer in ("mlx", "faster-whisper") if said == "float99" else ("mlx",):
        done = models(
            "convert", MODEL, "--recognizer", recognizer, "--compute-type", said, cache=cache
        )
        assert done.status == 2
        assert "ompute" in done.error_line()


def _read(file: Path) -> dict[str, np.ndarray]:
    return dict(pytest.importorskip("safetensors.numpy").load_file(file))


def _write_bfloat16(file: Path, arrays: dict[str, np.ndarray]) -> None:
    header, data, at = {}, [], 0
    for name, array in arrays.items():
        body = (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
        header[name] = {
            "dtype": "BF16", "shape": list(array.shape), "data_offsets": [at, at + len(body)]
        }  # fmt: skip
        data.append(body)
        at += len(body)
    head = json.dumps(header).encode()
    file.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(data))
