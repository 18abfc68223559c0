"""What every recognizer must do. Add one to `RECOGNIZERS` and it is held to this.

It runs in this process: the tests look at what reaches the decoder.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil
import pytest

from demo.score import word_error_rate
from longscribe.adapters.recognizers.models import find_ct2_model
from longscribe.config import DecodeSettings, Options, RecognizerSettings, Task
from longscribe.errors import LongscribeError, ModelError, RecognizerError
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias, WindowResult
from tests.e2e.support import MODEL, ROOT, sample_audio

pytestmark = pytest.mark.needs_model

RATE = SAMPLE_RATE
TURNS = (  # seconds of the sample, and what is said there
    (1.0, 7.2, "Good evening. My name is Annabell, and this is the story of a light that did not go out."),
    (7.3, 13.1, "It begins in the north, in the land of Brannock, where the road ends and the sea begins."),
    (13.1, 18.2, "Upon the rocks there is a tower. The people of Brannock call it Harwick."),
    (42.3, 49.2, "Rosalynd is the captain of the Marygold, a small ship that carries bread, oil and letters to the island."),
)  # fmt: skip
NAMES = (("Annabell",), ("Brannock", "Rosalynd"), ("Harwick", "Brannock"), ("Rosalynd", "Marygold"))


@dataclass(frozen=True)
class Installed:
    """A recognizer to test.

    Args:
        name: as in `--recognizer`.
        module: where its `load` is.
        model: the model to load.
        spy: replaces a loaded recognizer's decoder by one that notes the token ids it is given.
    """

    name: str
    module: str
    model: str
    spy: Callable[[Any, pytest.MonkeyPatch], list[list[list[int]]]]


def _spy_on_ctranslate2(recognizer: Any, patch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    seen: list[list[list[int]]] = []
    engine = recognizer._engine

    class Spy:
        def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
            seen.append([list(prompt) for prompt in prompts])
            return engine.generate(features, prompts, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

    patch.setattr(recognizer, "_engine", Spy())
    return seen


RECOGNIZERS = [
    Installed(
        name="faster-whisper",
        module="longscribe.adapters.recognizers.faster_whisper",
        model=str(MODEL),
        spy=_spy_on_ctranslate2,
    ),
]


@pytest.fixture(scope="module", params=RECOGNIZERS, ids=lambda installed: installed.name)
def installed(request: pytest.FixtureRequest) -> Installed:
    return request.param


def engine_settings(installed: Installed, **changes: Any) -> RecognizerSettings:
    options = Options(recognizer=installed.name, model=installed.model, device="cpu")
    return replace(options.recognizer_settings, **changes)


def load(installed: Installed, **changes: Any) -> Recognizer:
    factory = importlib.import_module(installed.module).load
    return factory(engine_settings(installed, **changes), installed.model)


@pytest.fixture(scope="module")
def recognizer(installed: Installed) -> Recognizer:
    return load(installed)


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    return sample_audio()[: 60 * RATE]


def settings(**changes: Any) -> DecodeSettings:
    options = Options(language="en", beam_size=2)
    return replace(options.decode_settings, **changes)


def window_at(index: int, start: float, end: float) -> Window:
    span = Span(start=round(start * RATE), end=round(end * RATE))
    return Window(index=index, span=span, owns=span, speech=span.length)


def windows_of(
    audio: np.ndarray, terms: Sequence[tuple[str, ...]] = ((),) * 4
) -> list[WindowAudio]:
    found = []
    for index, ((start, end, _), names) in enumerate(zip(TURNS, terms, strict=True)):
        window = window_at(index, start, end)
        bias = WindowBias(bias_window_id=index if names else None, terms=names)
        pcm = audio[window.span.start : window.span.end]
        found.append(WindowAudio(window=window, bias=bias, pcm=pcm))
    return found


def decode(
    recognizer: Recognizer, windows: Sequence[WindowAudio], chosen: DecodeSettings
) -> list[WindowResult]:
    """Return the results in the order of the windows; each must come once."""
    results = [result for batch in recognizer.decode(windows, chosen, 5) for result in batch]
    by_index = {result.window.index: result for result in results}
    assert sorted(by_index) == sorted(window.window.index for window in windows)
    assert len(results) == len(windows)
    return [by_index[window.window.index] for window in windows]


def text(result: WindowResult) -> str:
    return "".join(segment.text for segment in result.segments).strip()


# --- what is said ------------------------------------------------------------


def test_it_says_what_it_is(recognizer: Recognizer) -> None:
    assert recognizer.device
    assert recognizer.compute_type
    assert recognizer.capabilities.languages


def test_it_hears_what_is_said(recognizer: Recognizer, audio: np.ndarray) -> None:
    results = decode(recognizer, windows_of(audio, NAMES), settings())
    for result, (_, _, said) in zip(results, TURNS, strict=True):
        assert word_error_rate(said, text(result)) <= 0.15, text(result)


def test_results_say_where_they_belong(recognizer: Recognizer, audio: np.ndarray) -> None:
    windows = windows_of(audio, NAMES)
    for given, result in zip(windows, decode(recognizer, windows, settings()), strict=True):
        assert result.window == given.window
        assert result.bias_window_id == given.bias.bias_window_id
        assert set(result.prompt.terms) <= set(given.bias.terms)
        for segment in result.segments:
            assert (segment.chunk_id, segment.window) == (5, given.window.index)
            assert segment.bias_window_id == given.bias.bias_window_id
            assert segment.bias_terms == result.prompt.terms


def test_times_lie_in_the_window_and_in_order(recognizer: Recognizer, audio: np.ndarray) -> None:
    for result in decode(recognizer, windows_of(audio), settings()):
        span = result.window.span
        position = span.start
        for segment in result.segments:
            assert position <= segment.start <= segment.end <= span.end
            position = segment.start
            last = segment.start
            for word in segment.words:
                assert last <= word.start <= word.end <= segment.end
                last = word.start
            assert "".join(word.text for word in segment.words) == segment.text


def test_words_stand_where_they_are_spoken(recognizer: Recognizer, audio: np.ndarray) -> None:
    """Each turn of the sample begins about half a second into its window."""
    for result, (start, end, _) in zip(
        decode(recognizer, windows_of(audio), settings()), TURNS, strict=True
    ):
        words = [word for segment in result.segments for word in segment.words]
        assert words[0].start / RATE == pytest.approx(start + 0.5, abs=0.5)
        assert end - 2.0 < words[-1].end / RATE <= end


def test_silence_has_no_words_or_few(recognizer: Recognizer) -> None:
    window = window_at(0, 100, 110)
    bias = WindowBias(bias_window_id=None, terms=())
    quiet = WindowAudio(window=window, bias=bias, pcm=np.zeros(window.span.length, np.int16))
    [result] = decode(recognizer, [quiet], settings())
    assert len(text(result).split()) <= 3


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.5])
def test_a_very_short_window_is_no_trouble(recognizer: Recognizer, seconds: float) -> None:
    window = window_at(0, 3, 3 + seconds)
    bias = WindowBias(bias_window_id=None, terms=())
    short = WindowAudio(window=window, bias=bias, pcm=np.zeros(window.span.length, np.int16))
    [result] = decode(recognizer, [short], settings())
    for segment in result.segments:
        assert window.span.start <= segment.start <= segment.end <= window.span.end


def test_no_windows_are_no_trouble(recognizer: Recognizer) -> None:
    assert list(recognizer.decode([], settings(), 0)) == []


def test_words_only_when_asked_for(recognizer: Recognizer, audio: np.ndarray) -> None:
    with_words = decode(recognizer, windows_of(audio)[:2], settings())
    without = decode(recognizer, windows_of(audio)[:2], settings(word_times=False))
    assert [text(result) for result in with_words] == [text(result) for result in without]
    assert all(segment.words == () for result in without for segment in result.segments)
    assert all(segment.words for result in with_words for segment in result.segments)
    assert all(segment.end > segment.start for result in without for segment in result.segments)


def test_the_samples_are_only_read(recognizer: Recognizer, audio: np.ndarray) -> None:
    """They are a map of the spool, which may not be written."""
    windows = windows_of(audio)[:1]
    pcm = windows[0].pcm.copy()
    pcm.setflags(write=False)
    before = pcm.copy()
    decode(recognizer, [replace(windows[0], pcm=pcm)], settings())
    assert np.array_equal(pcm, before)


# --- batches -----------------------------------------------------------------


def test_windows_decoded_together_say_what_they_say_alone(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    """Without a prompt, exactly; with one, the padding of a batch may differ."""
    plain = windows_of(audio)
    together = decode(recognizer, plain, settings(batch_size=8))
    alone = [decode(recognizer, [window], settings(batch_size=1))[0] for window in plain]
    assert [text(result) for result in together] == [text(result) for result in alone]
    biased = windows_of(audio, NAMES)
    together = decode(recognizer, biased, settings(batch_size=8))
    alone = [decode(recognizer, [window], settings(batch_size=1))[0] for window in biased]
    for one, other in zip(together, alone, strict=True):
        assert word_error_rate(text(other), text(one)) <= 0.1


def test_no_batch_is_larger_than_asked(recognizer: Recognizer, audio: np.ndarray) -> None:
    batches = list(recognizer.decode(windows_of(audio), settings(batch_size=3), 0))
    assert all(len(batch) <= 3 for batch in batches)
    firsts = [batch[0].window.index for batch in batches]
    assert firsts == sorted(firsts), "early windows come first"


def test_batches_come_one_by_one(recognizer: Recognizer, audio: np.ndarray) -> None:
    """Progress is reported batch by batch, so a hang is noticed."""
    results = recognizer.decode(windows_of(audio), settings(batch_size=1), 0)
    assert isinstance(results, Iterator)
    assert next(results)[0].window.index == 0


def test_the_same_again_is_the_same(recognizer: Recognizer, audio: np.ndarray) -> None:
    windows = windows_of(audio, NAMES)
    assert decode(recognizer, windows, settings()) == decode(recognizer, windows, settings())


# --- prompts -----------------------------------------------------------------


def _without_repeats(sequence: list[int], known: Sequence[int]) -> bool:
    """Tell whether `known` stands in `sequence`, as one piece."""
    length = len(known)
    return any(sequence[at : at + length] == list(known) for at in range(len(sequence)))


def test_the_prompts_recorded_are_those_the_decoder_was_given(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = installed.spy(recognizer, monkeypatch)
    results = decode(recognizer, windows_of(audio, NAMES), settings(batch_size=8))
    given = [prompt for batch in seen for prompt in batch]
    assert len(given) == len(results)
    assert len({tuple(prompt) for prompt in given}) == len(results), "each window has its own"
    for result in results:
        assert result.prompt.token_ids
        found = [p for p in given if _without_repeats(p, result.prompt.token_ids)]
        assert len(found) == 1
        # A mark of what came before, the prompt, and the start of the answer; nothing else.
        assert 2 <= len(found[0]) - len(result.prompt.token_ids) <= 5


def test_terms_that_do_not_fit_are_not_claimed(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = installed.spy(recognizer, monkeypatch)
    many = tuple(f"Wilhelmina{number}" for number in range(100))
    [result] = decode(
        recognizer, windows_of(audio, (many, (), (), ()))[:1], settings(prompt_tokens=40)
    )
    assert 0 < len(result.prompt.terms) < 100
    assert result.prompt.terms == many[: len(result.prompt.terms)], "the best come first"
    assert len(result.prompt.token_ids) <= 40
    assert len(seen[0][0]) <= 40 + 5


def test_windows_with_and_without_a_prompt_can_be_asked_together(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = installed.spy(recognizer, monkeypatch)
    mixed = windows_of(audio, ((), ("Brannock",), (), ("Rosalynd", "Marygold")))
    results = decode(recognizer, mixed, settings(batch_size=8))
    assert [bool(result.prompt.token_ids) for result in results] == [False, True, False, True]
    assert all(len({len(prompt) for prompt in batch}) == 1 for batch in seen)
    assert "Brannock" in text(results[1])


def test_an_initial_prompt_reaches_the_decoder(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = installed.spy(recognizer, monkeypatch)
    chosen = settings(initial_prompt="A story of the sea.")
    results = decode(recognizer, windows_of(audio, (NAMES[0], (), (), ())), chosen)
    for result in results:
        assert "A story of the sea." in result.prompt.text
    plain = decode(recognizer, windows_of(audio), settings())
    assert all(result.prompt.token_ids == () for result in plain)
    assert len(seen[-1][0]) < len(seen[0][0])


def test_the_whole_budget_still_leaves_room_for_the_answer(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    many = tuple(f"Name{number}" for number in range(300))
    [result] = decode(recognizer, windows_of(audio, (many, (), (), ()))[:1], settings())
    assert len(result.prompt.token_ids) <= 223
    assert isinstance(text(result), str)


# --- language, task, memory, errors ------------------------------------------


def test_the_language_is_told_from_several_windows(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    guess = recognizer.detect_language([window.pcm for window in windows_of(audio)])
    assert guess.language == "en"
    assert 0 < guess.probability <= 1
    assert guess.language in recognizer.capabilities.languages


def test_it_translates_if_it_says_so(recognizer: Recognizer, audio: np.ndarray) -> None:
    if not recognizer.capabilities.translate:
        pytest.skip("this model does not translate")
    [result] = decode(recognizer, windows_of(audio)[:1], settings(task=Task.TRANSLATE))
    assert isinstance(text(result), str)


def test_memory_does_not_grow_from_chunk_to_chunk(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    process = psutil.Process()
    windows = windows_of(audio)[:2]
    for _ in range(2):
        decode(recognizer, windows, settings(beam_size=1))
    gc.collect()
    before = process.memory_info().rss
    for _ in range(5):
        decode(recognizer, windows, settings(beam_size=1))
    gc.collect()
    assert process.memory_info().rss - before < 60 * 2**20


def test_a_device_it_does_not_have_is_an_error_of_ours(installed: Installed) -> None:
    with pytest.raises(RecognizerError, match="--device"):
        load(installed, device="mps" if installed.name == "faster-whisper" else "abacus")


def test_a_compute_type_it_does_not_have_is_an_error_of_ours(installed: Installed) -> None:
    with pytest.raises(RecognizerError, match="int3"):
        load(installed, compute_type="int3")


def test_a_model_it_can_not_load_is_an_error_of_ours(installed: Installed, tmp_path) -> None:
    for name in ("config.json", "tokenizer.json", "vocabulary.json", "model.bin"):
        (tmp_path / name).write_text("{}")
    factory = importlib.import_module(installed.module).load
    with pytest.raises(LongscribeError) as caught:
        factory(engine_settings(installed), str(tmp_path))
    assert isinstance(caught.value, ModelError)
    assert str(tmp_path) in str(caught.value)


def test_the_demo_model_is_found_by_its_folder() -> None:
    found = find_ct2_model(str(ROOT / "demo" / "model"))
    assert found.path == MODEL
