"""What is PocketSphinx's own: its model, pronunciations, and how terms get into it.

What every recognizer must do stands in tests/ports/test_recognizer_conformance.py.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")

from demo.score import word_error_rate
from longscribe.adapters.recognizers import pocketsphinx
from longscribe.adapters.recognizers.arpabet import to_arpabet
from longscribe.adapters.recognizers.pocketsphinx_models import (
    ACOUSTIC,
    find_sphinx_model,
    model_in,
)
from longscribe.config import Options
from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.phones import PHONES
from longscribe.errors import ModelError, RecognizerError, UsageError
from longscribe.ports import WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias, WindowResult
from tests.e2e.support import GLOSSARY, ROOT, document, longscribe, sample_audio, write_flac

RATE = SAMPLE_RATE
OPTIONS = Options(recognizer="pocketsphinx", language="en")
# Read here: a fixture takes the developer's LONGSCRIBE_… variables away.
SPEECH = Path(os.environ.get("LONGSCRIBE_TEST_SPEECH", ROOT.parent / "shared" / "speech"))
human_speech = pytest.mark.skipif(
    not (SPEECH / "two_cities.flac").is_file(),
    reason=f"no human speech in {SPEECH}; LONGSCRIBE_TEST_SPEECH may name a folder",
)
TWO_CITIES = """
It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of
Light, it was the season of Darkness, it was the spring of hope, it was the winter of despair, we
had everything before us, we had nothing before us, we were all going direct to Heaven, we were all
going direct the other way
"""


@pytest.fixture(scope="module")
def bundled() -> Path:
    return find_sphinx_model(OPTIONS.model).path


@pytest.fixture(scope="module")
def recognizer(bundled: Path) -> Any:
    return pocketsphinx.load(OPTIONS.recognizer_settings, str(bundled))


@pytest.fixture(scope="module")
def sample() -> np.ndarray:
    return sample_audio()


def hear(recognizer: Any, pcm: np.ndarray, terms: Sequence[str] = ()) -> WindowResult:
    span = Span(start=5 * RATE, end=5 * RATE + len(pcm))
    window = Window(index=0, span=span, owns=span, speech=span.length)
    bias = WindowBias(bias_window_id=0 if terms else None, terms=tuple(terms))
    audio = WindowAudio(window=window, bias=bias, pcm=pcm)
    ((result,),) = recognizer.decode([audio], OPTIONS.decode_settings, 0)
    return result


def text(result: WindowResult) -> str:
    return "".join(segment.text for segment in result.segments).strip()


def turn(sample: np.ndarray, start: float, end: float) -> np.ndarray:
    return sample[round(start * RATE) : round(end * RATE)]


def read(path: Path) -> np.ndarray:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    with av.open(str(path)) as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])


# --- terms -------------------------------------------------------------------


def test_a_term_is_written_as_the_glossary_has_it(recognizer: Any, sample: np.ndarray) -> None:
    pcm = turn(sample, 1.0, 7.2)  # Good evening. My name is Annabell, and …
    assert "annabell" not in text(hear(recognizer, pcm)).lower().split()
    assert "Annabell" in text(hear(recognizer, pcm, ["Annabell"])).split()


def test_terms_that_are_not_said_change_little(recognizer: Any, sample: np.ndarray) -> None:
    names = [
        line.partition("|")[0].strip()
        for line in GLOSSARY.read_text(encoding="utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    ]
    absent = [name for name in names if name not in ("Brannock", "Harwick")][:20]
    pcm = turn(sample, 57.0, 60.5)
    plain, biased = text(hear(recognizer, pcm)), text(hear(recognizer, pcm, absent))
    assert word_error_rate(plain, biased) <= 0.25


def test_words_of_a_term_have_times_of_their_own(recognizer: Any, sample: np.ndarray) -> None:
    pcm = turn(sample, 42.3, 49.2)  # Rosalynd is the captain of the Marygold, a small ship that …
    result = hear(recognizer, pcm, ["Small Ship", "Marygold"])
    words = [word for segment in result.segments for word in segment.words]
    texts = [word.text.strip() for word in words]
    assert "Marygold" in texts
    assert result.prompt.terms == ("Small Ship", "Marygold")
    at = texts.index("Small")
    assert texts[at + 1] == "Ship"
    assert words[at].end == words[at + 1].start
    assert words[at].start < words[at].end < words[at + 1].end
    for segment in result.segments:
        assert "".join(word.text for word in segment.words) == segment.text


def test_a_hyphen_stays_where_it_is_written(recognizer: Any, sample: np.ndarray) -> None:
    result = hear(recognizer, turn(sample, 42.3, 49.2), ["Small-Ship"])
    assert "Small-Ship" in text(result).split()


def test_the_prompt_says_how_each_term_may_sound(recognizer: Any) -> None:
    result = hear(recognizer, np.zeros(RATE, np.int16), ["Geoffrey", "Mount Doom"])
    assert result.prompt.terms == ("Geoffrey", "Mount Doom")
    assert result.prompt.text == "Geoffrey (JH EH F R IY), Mount Doom (M AW N T D UW M)"
    assert result.prompt.token_ids == ()


def test_what_nobody_can_say_is_not_claimed(recognizer: Any) -> None:
    result = hear(recognizer, np.zeros(RATE, np.int16), ["北京", "Marygold", "…", "-"])
    assert result.prompt.terms == ("Marygold",)
    nothing = hear(recognizer, np.zeros(RATE, np.int16), ["…"])
    assert nothing.prompt.terms == ()


def test_a_hundred_terms_all_get_in(recognizer: Any) -> None:
    many = [f"Wilhelmina {chr(65 + n % 26)}{chr(97 + n // 26)}n" for n in range(100)]
    result = hear(recognizer, np.zeros(RATE, np.int16), many)
    assert result.prompt.terms == tuple(many)


def test_what_was_heard_before_changes_nothing(
    bundled: Path, recognizer: Any, sample: np.ndarray
) -> None:
    """A resumed job hears the windows in another process, without those before them."""
    first, second = turn(sample, 1.0, 7.2), turn(sample, 13.1, 18.2)
    fresh = pocketsphinx.load(OPTIONS.recognizer_settings, str(bundled))
    expected = hear(fresh, second), hear(fresh, second, ["Harwick"])
    hear(recognizer, first, ["Annabell", "Harwick"])
    hear(recognizer, first)
    assert (hear(recognizer, second), hear(recognizer, second, ["Harwick"])) == expected


def test_pauses_part_segments(recognizer: Any, sample: np.ndarray) -> None:
    result = hear(recognizer, turn(sample, 1.0, 18.2))  # three turns
    assert 3 <= len(result.segments) <= 8
    for one, other in zip(result.segments, result.segments[1:], strict=False):
        assert other.start - one.end >= pocketsphinx.PAUSE


# --- pronunciations ----------------------------------------------------------


def test_every_phone_has_a_sound_that_the_model_knows(recognizer: Any) -> None:
    """PocketSphinx refuses a word with a phone that is not in its model."""
    decoder = recognizer._plain.decoder
    known = {decoder.lookup_word(word) for word in ("the", "a")}
    assert None not in known
    for phone in sorted(PHONES - {"ʔ"}):
        sounds = to_arpabet(phone)
        assert sounds, phone
    result = hear(
        recognizer, np.zeros(RATE, np.int16), ["Zhwuyth Chowng Joyd", "Bvirgh Theelk Mapsher"]
    )
    assert len(result.prompt.terms) == 2


@pytest.mark.parametrize(
    ("word", "sounds"),
    [("Harwick", "HH AA R W IH K"), ("Quince", "K W IH N S"), ("Joy", "JH OY")],
)
def test_letters_become_sounds(word: str, sounds: str) -> None:
    assert to_arpabet(to_phones(word)) == sounds


@pytest.mark.parametrize("phones", ["", "ʔ", "12", "京", "ab!"])
def test_what_is_no_phone_has_no_sound(phones: str) -> None:
    assert to_arpabet(phones) is None


def test_r_after_a_weak_vowel_is_one_sound() -> None:
    assert to_arpabet("ərɜr") == "ER ER"


# --- human speech ------------------------------------------------------------


@human_speech
def test_dickens_can_be_recognized(recognizer: Any) -> None:
    heard = text(hear(recognizer, read(SPEECH / "two_cities.flac")[: 29 * RATE]))
    assert heard.startswith("it was the best of times it was the worst of times")
    assert word_error_rate(TWO_CITIES, heard) <= 0.35, heard


@human_speech
def test_a_glossary_helps_with_human_speech(recognizer: Any) -> None:
    """*And mister John Dashwood had then leisure to consider …*"""
    pcm = read(SPEECH / "austen-0870.wav")
    assert "Dashwood" not in text(hear(recognizer, pcm))
    terms = ["Willoughby", "Dashwood", "Brandon", "Marianne", "Norland Park"]
    heard = text(hear(recognizer, pcm, terms))
    assert "Dashwood" in heard.split(), heard
    assert not {"Willoughby", "Brandon", "Marianne", "Norland"} & set(heard.split()), heard


# --- the model ---------------------------------------------------------------


def test_the_default_of_model_is_no_obstacle(bundled: Path) -> None:
    assert bundled.name == "en-us"
    assert find_sphinx_model("en-us") == find_sphinx_model("large-v3-turbo")
    assert find_sphinx_model(str(bundled)).identity == find_sphinx_model("en-us").identity


def test_the_name_of_another_model_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no model 'small'.*Leave out --model"):
        find_sphinx_model("small")


def test_a_folder_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelError, match="There is no model directory"):
        find_sphinx_model("./no-such-model")


def test_an_acoustic_model_goes_with_the_bundled_rest(bundled: Path, tmp_path: Path) -> None:
    own = shutil.copytree(bundled / "en-us", tmp_path / "adapted")
    parts = model_in(own)
    assert parts.acoustic == own
    assert parts.dictionary.parent == parts.language.parent == bundled
    before = find_sphinx_model(str(own)).identity
    (own / "means").write_bytes((own / "means").read_bytes()[:-1] + b"x")
    assert find_sphinx_model(str(own)).identity != before


def test_a_folder_of_ones_own_must_hold_one_of_each(bundled: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(ModelError, match="holds none"):
        model_in(own)
    (own / "sounds").symlink_to(bundled / "en-us")
    with pytest.raises(ModelError, match="dictionary"):
        model_in(own)
    (own / "words.dict").symlink_to(bundled / "cmudict-en-us.dict")
    with pytest.raises(ModelError, match="language model"):
        model_in(own)
    (own / "words.lm.bin").symlink_to(bundled / "en-us.lm.bin")
    assert model_in(own).language == own / "words.lm.bin"
    (own / "others.lm").write_text("")
    with pytest.raises(ModelError, match=r"several: others\.lm, words\.lm\.bin"):
        model_in(own)


@pytest.mark.parametrize("name", ACOUSTIC)
def test_damaged_parts_are_an_error_of_ours(name: str, bundled: Path, tmp_path: Path) -> None:
    """PocketSphinx would end the process."""
    own = shutil.copytree(bundled / "en-us", tmp_path / "damaged")
    (own / name).write_bytes(b"no")
    with pytest.raises(ModelError, match=name):
        pocketsphinx.load(OPTIONS.recognizer_settings, str(own))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    monkeypatch.delitem(sys.modules, "longscribe.adapters.recognizers.pocketsphinx")
    with pytest.raises(RecognizerError, match=r"longscribe\[pocketsphinx\]"):
        importlib.import_module("longscribe.adapters.recognizers.pocketsphinx")


# --- the command -------------------------------------------------------------


def test_it_transcribes_without_a_model_or_a_network(tmp_path: Path, sample: np.ndarray) -> None:
    media = write_flac(tmp_path / "talk.flac", sample[: 20 * RATE])
    run = ["transcribe", media, "--recognizer", "pocketsphinx", "-o", tmp_path]
    done = longscribe(*run, "--glossary", GLOSSARY, "--bias", "prompt", "--quiet")
    assert done.status == 0, done.err
    found = document(tmp_path, "talk")
    said = " ".join(segment["text"] for segment in found["segments"])
    assert {"Annabell", "Brannock"} <= set(said.split())
    assert found["language"] == "en"
    assert all("word" in word for segment in found["segments"] for word in segment["words"])


def test_what_it_can_not_do_is_refused(tmp_path: Path, sample: np.ndarray) -> None:
    media = write_flac(tmp_path / "talk.flac", sample[: 5 * RATE])
    run = ["transcribe", media, "--recognizer", "pocketsphinx", "-o", tmp_path, "--quiet"]
    assert "German" not in longscribe(*run, "--language", "de").out
    assert "language 'de'" in longscribe(*run, "--language", "de").error_line()
    assert "translate" in longscribe(*run, "--task", "translate").error_line()
    assert "--initial-prompt" in longscribe(*run, "--initial-prompt", "A play.").error_line()
    assert "--device cpu" in longscribe(*run, "--device", "mps").error_line()
