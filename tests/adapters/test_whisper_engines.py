"""`mlx` and `transformers`: the same words, times and scores as faster-whisper, and their limits.

What they share with other recognizers is in tests/ports/test_recognizer_conformance.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("safetensors")

from safetensors.numpy import load_file, save_file

from longscribe.adapters.devices.memory import MLX_CACHE, open_memory
from longscribe.adapters.recognizers.whisper.engine import memory_errors, number_format
from longscribe.adapters.recognizers.whisper.recognizer import ENCODINGS_KEPT
from longscribe.config import DecodeSettings, Options
from longscribe.errors import ModelError
from longscribe.ports import WindowAudio
from longscribe.types import Span, Window, WindowBias, WindowResult
from tests.e2e.support import MODEL, RATE, ROOT, sample_audio
from tests.exports import exported

RECOGNIZERS = "longscribe.adapters.recognizers"
TEXTS = (
    " It begins in the north, in the land of Brannock",
    " It begins in the north, in the land of Branoch",
    " Good evening, my name is Annabell",
    " It",
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    name: str
    package: str
    format: str
    weights: str

    def load(self, model: str | Path, **changes: Any) -> Any:
        options = Options(recognizer=self.name, model=str(model), device="cpu")
        settings = replace(options.recognizer_settings, **changes)
        return importlib.import_module(f"{RECOGNIZERS}.{self.name}").load(settings, str(model))


MLX = Kind(name="mlx", package="mlx_whisper", format="mlx", weights="weights.safetensors")
TRANSFORMERS = Kind(
    name="transformers", package="transformers", format="hugging-face", weights="model.safetensors"
)


def is_here(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@pytest.fixture(scope="module", params=[MLX, TRANSFORMERS], ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    if not is_here(request.param.package):
        pytest.skip(f"{request.param.package} is not installed")
    if not (MODEL / "model.bin").is_file():
        pytest.skip(f"{MODEL} has no model.bin")
    return request.param


@pytest.fixture(scope="module")
def model(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(kind.format, tmp_path_factory)


@pytest.fixture(scope="module")
def recognizer(kind: Kind, model: Path) -> Any:
    return kind.load(model)


@pytest.fixture(scope="module")
def window() -> WindowAudio:
    """The second line of the sample, 7.3 to 13.1 s."""
    return window_of(7.3, 13.1)


def window_of(start: float, end: float, terms: tuple[str, ...] = ()) -> WindowAudio:
    span = Span(start=round(start * RATE), end=round(end * RATE))
    return WindowAudio(
        window=Window(index=0, span=span, owns=span, speech=span.length),
        bias=WindowBias(bias_window_id=None, terms=terms),
        pcm=sample_audio()[span.start : span.end],
    )


def settings(**changes: Any) -> DecodeSettings:
    return replace(Options(language="en", beam_size=2).decode_settings, **changes)


def decode(recognizer: Any, windows: Sequence[WindowAudio], **changes: Any) -> list[WindowResult]:
    decoded = recognizer.decode(windows, settings(**changes), 0)
    return [result for batch in decoded for result in batch]


def text(result: WindowResult) -> str:
    return "".join(segment.text for segment in result.segments)


# --- beside faster-whisper -----------------------------------------------------


@pytest.fixture(scope="module")
def reference() -> Any:
    pytest.importorskip("faster_whisper")
    options = Options(model=str(MODEL), device="cpu")
    module = importlib.import_module(f"{RECOGNIZERS}.faster_whisper")
    return module.load(options.recognizer_settings, str(MODEL))


@pytest.mark.needs_model
@pytest.mark.parametrize("terms", [(), ("Brannock", "Rosalynd")])
def test_words_times_and_sureness_are_those_of_faster_whisper(
    recognizer: Any, reference: Any, terms: tuple[str, ...]
) -> None:
    """It computes in int8 here, so not to the last digit."""
    one = window_of(7.3, 13.1, terms)
    [ours], [theirs] = decode(recognizer, [one]), decode(reference, [one])
    assert ours.prompt == theirs.prompt
    assert text(ours) == text(theirs)
    words, others = (
        [word for segment in result.segments for word in segment.words] for result in (ours, theirs)
    )
    for word, other in zip(words, others, strict=True):
        assert word.text == other.text
        assert abs(word.start - other.start) <= 0.06 * RATE
        assert abs(word.end - other.end) <= 0.06 * RATE
        assert word.probability == pytest.approx(other.probability, abs=0.1)
    for segment, other in zip(ours.segments, theirs.segments, strict=True):
        assert segment.average_logprob == pytest.approx(other.average_logprob, abs=0.05)
        assert segment.no_speech_probability == pytest.approx(other.no_speech_probability, abs=0.05)


@pytest.mark.needs_model
def test_scores_are_those_of_faster_whisper(
    recognizer: Any, reference: Any, window: WindowAudio
) -> None:
    ours = recognizer.score(window, TEXTS, settings())
    theirs = reference.score(window, TEXTS, settings())
    assert ours == pytest.approx(theirs, rel=0.15, abs=0.5)


def test_a_text_that_was_said_scores_best(recognizer: Any, window: WindowAudio) -> None:
    said, alike, other, _ = recognizer.score(window, TEXTS, settings())
    assert other < alike < said < 0 or other < said < alike < 0
    assert other < said - 10


def test_texts_scored_together_score_as_they_do_alone(recognizer: Any, window: WindowAudio) -> None:
    many = [*TEXTS] * 3
    together = recognizer.score(window, many, settings())
    alone = [recognizer.score(window, [one], settings())[0] for one in TEXTS]
    assert together == pytest.approx(alone * 3, abs=1e-3)
    assert recognizer.score(window, [], settings()) == ()


def test_a_score_asks_for_no_prompt(recognizer: Any, window: WindowAudio) -> None:
    prompted = replace(window, bias=WindowBias(bias_window_id=1, terms=("Brannock",)))
    found = recognizer.score(prompted, TEXTS[:2], settings(initial_prompt="Brannock"))
    assert found == recognizer.score(window, TEXTS[:2], settings())


def test_a_text_longer_than_any_window_is_no_trouble(recognizer: Any, window: WindowAudio) -> None:
    [score] = recognizer.score(window, [" Brannock" * 400], settings())
    assert np.isfinite(score)


# --- how it decodes ------------------------------------------------------------


def test_a_window_is_encoded_once(
    recognizer: Any, window: WindowAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hearing it again and scoring texts for it cost the decoder alone."""
    decode(recognizer, [window])
    encoded: list[int] = []
    encode = recognizer._engine.encode

    def watched(windows: Sequence[Any]) -> Any:
        encoded.append(len(windows))
        return encode(windows)

    monkeypatch.setattr(recognizer._engine, "encode", watched)
    decode(recognizer, [window], beam_size=1)
    recognizer.score(window, TEXTS, settings())
    recognizer.detect_language([window.pcm])
    assert sum(encoded) == 0
    assert len(recognizer._encoded) <= ENCODINGS_KEPT


def test_repetition_is_forbidden_when_asked(recognizer: Any, window: WindowAudio) -> None:
    """With runs of one forbidden, no token comes twice: it says other words."""
    [plain] = decode(recognizer, [window], beam_size=1)
    [forbidden] = decode(recognizer, [window], beam_size=1, no_repeat_ngram=1)
    assert text(plain).count(" the") > 1
    assert text(forbidden).count(" the") == 1
    [penalized] = decode(recognizer, [window], beam_size=1, repetition_penalty=5.0)
    assert text(penalized) != text(plain)


def test_weights_in_eight_bits_hear_the_same(
    kind: Kind, model: Path, recognizer: Any, window: WindowAudio
) -> None:
    light = kind.load(model, compute_type="int8")
    assert light.compute_type == "int8_float32"
    [ours], [whole] = decode(light, [window]), decode(recognizer, [window])
    assert text(ours).split()[:5] == text(whole).split()[:5]


def test_the_best_device_here_is_taken(kind: Kind, model: Path) -> None:
    loaded = kind.load(model, device="auto")
    assert loaded.device in {"cpu", "mps", "cuda:0"}
    usual = "float32" if loaded.device == "cpu" else "float16"
    assert loaded.compute_type == usual


def test_output_that_is_not_a_number_is_an_error_that_may_be_retried(
    kind: Kind, model: Path, window: WindowAudio
) -> None:
    broken = kind.load(model)
    encode = broken._engine.encode
    broken._engine.encode = lambda windows: [one * float("nan") for one in encode(windows)]
    with pytest.raises(FloatingPointError):
        decode(broken, [window])


def test_memory_that_runs_out_is_a_memory_error(
    recognizer: Any, window: WindowAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("[malloc] Unable to allocate 99 bytes.")

    monkeypatch.setattr(recognizer._engine, "begin", fail)
    with pytest.raises(MemoryError, match=r"out of memory: .*99 bytes"):
        decode(recognizer, [window])


@pytest.mark.parametrize(
    "message",
    [
        "[metal::malloc] Attempting to allocate 9 bytes which is greater than the maximum",
        "[malloc_or_wait] Unable to allocate 9 bytes.",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.",
        "MPS backend out of memory (MPS allocated: 9.00 GB)",
        "CUDA out of memory. Tried to allocate 9.00 GiB.",
    ],
)
def test_what_the_libraries_say_of_memory_is_understood(message: str) -> None:
    with pytest.raises(MemoryError, match="out of memory"), memory_errors():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match="shapes"), memory_errors():
        raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("asked", "device", "name"),
    [
        ("default", "cpu", "float32"), ("auto", "mps", "float16"), ("default", "cuda", "float16"),
        ("bfloat16", "cuda", "bfloat16"), ("int8", "cpu", "int8_float32"),
        ("int8", "mps", "int8_float16"), ("int8_float16", "cuda", "int8_float16"),
    ],
)  # fmt: skip
def test_compute_types_depend_on_the_device(asked: str, device: str, name: str) -> None:
    assert number_format(asked, device).name == name


def test_memory_that_runs_out_while_loading_is_a_memory_error(
    kind: Kind, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a fault of the model."""

    def fail(*_: Any) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 9.00 GiB.")

    module = importlib.import_module(f"{RECOGNIZERS}.{kind.name}")
    monkeypatch.setattr(module, "_load_model", fail)
    with pytest.raises(MemoryError, match="out of memory"):
        kind.load(model)


# --- models that are not whole -------------------------------------------------


def test_missing_weights_are_not_made_up(kind: Kind, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / kind.weights
    weights = load_file(file)
    gone = next(name for name in sorted(weights) if "encoder" in name and name.endswith("weight"))
    del weights[gone]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are missing") as caught:
        kind.load(tmp_path / "model")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("left", [0, 7, 1_000, 20_000_000])
def test_weights_that_were_cut_short_can_not_be_loaded(
    kind: Kind, model: Path, tmp_path: Path, left: int
) -> None:
    shutil.copytree(model, tmp_path / "model")
    os.truncate(tmp_path / "model" / kind.weights, left)
    with pytest.raises(ModelError):
        kind.load(tmp_path / "model")


def test_weights_of_another_size_can_not_be_loaded(kind: Kind, model: Path, tmp_path: Path) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / kind.weights
    weights = load_file(file)
    name = next(name for name in sorted(weights) if name.endswith(("fc1.bias", "mlp1.bias")))
    weights[name] = weights[name][:-8]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelError):
        kind.load(tmp_path / "model")


# --- what is missing -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "blocked"),
    [("mlx", "mlx"), ("mlx", "mlx_whisper"), ("transformers", "torch"),
     ("transformers", "transformers")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(name: str, blocked: str) -> None:
    code = (
        f"import sys; sys.modules[{blocked!r}] = None\n"
        f"import longscribe.adapters.recognizers.{name}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "RecognizerError" in last
    assert f"longscribe[{name}]" in last


# --- MLX -----------------------------------------------------------------------


@pytest.fixture
def mlx() -> Any:
    if not is_here("mlx_whisper"):
        pytest.skip("mlx_whisper is not installed")
    return importlib.import_module(f"{RECOGNIZERS}.mlx")


def test_mlx_reads_models_that_were_converted_with_fewer_bits(
    mlx: Any, kind: Kind, model: Path, tmp_path: Path, window: WindowAudio
) -> None:
    """As mlx-examples' convert.py writes them; the compute type can't make them wider."""
    if kind is not MLX:
        pytest.skip("for mlx")
    network = kind.load(model)._engine.model
    mlx.mlx.nn.quantize(network, group_size=64, bits=8)
    weights = dict(mlx.mlx.utils.tree_flatten(network.parameters()))
    mlx.mx.save_safetensors(str(tmp_path / kind.weights), weights)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["quantization"] = {"group_size": 64, "bits": 8}
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = kind.load(tmp_path, compute_type="float32")
    assert loaded.compute_type == "int8_float32"
    [result] = decode(loaded, [window], word_times=False, beam_size=1)
    assert text(result).startswith(" It begins in the north")


def test_mlx_keeps_little_for_reuse(mlx: Any, window: WindowAudio, recognizer: Any) -> None:
    """What it holds between batches is given back by the worker: tests/adapters/test_memory.py."""
    if recognizer.device != "cpu" or type(recognizer._engine).__name__ != "MlxEngine":
        pytest.skip("for mlx")
    decode(recognizer, [window])
    memory = open_memory()
    assert memory.read().kept <= MLX_CACHE
    memory.release()
    assert memory.read().kept == 0
    assert memory.read().allocated > 0, "the model"


def test_mlx_needs_no_torch_to_run(mlx: Any) -> None:
    """mlx-whisper asks for it when it is installed."""
    code = "import longscribe.adapters.recognizers.mlx, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# --- torch ---------------------------------------------------------------------


@pytest.mark.needs_model
def test_steps_of_one_shape_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, window: WindowAudio
) -> None:
    """As on Apple's MPS, which keeps memory for each shape that it meets."""
    pytest.importorskip("transformers")
    model = exported(TRANSFORMERS.format, tmp_path_factory)
    usual, fixed = TRANSFORMERS.load(model), TRANSFORMERS.load(model)
    fixed._engine.fixed = True
    windows = [window, window_of(1.0, 7.2, ("Annabell",))]
    for beams in (1, 3):
        ours = decode(fixed, windows, beam_size=beams)
        assert list(map(text, ours)) == list(map(text, decode(usual, windows, beam_size=beams)))


def test_alignment_heads_that_do_not_exist_are_not_used() -> None:
    pytest.importorskip("transformers")
    module = importlib.import_module(f"{RECOGNIZERS}.transformers")

    class Model:
        class config:
            decoder_layers, decoder_attention_heads = 4, 2

        class generation_config:
            alignment_heads = [[1, 1], [3, 0]]

    assert module._alignment_heads(Model) == [(1, 1), (3, 0)]
    upper_half = [(2, 0), (2, 1), (3, 0), (3, 1)]
    Model.generation_config.alignment_heads = [[7, 0]]
    assert module._alignment_heads(Model) == upper_half
    Model.generation_config.alignment_heads = None
    assert module._alignment_heads(Model) == upper_half
