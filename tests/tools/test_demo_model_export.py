"""The demo model in every format: each must hold the very weights that the repository ships.

The files are read back as the programs read them that they are made for, not with the exporter.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("safetensors")
pytest.importorskip("tokenizers")

from safetensors import safe_open
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from tests.e2e.support import MODEL, RATE, ROOT, sample_audio
from tools.demo_model import export
from tools.demo_model.ctranslate2_format import read_variables
from tools.demo_model.weights import (
    hugging_face_name,
    layer_count,
    openai_name,
    read_weights,
    split_file,
)

pytestmark = pytest.mark.skipif(
    not (MODEL / "model.bin").is_file(), reason=f"{MODEL} has no model.bin"
)

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]
Export = Callable[[str, Path], Path]

WIDTH, ENCODER_LAYERS, DECODER_LAYERS = 256, 6, 4
DIMENSIONS = {
    "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": WIDTH, "n_audio_head": 4,
    "n_audio_layer": ENCODER_LAYERS, "n_vocab": 51_865, "n_text_ctx": 448, "n_text_state": WIDTH,
    "n_text_head": 4, "n_text_layer": DECODER_LAYERS,
}  # fmt: skip
ALIGNMENT_HEADS = [[layer, head] for layer in (2, 3) for head in range(4)]

BLOCK = {
    "attn.query": "self_attn.q_proj",
    "attn.key": "self_attn.k_proj",
    "attn.value": "self_attn.v_proj",
    "attn.out": "self_attn.out_proj",
    "attn_ln": "self_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
}
CROSS = {
    "cross_attn.query": "encoder_attn.q_proj",
    "cross_attn.key": "encoder_attn.k_proj",
    "cross_attn.value": "encoder_attn.v_proj",
    "cross_attn.out": "encoder_attn.out_proj",
    "cross_attn_ln": "encoder_attn_layer_norm",
}


def _pairs() -> Iterator[tuple[str, str]]:
    """Yield the names of openai/whisper and of transformers, for every tensor of the model."""
    for part, blocks, layers in (
        ("encoder", BLOCK, ENCODER_LAYERS),
        ("decoder", BLOCK | CROSS, DECODER_LAYERS),
    ):
        for number in range(layers):
            for ours, theirs in blocks.items():
                for kind in ("weight",) if ours.endswith("key") else ("weight", "bias"):
                    block, layer = f"{part}.blocks.{number}", f"model.{part}.layers.{number}"
                    yield f"{block}.{ours}.{kind}", f"{layer}.{theirs}.{kind}"
        yield f"{part}.positional_embedding", f"model.{part}.embed_positions.weight"
    for kind in ("weight", "bias"):
        yield f"encoder.conv1.{kind}", f"model.encoder.conv1.{kind}"
        yield f"encoder.conv2.{kind}", f"model.encoder.conv2.{kind}"
        yield f"encoder.ln_post.{kind}", f"model.encoder.layer_norm.{kind}"
        yield f"decoder.ln.{kind}", f"model.decoder.layer_norm.{kind}"
    yield "decoder.token_embedding.weight", "model.decoder.embed_tokens.weight"


NAMES = dict(_pairs())
"""openai/whisper's name → transformers' name."""


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_same(found: Weights, expected: Weights) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape, name
        assert np.array_equal(found[name], array), name


# --- the model that is shipped -------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> Weights:
    """The variables of the shipped `model.bin`, as they are stored."""
    return read_variables(MODEL / "model.bin")


@pytest.fixture(scope="module")
def shipped() -> Weights:
    """Its weights under openai/whisper's names."""
    return export.Model.read(MODEL).weights


def test_every_weight_is_found(shipped: Weights) -> None:
    assert set(shipped) == set(NAMES)
    assert {array.dtype for array in shipped.values()} == {np.dtype(np.float16)}
    assert sum(array.size for array in shipped.values()) == 22_984_448
    assert all(np.isfinite(array).all() for array in shipped.values())
    assert (layer_count(shipped, "encoder"), layer_count(shipped, "decoder")) == (6, 4)


def test_its_dimensions_are_read_off_the_weights(shipped: Weights) -> None:
    size = export.ModelDimensions.of(shipped)
    assert {name: getattr(size, name) for name in DIMENSIONS} == DIMENSIONS
    assert [list(each) for each in size.alignment_heads] == ALIGNMENT_HEADS


@pytest.mark.parametrize(
    ("file", "rows", "name"),
    [
        ("encoder/layer_5/self_attention/linear_0", 0, "encoder.blocks.5.attn.query"),
        ("encoder/layer_5/self_attention/linear_0", 1, "encoder.blocks.5.attn.key"),
        ("encoder/layer_5/self_attention/linear_0", 2, "encoder.blocks.5.attn.value"),
        ("decoder/layer_3/self_attention/linear_1", 0, "decoder.blocks.3.attn.out"),
        ("decoder/layer_3/attention/linear_0", 0, "decoder.blocks.3.cross_attn.query"),
        ("decoder/layer_3/attention/linear_1", 0, "decoder.blocks.3.cross_attn.key"),
        ("decoder/layer_3/attention/linear_1", 1, "decoder.blocks.3.cross_attn.value"),
        ("encoder/conv2", 0, "encoder.conv2"),
        ("decoder/embeddings", 100, "decoder.token_embedding"),
    ],
)
def test_rows_of_joined_layers_are_parted(
    stored: Weights, shipped: Weights, file: str, rows: int, name: str
) -> None:
    own = slice(rows * WIDTH, (rows + 1) * WIDTH)
    whole, scale = stored[f"{file}/weight"][own], stored[f"{file}/weight_scale"][own]
    assert whole.dtype == np.int8
    row = 17
    expected = (whole[row] / scale[row]).astype(np.float16)
    offset = own.start if name.endswith("token_embedding") else 0
    assert np.array_equal(shipped[f"{name}.weight"][offset + row], expected)
    assert expected.any()


@pytest.mark.parametrize(
    ("file", "key"),
    [
        ("encoder/layer_0/self_attention/linear_0", 1),
        ("decoder/layer_0/self_attention/linear_0", 1),
        ("decoder/layer_0/attention/linear_1", 0),
    ],
)
def test_no_bias_is_lost_with_the_keys(stored: Weights, file: str, key: int) -> None:
    """Whisper's keys have no bias, so what is left out must be zeros, and only that is."""
    bias = stored[f"{file}/bias"]
    pieces = np.split(bias, len(bias) // WIDTH)
    assert [not piece.any() for piece in pieces] == [n == key for n in range(len(pieces))]


def test_positions_of_the_encoder_are_those_that_mlx_computes(shipped: Weights) -> None:
    """So that its file can do without them."""
    half = WIDTH // 2
    rates = np.exp(-np.log(10_000) / (half - 1) * np.arange(half))
    angles = np.arange(1500)[:, None] * rates
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    assert np.abs(shipped["encoder.positional_embedding"] - expected).max() < 5e-4


@pytest.mark.parametrize(
    ("place", "complaint"), [(0, "in file version 9"), (6, "not WhisperSpec"), (18, "revision 9")]
)
def test_another_file_is_refused(tmp_path: Path, place: int, complaint: str) -> None:
    with (MODEL / "model.bin").open("rb") as file:
        head = bytearray(file.read(64))
    head[place] = 9
    (tmp_path / "model.bin").write_bytes(head)
    with pytest.raises(ValueError, match=complaint):
        export.Model.read(tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"neither model\.safetensors nor model\.bin"):
        export.Model.read(tmp_path)


# --- the formats ---------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Export]:
    """Return a function that runs the command; what it wrote is removed at the end, being large."""
    base = tmp_path_factory.mktemp("exported")

    def run(name: str, source: Path) -> Path:
        out = base / name
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["export", name, str(source), str(out)])
            export.main()
        return out

    yield run
    shutil.rmtree(base)


WITHOUT_ENGINES = """
import sys
sys.modules |= dict.fromkeys(("torch", "ctranslate2"))  # importing them fails
from tools.demo_model import export
model, base, *names = sys.argv[1:]
for name in names:
    sys.argv = ["export", name, model, f"{base}/{name}"]
    export.main()
"""


@pytest.fixture(scope="module")
def light_formats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of those formats that are made also where neither torch nor CTranslate2 is."""
    base = tmp_path_factory.mktemp("light")
    command = [sys.executable, "-c", WITHOUT_ENGINES, MODEL, base, "hugging-face", "mlx", "ggml"]
    subprocess.run(command, check=True, cwd=ROOT)
    yield base
    shutil.rmtree(base)


@pytest.fixture(scope="module")
def hugging_face(light_formats: Path) -> Path:
    return light_formats / "hugging-face"


@pytest.fixture(scope="module")
def mlx(light_formats: Path) -> Path:
    return light_formats / "mlx"


@pytest.fixture(scope="module")
def ggml(light_formats: Path) -> Ggml:
    return read_ggml(light_formats / "ggml" / "ggml-model.bin")


@pytest.fixture(scope="module")
def there_and_back(exported: Export, hugging_face: Path) -> Path:
    """The CTranslate2 folder made from the Hugging Face folder made from the shipped one."""
    pytest.importorskip("ctranslate2")
    return exported("ctranslate2", hugging_face)


# --- hugging-face ---


def test_names_go_both_ways() -> None:
    assert {name: hugging_face_name(name) for name in NAMES} == NAMES
    assert {name: openai_name(name) for name in NAMES.values()} == {
        theirs: ours for ours, theirs in NAMES.items()
    }


def test_hugging_face_holds_the_weights(hugging_face: Path, shipped: Weights) -> None:
    file = hugging_face / "model.safetensors"
    found = load_file(file)
    assert_same(found, {NAMES[name]: array for name, array in shipped.items()})
    assert {array.dtype for array in found.values()} == {np.dtype(np.float16)}
    assert_same(read_weights(file), shipped)
    with safe_open(file, framework="numpy") as opened:
        assert opened.metadata() == {"format": "pt"}, "transformers refuses a file without it"
    assert file.stat().st_mode & 0o777 == 0o644


def test_hugging_face_says_how_large_it_is(hugging_face: Path) -> None:
    config = read_json(hugging_face / "config.json")
    expected = {
        "model_type": "whisper", "dtype": "float16", "d_model": WIDTH, "vocab_size": 51_865,
        "num_mel_bins": 80, "encoder_layers": 6, "encoder_attention_heads": 4,
        "encoder_ffn_dim": 1024, "decoder_layers": 4, "decoder_attention_heads": 4,
        "decoder_ffn_dim": 1024, "max_source_positions": 1500, "max_target_positions": 448,
        "decoder_start_token_id": 50_258, "eos_token_id": 50_257,
        "begin_suppress_tokens": [220],
    }  # fmt: skip
    assert {name: config[name] for name in expected} == expected


def test_hugging_face_knows_its_special_tokens(hugging_face: Path) -> None:
    tokenizer = Tokenizer.from_file(str(hugging_face / "tokenizer.json"))
    generation = read_json(hugging_face / "generation_config.json")
    languages = generation["lang_to_id"]
    assert len(languages) == 99
    assert all(tokenizer.token_to_id(token) == i for token, i in languages.items())
    assert languages["<|en|>"] == 50_259
    assert generation["task_to_id"] == {
        "transcribe": tokenizer.token_to_id("<|transcribe|>"),
        "translate": tokenizer.token_to_id("<|translate|>"),
    }
    assert generation["no_timestamps_token_id"] == tokenizer.token_to_id("<|notimestamps|>")
    assert generation["prev_sot_token_id"] == tokenizer.token_to_id("<|startofprev|>")
    assert generation["alignment_heads"] == ALIGNMENT_HEADS
    assert generation["max_length"] == 448


def test_hugging_face_folder_is_complete(hugging_face: Path) -> None:
    assert names_in(hugging_face) == {
        "model.safetensors", "config.json", "generation_config.json", "preprocessor_config.json",
        "tokenizer_config.json", "tokenizer.json",
    }  # fmt: skip
    for name in ("tokenizer.json", "preprocessor_config.json"):
        assert (hugging_face / name).read_bytes() == (MODEL / name).read_bytes()


def test_a_folder_can_be_exported_into_itself(
    tmp_path: Path, shipped: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.bin").symlink_to(MODEL / "model.bin")
    shutil.copy(MODEL / "tokenizer.json", tmp_path)
    monkeypatch.setattr(sys, "argv", ["export", "hugging-face", str(tmp_path), str(tmp_path)])
    export.main()
    assert (tmp_path / "tokenizer.json").read_bytes() == (MODEL / "tokenizer.json").read_bytes()
    (tmp_path / "model.bin").unlink()
    assert_same(export.Model.read(tmp_path).weights, shipped)
    (tmp_path / "model.safetensors").unlink()


# --- mlx ---


def test_mlx_holds_the_weights(mlx: Path, shipped: Weights) -> None:
    expected = {
        name.replace(".mlp.0.", ".mlp1.").replace(".mlp.2.", ".mlp2."): array
        for name, array in shipped.items()
        if name != "encoder.positional_embedding"
    }
    assert "decoder.blocks.3.mlp2.bias" in expected
    for conv in ("encoder.conv1.weight", "encoder.conv2.weight"):
        expected[conv] = np.transpose(expected[conv], (0, 2, 1))  # the channels last
    found = load_file(mlx / "weights.safetensors")
    assert found["encoder.conv1.weight"].shape == (WIDTH, 3, 80)
    assert_same(found, expected)
    assert {array.dtype for array in found.values()} == {np.dtype(np.float16)}


def test_mlx_folder_is_complete(mlx: Path) -> None:
    """mlx-whisper brings its tokenizer along."""
    assert names_in(mlx) == {"weights.safetensors", "config.json"}
    assert read_json(mlx / "config.json") == {"model_type": "whisper", **DIMENSIONS}
    assert (mlx / "weights.safetensors").stat().st_mode & 0o777 == 0o644


# --- ggml ---


@dataclass(frozen=True, kw_only=True)
class Ggml:
    """What whisper.cpp finds in its file."""

    magic: int
    sizes: tuple[int, ...]
    filters: Array
    words: list[bytes]
    tensors: Weights


def read_ggml(file: Path) -> Ggml:
    """Read the file as `whisper_model_load` of whisper.cpp does."""
    data = file.read_bytes()
    place = 0

    def numbers(count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}i", take(4 * count))

    def take(size: int) -> bytes:
        nonlocal place
        place += size
        return data[place - size : place]

    magic, *sizes = numbers(12)
    mels, bins = numbers(2)
    filters = np.frombuffer(take(4 * mels * bins), np.float32).reshape(mels, bins)
    words = [take(*numbers(1)) for _ in range(*numbers(1))]
    tensors = {}
    while place < len(data):
        dimensions, length, half = numbers(3)
        shape = numbers(dimensions)[::-1]  # the fastest comes first in ggml
        name = take(length).decode()
        dtype = np.dtype(np.float16 if half else np.float32)
        size = int(np.prod(shape)) * dtype.itemsize
        tensors[name] = np.frombuffer(take(size), dtype).reshape(shape)
    assert place == len(data), "the last tensor is cut short"
    return Ggml(magic=magic, sizes=tuple(sizes), filters=filters, words=words, tensors=tensors)


def test_ggml_says_how_large_it_is(ggml: Ggml) -> None:
    order = (
        "n_vocab", "n_audio_ctx", "n_audio_state", "n_audio_head", "n_audio_layer", "n_text_ctx",
        "n_text_state", "n_text_head", "n_text_layer", "n_mels",
    )  # fmt: skip
    assert ggml.magic == int.from_bytes(b"ggml", "big")
    assert ggml.sizes == (*(DIMENSIONS[name] for name in order), 1)  # 1: mostly fp16


def test_ggml_holds_the_weights(ggml: Ggml, shipped: Weights) -> None:
    expected = dict(shipped)
    for conv in ("encoder.conv1.bias", "encoder.conv2.bias"):
        expected[conv] = expected[conv].reshape(WIDTH, 1)
    assert_same(ggml.tensors, expected)


def test_ggml_has_the_types_that_whisper_cpp_allocates(ggml: Ggml) -> None:
    full = {name for name, array in ggml.tensors.items() if array.dtype == np.float32}
    assert full == {
        name
        for name in NAMES
        if name.endswith((".bias", "_ln.weight", ".positional_embedding"))
        or name in {"encoder.ln_post.weight", "decoder.ln.weight"}
    }


def test_ggml_words_are_the_bytes_behind_the_tokens(ggml: Ggml) -> None:
    assert len(ggml.words) == 50_257
    assert {bytes([byte]) for byte in range(256)} <= set(ggml.words)
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    for text in (" The sun, comes up.", " café, 東京\t🎧\n"):
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        assert b"".join(ggml.words[token] for token in tokens) == text.encode()


def test_ggml_has_whispers_mel_filters(ggml: Ggml) -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor()
    assert ggml.filters.shape == (80, 201)
    assert np.abs(ggml.filters - extractor.mel_filters).max() < 1e-7


# --- openai ---


def test_openai_holds_the_weights(exported: Export, shipped: Weights) -> None:
    torch = pytest.importorskip("torch", reason="openai/whisper's checkpoint is written by torch")
    out = exported("openai", MODEL)
    assert names_in(out) == {"model.pt"}
    checkpoint = torch.load(out / "model.pt", weights_only=True)
    assert checkpoint["dims"] == DIMENSIONS
    state = checkpoint["model_state_dict"]
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    assert_same({name: tensor.numpy() for name, tensor in state.items()}, shipped)


# --- ctranslate2 ---


def test_ctranslate2_comes_back_as_it_was(there_and_back: Path, stored: Weights) -> None:
    """Nothing is lost: fp16 keeps the greatest value of each row, which is what int8 is scaled
    by."""
    found = read_variables(there_and_back / "model.bin")
    assert_same(found, stored)
    assert {name: array.dtype for name, array in found.items()} == {
        name: array.dtype for name, array in stored.items()
    }


def test_ctranslate2_folder_is_complete(there_and_back: Path) -> None:
    files = {
        "model.bin", "config.json", "vocabulary.json", "preprocessor_config.json",
        "tokenizer.json",
    }  # fmt: skip
    assert names_in(there_and_back) == files
    for name in files - {"model.bin"}:
        assert read_json(there_and_back / name) == read_json(MODEL / name)
    config = read_json(there_and_back / "config.json")
    assert config["alignment_heads"] == ALIGNMENT_HEADS
    assert config["suppress_ids_begin"] == [220]
    assert len(read_json(there_and_back / "vocabulary.json")) == 51_865


@pytest.mark.needs_model
def test_ctranslate2_still_hears_the_same(there_and_back: Path) -> None:
    from faster_whisper import WhisperModel  # noqa: PLC0415 - of an extra

    audio = sample_audio()[: 13 * RATE].astype(np.float32) / 32_768

    def heard(folder: Path) -> list[tuple[float, float, str]]:
        model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1)
        segments, _ = model.transcribe(audio, language="en", beam_size=1, temperature=0)
        return [(segment.start, segment.end, segment.text) for segment in segments]

    before, after = heard(MODEL), heard(there_and_back)
    assert before[0][2].startswith(" Good evening")
    assert sum(len(text.split()) for _, _, text in before) > 25
    assert after == before


# --- parts ---


def test_a_split_file_joins_again(tmp_path: Path) -> None:
    whole = tmp_path / "model.bin"
    whole.write_bytes(bytes(range(10)))
    parts = split_file(whole, tmp_path, part_size=4)
    assert [part.name for part in parts] == [
        "model.bin.part0",
        "model.bin.part1",
        "model.bin.part2",
    ]
    assert b"".join(part.read_bytes() for part in parts) == whole.read_bytes()
    assert [part.stat().st_size for part in parts] == [4, 4, 2]
