"""What every recognizer must do. Add one to `RECOGNIZERS` and it is held to this.

It runs in this process: the tests look at what reaches the decoder. A recognizer whose
package is not installed is skipped. Only one:  pytest tests/ports -k faster-whisper
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import psutil
import pytest

from demo.score import word_error_rate
from longscribe import wiring
from longscribe.config import DecodeSettings, Options, RecognizerSettings, Task
from longscribe.errors import LongscribeError, ModelError, RecognizerError
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias, WindowResult
from tests.e2e.support import MODEL, sample_audio
from tests.exports import exported

RATE = SAMPLE_RATE
TURNS = (  # seconds of the sample, and what is said there
    (1.0, 7.2, "Good evening. My name is Annabell, and this is the story of a light that did not go out."),
    (7.3, 13.1, "It begins in the north, in the land of Brannock, where the road ends and the sea begins."),
    (13.1, 18.2, "Upon the rocks there is a tower. The people of Brannock call it Harwick."),
    (42.3, 49.2, "Rosalynd is the captain of the Marygold, a small ship that carries bread, oil and letters to the island."),
)  # fmt: skip
NAMES = (("Annabell",), ("Brannock", "Rosalynd"), ("Harwick", "Brannock"), ("Rosalynd", "Marygold"))


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A recognizer to test, and what to expect of it.

    Args:
        name: as in `--recognizer`.
        module: where its `load` is.
        package: what must be installed.
        format: of the demo model, as `tools.demo_model.export` calls it; `shipped` is the one
            in the repository, `own` the model that the recognizer brings.
        spy: replaces a loaded recognizer's decoder by one that notes the token ids it is given.
            None: it is not given tokens, but terms.
        around: how many tokens may stand around a prompt in what the spy sees.
        word_error: at most, in each turn of the sample.
        missing_device: one that it can't run on.
        align_model: as in `--align-model`.
    """

    name: str
    module: str
    package: str
    format: str
    spy: Callable[[Any, pytest.MonkeyPatch], list[list[list[int]]]] | None
    around: range
    word_error: float = 0.15
    missing_device: str = "abacus"
    align_model: str = "auto"

    def model(self, factory: pytest.TempPathFactory) -> str:
        if self.format == "shipped":
            return str(MODEL)
        if self.format == "own":
            return Options.model_fields["model"].default
        return str(exported(self.format, factory))

    def why_not(self) -> str | None:
        """Return why it can't be tested here."""
        if importlib.util.find_spec(self.package) is None:
            return f"{self.package} is not installed"
        if self.format != "own" and not (MODEL / "model.bin").is_file():
            return f"{MODEL} has no model.bin"
        needed = () if self.format in {"own", "shipped"} else ("safetensors", "tokenizers")
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        return f"{', '.join(missing)} must export its model" if missing else None


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


def _spy_on_whisperx(recognizer: Any, patch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """WhisperX itself turns the text of a prompt into tokens: look behind that."""
    seen: list[list[list[int]]] = []
    model = recognizer._pipeline.model
    engine = model.model

    class Spy:
        def generate(self, features: Any, prompts: list[list[int]], **options: Any) -> Any:
            seen.append([list(prompt) for prompt in prompts])
            return engine.generate(features, prompts, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

    patch.setattr(model, "model", Spy())
    return seen


def _spy_on_whisper_cpp(recognizer: Any, patch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """What whisper.cpp then does with these tokens: tests/adapters/test_whisper_cpp.py."""
    seen: list[list[list[int]]] = []
    engine = recognizer._engine

    class Spy:
        def whisper_full(self, context: Any, params: Any, *audio: Any) -> Any:
            assert params.initial_prompt == ""
            seen.append([list(params.prompt_tokens)])
            return engine.whisper_full(context, params, *audio)

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

    patch.setattr(recognizer, "_engine", Spy())
    return seen


def _spy_on_whisper_engine(recognizer: Any, patch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    seen: list[list[list[int]]] = []
    begin = recognizer._engine.begin

    def watched(encoded: Any, prompts: Sequence[Sequence[int]]) -> Any:
        seen.append([list(prompt) for prompt in prompts])
        return begin(encoded, prompts)

    patch.setattr(recognizer._engine, "begin", watched)
    return seen


RECOGNIZERS = [
    Installed(
        name="faster-whisper",
        module="longscribe.adapters.recognizers.faster_whisper",
        package="faster_whisper",
        format="shipped",
        spy=_spy_on_ctranslate2,
        # A mark of what came before, the prompt, and the start of the answer; nothing else.
        around=range(2, 6),
        missing_device="mps",
    ),
    Installed(
        name="whisper.cpp",
        module="longscribe.adapters.recognizers.whisper_cpp",
        package="_pywhispercpp",
        format="ggml",
        spy=_spy_on_whisper_cpp,
        around=range(1),
    ),
    Installed(
        name="mlx",
        module="longscribe.adapters.recognizers.mlx",
        package="mlx_whisper",
        format="mlx",
        spy=_spy_on_whisper_engine,
        around=range(2, 6),
    ),
    Installed(
        name="transformers",
        module="longscribe.adapters.recognizers.transformers",
        package="transformers",
        format="hugging-face",
        spy=_spy_on_whisper_engine,
        around=range(2, 6),
    ),
    Installed(
        name="whisperx",
        module="longscribe.adapters.recognizers.whisperx",
        package="whisperx",
        format="shipped",
        spy=_spy_on_whisperx,
        around=range(2, 6),
        missing_device="mps",
        align_model="none",
    ),
    Installed(
        name="pocketsphinx",
        module="longscribe.adapters.recognizers.pocketsphinx",
        package="pocketsphinx",
        format="own",
        spy=None,
        around=range(1),
        word_error=0.5,
    ),
]


@pytest.fixture(scope="module", params=RECOGNIZERS, ids=lambda installed: installed.name)
def installed(request: pytest.FixtureRequest) -> Installed:
    reason = request.param.why_not()
    if reason:
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="module")
def model(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What `--model` says."""
    return installed.model(tmp_path_factory)


def engine_settings(installed: Installed, model: str, **changes: Any) -> RecognizerSettings:
    options = Options(
        recognizer=installed.name,
        model=model,
        device="cpu",
        align_model=installed.align_model,
    )
    return replace(options.recognizer_settings, **changes)


def load(installed: Installed, model: str, **changes: Any) -> Recognizer:
    factory = importlib.import_module(installed.module).load
    path = wiring.recognizer(installed.name).find_model(model).path
    return factory(engine_settings(installed, model, **changes), str(path))


@pytest.fixture(scope="module")
def recognizer(installed: Installed, model: str) -> Recognizer:
    return load(installed, model)


Spy = Callable[[], list[list[list[int]]]]


@pytest.fixture
def spy(installed: Installed, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> Spy:
    """Return what begins to note the token ids that reach the decoder."""
    if installed.spy is None:
        pytest.skip("it takes terms, not tokens")
    watch = installed.spy
    return lambda: watch(recognizer, monkeypatch)


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


def test_it_hears_what_is_said(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray
) -> None:
    results = decode(recognizer, windows_of(audio, NAMES), settings())
    for result, (_, _, said) in zip(results, TURNS, strict=True):
        assert word_error_rate(said, text(result)) <= installed.word_error, text(result)


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


def test_a_decode_that_is_given_up_leaves_nothing_behind(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    """A chunk is given up between two batches; the next one must not notice."""
    windows = windows_of(audio, NAMES)
    expected = decode(recognizer, windows[2:], settings(batch_size=1))
    given_up = recognizer.decode(windows, settings(batch_size=1), 0)
    next(given_up)
    given_up.close()
    assert list(given_up) == []
    assert decode(recognizer, windows[2:], settings(batch_size=1)) == expected


def test_the_same_again_is_the_same(recognizer: Recognizer, audio: np.ndarray) -> None:
    windows = windows_of(audio, NAMES)
    assert decode(recognizer, windows, settings()) == decode(recognizer, windows, settings())


# --- prompts -----------------------------------------------------------------


def _without_repeats(sequence: list[int], known: Sequence[int]) -> bool:
    """Tell whether `known` stands in `sequence`, as one piece."""
    length = len(known)
    return any(sequence[at : at + length] == list(known) for at in range(len(sequence)))


def test_the_terms_recorded_were_offered(recognizer: Recognizer, audio: np.ndarray) -> None:
    for result, names in zip(
        decode(recognizer, windows_of(audio, NAMES), settings()), NAMES, strict=True
    ):
        assert result.prompt.terms == names, "there is room for all of them"
        assert all(name in result.prompt.text for name in names)


def test_the_prompts_recorded_are_those_the_decoder_was_given(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, spy: Spy
) -> None:
    seen = spy()
    results = decode(recognizer, windows_of(audio, NAMES), settings(batch_size=8))
    given = [prompt for batch in seen for prompt in batch]
    assert len(given) == len(results)
    assert len({tuple(prompt) for prompt in given}) == len(results), "each window has its own"
    for result in results:
        assert result.prompt.token_ids
        found = [p for p in given if _without_repeats(p, result.prompt.token_ids)]
        assert len(found) == 1
        assert len(found[0]) - len(result.prompt.token_ids) in installed.around


def test_terms_that_do_not_fit_are_not_claimed(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, spy: Spy
) -> None:
    seen = spy()
    many = tuple(f"Wilhelmina{number}" for number in range(100))
    [result] = decode(
        recognizer, windows_of(audio, (many, (), (), ()))[:1], settings(prompt_tokens=40)
    )
    assert 0 < len(result.prompt.terms) < 100
    assert result.prompt.terms == many[: len(result.prompt.terms)], "the best come first"
    assert len(result.prompt.token_ids) <= 40
    assert len(seen[0][0]) - 40 <= max(installed.around)


def test_windows_with_and_without_a_prompt_can_be_asked_together(
    recognizer: Recognizer, audio: np.ndarray
) -> None:
    mixed = windows_of(audio, ((), ("Brannock",), (), ("Rosalynd", "Marygold")))
    results = decode(recognizer, mixed, settings(batch_size=8))
    assert [bool(result.prompt.terms) for result in results] == [False, True, False, True]
    assert [bool(result.prompt.text) for result in results] == [False, True, False, True]
    assert "Brannock" in text(results[1])


def test_the_prompts_of_a_batch_have_one_length(
    recognizer: Recognizer, audio: np.ndarray, spy: Spy
) -> None:
    seen = spy()
    mixed = windows_of(audio, ((), ("Brannock",), (), ("Rosalynd", "Marygold")))
    results = decode(recognizer, mixed, settings(batch_size=8))
    assert [bool(result.prompt.token_ids) for result in results] == [False, True, False, True]
    assert all(len({len(prompt) for prompt in batch}) == 1 for batch in seen)


def test_an_initial_prompt_reaches_the_decoder_or_is_refused(
    installed: Installed, recognizer: Recognizer, audio: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installed.spy is None:
        with pytest.raises(RecognizerError, match="--initial-prompt"):
            decode(recognizer, windows_of(audio)[:1], settings(initial_prompt="A story."))
        return
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


def test_a_recognizer_that_is_let_go_gives_its_memory_back(
    installed: Installed, model: str, audio: np.ndarray
) -> None:
    """With isolation off many are loaded in one process, one after another."""
    process = psutil.Process()

    def use_one() -> None:
        decode(load(installed, model), windows_of(audio)[:1], settings(beam_size=1))
        gc.collect()
        if sys.platform == "linux":  # glibc keeps what was freed in pieces: WhisperX's, 500 MB
            ctypes.CDLL(None).malloc_trim(0)

    for _ in range(2):
        use_one()
    before = process.memory_info().rss
    for _ in range(4):
        use_one()
    assert process.memory_info().rss - before < 60 * 2**20


def test_a_device_it_does_not_have_is_an_error_of_ours(installed: Installed, model: str) -> None:
    with pytest.raises(RecognizerError, match="--device"):
        load(installed, model, device=installed.missing_device)


def test_a_compute_type_it_does_not_have_is_an_error_of_ours(
    installed: Installed, model: str
) -> None:
    with pytest.raises(RecognizerError, match="int3"):
        load(installed, model, compute_type="int3")


def test_a_model_it_can_not_load_is_an_error_of_ours(installed: Installed, tmp_path) -> None:
    for name in ("config.json", "tokenizer.json", "vocabulary.json", "model.bin"):
        (tmp_path / name).write_text("{}")
    factory = importlib.import_module(installed.module).load
    with pytest.raises(LongscribeError) as caught:
        factory(engine_settings(installed, str(tmp_path)), str(tmp_path))
    assert isinstance(caught.value, ModelError)
    assert str(tmp_path) in str(caught.value)


def test_its_model_is_found_by_name_or_folder(installed: Installed, model: str) -> None:
    found = wiring.recognizer(installed.name).find_model(model)
    assert found.path.exists()
    assert found.identity == wiring.recognizer(installed.name).find_model(model).identity
    if installed.format == "shipped":
        assert found.path == MODEL
