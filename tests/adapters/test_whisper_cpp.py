"""What is whisper.cpp's own: that it does with tokens what we say, and how it is loaded.

What every recognizer must do stands in tests/ports/test_recognizer_conformance.py.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("_pywhispercpp", reason="pywhispercpp is not installed")
pytest.importorskip("safetensors", reason="it exports the demo model")
pytest.importorskip("tokenizers", reason="it exports the demo model")

import _pywhispercpp as engine

from demo.score import word_error_rate
from longscribe.adapters.recognizers import whisper_cpp
from longscribe.adapters.recognizers.ggml_file import GgmlHeader, read_vocabulary
from longscribe.config import Options
from longscribe.errors import ModelError, RecognizerError
from longscribe.ports import WindowAudio
from longscribe.types import NO_PROMPT, SAMPLE_RATE, Span, Window, WindowBias, WindowResult
from tests.adapters.test_ggml_models import write_model
from tests.e2e.support import (
    GLOSSARY,
    MODEL,
    document,
    longscribe,
    outputs,
    reference,
    sample_audio,
    write_flac,
)
from tests.exports import exported

pytestmark = pytest.mark.skipif(
    not (MODEL / "model.bin").is_file(), reason=f"{MODEL} has no model.bin"
)

RATE = SAMPLE_RATE
OPTIONS = Options(recognizer="whisper.cpp", language="en", device="cpu")
FIRST = (1.0, 7.2)
"""Seconds of the sample: *Good evening. My name is Annabell, and …*"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("ggml", tmp_path_factory)


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Any:
    return whisper_cpp.load(OPTIONS.recognizer_settings, str(model))


@pytest.fixture(scope="module")
def pcm() -> np.ndarray:
    return sample_audio()[round(FIRST[0] * RATE) : round(FIRST[1] * RATE)]


def hear(recognizer: Any, pcm: np.ndarray, terms: Sequence[str] = ()) -> WindowResult:
    span = Span(start=0, end=len(pcm))
    window = Window(index=0, span=span, owns=span, speech=span.length)
    bias = WindowBias(bias_window_id=0 if terms else None, terms=tuple(terms))
    audio = WindowAudio(window=window, bias=bias, pcm=pcm)
    ((result,),) = recognizer.decode([audio], OPTIONS.decode_settings, 0)
    return result


def text(result: WindowResult) -> str:
    return "".join(segment.text for segment in result.segments).strip()


# --- what whisper.cpp does with a prompt ---------------------------------------


def probabilities(recognizer: Any, pcm: np.ndarray, prompt: str | list[int]) -> list[float]:
    """Return how likely whisper.cpp found each token that it wrote behind a prompt."""
    params = recognizer._decode_params(OPTIONS.decode_settings, NO_PROMPT)
    if isinstance(prompt, str):
        params.initial_prompt = prompt
    elif prompt:
        params.set_prompt_tokens(prompt)
    samples = pcm.astype(np.float32) / 32768
    assert engine.whisper_full(recognizer._context, params, samples, len(samples)) == 0
    count = engine.whisper_full_n_tokens(recognizer._context, 0)
    return [engine.whisper_full_get_token_p(recognizer._context, 0, n) for n in range(count)]


def test_tokens_are_a_prompt_as_its_text_is(recognizer: Any, pcm: np.ndarray) -> None:
    said = " My name is the story"
    tokens = recognizer._tokens.encode(said)
    # whisper.cpp spells by its own rule; only where it counts the same do we compare.
    assert -engine.whisper_tokenize(recognizer._context, said, 0, 0) == len(tokens)
    given = probabilities(recognizer, pcm, tokens)
    assert given == probabilities(recognizer, pcm, said)
    assert given != probabilities(recognizer, pcm, [])


def test_all_of_the_last_223_tokens_count_and_none_before(recognizer: Any, pcm: np.ndarray) -> None:
    one, other = recognizer._tokens.encode(" tower")[0], recognizer._tokens.encode(" bread")[0]
    filler = recognizer._tokens.encode(" the")[0]
    full = probabilities(recognizer, pcm, [one] + [filler] * 222)
    assert full != probabilities(recognizer, pcm, [other] + [filler] * 222)
    assert full == probabilities(recognizer, pcm, [other, one] + [filler] * 222)


def test_a_window_does_not_hear_the_one_before_it(recognizer: Any, pcm: np.ndarray) -> None:
    before = probabilities(recognizer, pcm, [])
    hear(recognizer, pcm, ["Annabell", "Brannock"])
    assert probabilities(recognizer, pcm, []) == before


def test_a_window_is_gone_through_once(recognizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise whisper.cpp would go on with a prompt that nobody recorded."""
    passes: list[bool] = []
    assign = engine.assign_encoder_begin_callback

    class Spy:
        def assign_encoder_begin_callback(self, params: Any, callback: Any) -> None:
            def noted(*given: Any) -> bool:
                passes.append(callback(*given))
                return passes[-1]

            assign(params, noted)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

    monkeypatch.setattr(recognizer, "_engine", Spy())
    audio = sample_audio()
    long = audio[RATE : 30 * RATE].copy()
    long[8 * RATE : 22 * RATE] = 0  # two turns, far apart
    for window in (long, audio[: RATE // 2], np.zeros(5 * RATE, np.int16)):
        passes.clear()
        hear(recognizer, window, ["Annabell"])
        assert passes == [True]


def test_the_vocabulary_is_that_of_the_file(recognizer: Any, model: Path) -> None:
    vocabulary = read_vocabulary(model / "ggml-model.bin")
    bound = engine.whisper_token_to_bytes
    for number in range(0, recognizer._tokens.end, 101):
        assert bound(recognizer._context, number) == vocabulary[number].partition(b"\0")[0]
    assert recognizer._tokens.first_time == engine.whisper_token_beg(recognizer._context)


LONG = (1.0, 25.5)
"""Seconds of the sample: four turns with pauses between, most of a window."""


def test_without_timestamp_tokens_the_text_of_a_long_window_is_whole(recognizer: Any) -> None:
    start, end = LONG
    result = hear(recognizer, sample_audio()[round(start * RATE) : round(end * RATE)])
    count = engine.whisper_full_n_tokens(recognizer._context, 0)
    numbers = [engine.whisper_full_get_token_id(recognizer._context, 0, n) for n in range(count)]
    assert engine.whisper_full_n_segments(recognizer._context) == 1
    assert not [number for number in numbers if number >= recognizer._tokens.first_time]
    wanted = reference(end)  # it begins within the first second
    assert word_error_rate(wanted, text(result)) <= 0.15, text(result)
    assert text(result).split()[-1] == wanted.split()[-1], "to the last word"


def test_words_are_timed_by_attention_without_timestamp_tokens(recognizer: Any) -> None:
    start, end = LONG
    result = hear(recognizer, sample_audio()[round(start * RATE) : round(end * RATE)])
    words = [word for segment in result.segments for word in segment.words]
    times = [word.start / RATE for word in words]
    assert times == sorted(times)
    assert len(set(times)) > 0.9 * len(times), "each has its own"
    assert times[-1] > end - start - 3
    # Each turn's first word stands where the turn begins: 1.5, 7.8 and 13.6 s of the sample.
    for begins, word in ((1.5, "Good"), (7.8, "It"), (13.6, "Upon")):
        at = next(w.start / RATE for w in words if w.text.strip() == word)
        assert at + start == pytest.approx(begins, abs=0.6), word


def test_the_beam_changes_nothing(recognizer: Any, pcm: np.ndarray) -> None:
    """whisper.cpp's beam search draws lots, so the search is greedy."""
    assert hear(recognizer, pcm) == hear(recognizer, pcm)
    params = recognizer._decode_params(OPTIONS.decode_settings, NO_PROMPT)
    assert params.strategy == engine.WHISPER_SAMPLING_GREEDY
    assert (params.temperature, params.temperature_inc) == (0.0, 0.0)


# --- loading -------------------------------------------------------------------


def test_a_file_is_loaded_as_its_folder_is(recognizer: Any, model: Path, pcm: np.ndarray) -> None:
    other = whisper_cpp.load(OPTIONS.recognizer_settings, str(model / "ggml-model.bin"))
    assert hear(other, pcm) == hear(recognizer, pcm)
    assert (other.device, other.compute_type) == ("cpu", "float16")


def test_what_whisper_cpp_can_not_load_is_an_error_of_ours(tmp_path: Path) -> None:
    """All is there, but nothing has the right name; the context is null then."""
    write_model(tmp_path / "ggml-odd.bin")
    with pytest.raises(ModelError, match="can't be loaded"):
        whisper_cpp.load(OPTIONS.recognizer_settings, str(tmp_path))


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_gpu_that_the_build_does_not_know_is_refused(device: str, model: Path) -> None:
    built = engine.whisper_print_system_info()
    if any(f"{name} : " in built for name in whisper_cpp.GPUS[device.partition(":")[0]]):
        pytest.skip("this build knows it")
    settings = Options(recognizer="whisper.cpp", device=device).recognizer_settings
    with pytest.raises(RecognizerError, match=f"can't use '{device}'"):
        whisper_cpp.load(settings, str(model))


@pytest.mark.parametrize("asked", ["default", "auto", "float16", "int8", "int8_float16"])
def test_what_the_ladder_asks_for_is_not_refused(asked: str, model: Path) -> None:
    settings = Options(recognizer="whisper.cpp", compute_type=asked).recognizer_settings
    assert whisper_cpp.load(settings, str(model)).compute_type == "float16"


@pytest.mark.parametrize(
    ("told", "device"),
    [
        ("whisper_backend_init_gpu: no GPU found", "cpu"),
        ("whisper_backend_init_gpu: using CUDA1 backend", "cuda:1"),
        ("whisper_backend_init_gpu: using MTL0 backend", "mps"),
        ("whisper_backend_init_gpu: using Metal backend", "mps"),
        ("whisper_backend_init_gpu: using Vulkan0 backend", "vulkan"),
    ],
)
def test_the_device_is_the_one_that_was_taken(
    told: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper_cpp, "_log", [(2, "whisper_model_load: type"), (2, told)])
    assert whisper_cpp._device_used() == device


@pytest.mark.parametrize(
    ("layers", "vocabulary", "mels", "name", "heads"),
    [
        ((4, 4), 51864, 80, "ggml-tiny.en.bin", "TINY_EN"),
        ((24, 24), 51865, 80, "ggml-medium-q5_0.bin", "MEDIUM"),
        ((32, 32), 51865, 80, "ggml-large-v1.bin", "LARGE_V1"),
        ((32, 32), 51865, 80, "mine.bin", "LARGE_V2"),
        ((32, 32), 51866, 128, "ggml-large-v3.bin", "LARGE_V3"),
        ((32, 4), 51866, 128, "ggml-large-v3-turbo.bin", "LARGE_V3_TURBO"),
        ((32, 2), 51866, 128, "ggml-distil-large-v3.bin", "N_TOP_MOST"),
        ((6, 4), 51865, 80, "ggml-model.bin", "N_TOP_MOST"),
    ],
)
def test_each_size_has_its_alignment_heads(
    layers: tuple[int, int], vocabulary: int, mels: int, name: str, heads: str
) -> None:
    header = GgmlHeader(
        vocabulary=vocabulary,
        audio_layers=layers[0],
        text_layers=layers[1],
        text_heads=20,
        mels=mels,
        format="float16",
    )
    assert whisper_cpp._alignment_heads(header, name) == heads
    assert hasattr(engine, f"WHISPER_AHEADS_{heads}")
    params = whisper_cpp._context_params(OPTIONS.recognizer_settings, header, Path(name))
    assert params.dtw_mem_size >= 128 * 2**20


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "_pywhispercpp", None)
    monkeypatch.delitem(sys.modules, "longscribe.adapters.recognizers.whisper_cpp")
    with pytest.raises(RecognizerError, match=r"longscribe\[whisper-cpp\]"):
        importlib.import_module("longscribe.adapters.recognizers.whisper_cpp")


# --- the command ---------------------------------------------------------------


def test_the_command_writes_the_same_twice(model: Path, tmp_path: Path) -> None:
    media = write_flac(tmp_path / "play.flac", sample_audio()[: 50 * RATE])
    found = []
    for out in (tmp_path / "one", tmp_path / "two"):
        run = ["transcribe", media, "--recognizer", "whisper.cpp", "--model", model, "-o", out]
        done = longscribe(*run, "--glossary", GLOSSARY, "--bias", "prompt", "--quiet")
        assert done.status == 0, done.err
        found.append(outputs(out, "play"))
    assert found[0] == found[1]
    said = document(tmp_path / "one", "play")
    heard = " ".join(segment["text"] for segment in said["segments"])
    assert word_error_rate(reference(49.5), heard) <= 0.15, heard
    assert all(window["prompt"]["tokens"] for window in said["windows"])


def test_a_half_fetched_model_ends_the_job_with_one_line(model: Path, tmp_path: Path) -> None:
    (tmp_path / "ggml-tiny.bin").write_bytes((model / "ggml-model.bin").read_bytes()[:-4096])
    media = write_flac(tmp_path / "play.flac", sample_audio()[: 5 * RATE])
    done = longscribe(
        "transcribe", media, "--recognizer", "whisper.cpp", "--model", tmp_path, "-o", tmp_path
    )
    assert done.status == 1
    assert "not complete" in done.error_line()
