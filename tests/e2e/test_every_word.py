"""Real Whisper on people: every word that is spoken stands in the text, and none that is not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from bench.bias_parts.noises import KINDS, non_speech
from demo.score import word_error_rate, words_of
from longscribe import Options, Transcript, transcribe
from longscribe.types import SAMPLE_RATE
from tests import real_speech
from tests.e2e.support import write_flac

Samples = npt.NDArray[np.int16]
FAULTS = real_speech.ROOT.parent / "shared" / "faults"
CHAPTER, MINUTES = "librispeech/1867-154075", 5
"""Read aloud; with timestamp tokens several clauses at the ends of windows were dropped."""
DROPPED = 4
"""Words missing in a row: a clause, not a slip."""


def heard(media: Path, model: Path, out: Path, **changes: object) -> Transcript:
    given = {"language": "en", "compute_type": "int8", "cpu_threads": 1, **changes}
    options = Options.build(
        model=str(model), recognizer="faster-whisper", device="cpu", output_dir=out, **given
    )
    return transcribe(media, options)


def samples(media: Path) -> Samples:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pieces = []
    with av.open(str(media)) as file:
        for frame in file.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return np.concatenate(pieces)


def pause(seconds: float) -> Samples:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)


def dropped_runs(reference: str, found: str) -> list[str]:
    """Return the clauses of the reference that are missing from the text."""
    said, written = words_of(reference), words_of(found)
    return [
        " ".join(said[a:b])
        for _, a, b, c, d in SequenceMatcher(None, said, written, autojunk=False).get_opcodes()
        if (b - a) - (d - c) >= DROPPED
    ]


# --- people who read ---------------------------------------------------------------


def test_jfk_says_what_he_said(
    real_base: Path, human_speech: Callable[[str], Path], tmp_path: Path
) -> None:
    transcript = heard(human_speech("jfk.flac"), real_base, tmp_path)
    assert words_of(transcript.text) == words_of(
        "And so, my fellow Americans, ask not what your country can do for you, "
        "ask what you can do for your country."
    )
    assert transcript.complete
    assert transcript.wordless == ()


def austen(number: int) -> tuple[Samples, str]:
    found = [one for one in real_speech.sentences() if one.media.stem == f"austen-{number:04}"]
    if not found:
        pytest.skip(f"there is no austen-{number:04}: {real_speech.FETCH}")
    return samples(found[0].media), found[0].text


def test_sentences_in_one_window_are_all_there(real_base: Path, tmp_path: Path) -> None:
    """All of a window is heard to its end, whatever the pauses in it."""
    parts = [austen(number) for number in (870, 880, 920, 930)]
    audio = np.concatenate([piece for sound, _ in parts for piece in (sound, pause(0.6))])
    media = write_flac(tmp_path / "austen.flac", audio)
    transcript = heard(media, real_base, tmp_path)
    wanted = " ".join(text for _, text in parts)
    assert len(transcript.windows) == 1, "all in one window"
    assert dropped_runs(wanted, transcript.text) == []
    assert word_error_rate(wanted, transcript.text) <= 0.15, transcript.text
    assert transcript.wordless == ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    audio: Samples
    text: str


@pytest.fixture(scope="module")
def reading(human_speech: Callable[[str], Path]) -> Reading:
    """The first minutes of a chapter, to the end of a sentence."""
    media = human_speech(f"{CHAPTER}.opus")
    chapter = json.loads(human_speech(f"{CHAPTER}.json").read_text(encoding="utf-8"))
    spoken = [one for one in chapter["utterances"] if one["end"] <= MINUTES * 60]
    end = round((spoken[-1]["end"] + 0.3) * SAMPLE_RATE)
    return Reading(audio=samples(media)[:end], text=" ".join(one["text"] for one in spoken))


@pytest.mark.parametrize("bias", ["off", "prompt"])
def test_five_minutes_of_a_book_lose_no_clause(
    bias: str, reading: Reading, real_base: Path, tmp_path: Path
) -> None:
    """With the prompt of a glossary too: prompts make Whisper end early."""
    (tmp_path / "names.txt").write_text("Ronicky Doone\n", encoding="utf-8")
    media = write_flac(tmp_path / "chapter.flac", reading.audio)
    glossary = {} if bias == "off" else {"glossary": tmp_path / "names.txt", "bias": bias}
    transcript = heard(media, real_base, tmp_path, **glossary)
    assert dropped_runs(reading.text, transcript.text) == []
    assert word_error_rate(reading.text, transcript.text) <= 0.12
    assert transcript.wordless == ()
    assert transcript.complete


# --- what people say again and again ----------------------------------------------------


def drill(name: str, times: int, folder: Path) -> Path:
    """Return one sentence said so many times over."""
    if (FAULTS / name).is_file():
        return FAULTS / name
    sound, _ = austen(880)
    parts = [piece for _ in range(times) for piece in (sound, pause(0.5))]
    return write_flac(folder / name, np.concatenate(parts))


@pytest.mark.parametrize(("name", "times"), [("drill5.flac", 5), ("drill.flac", 12)])
def test_a_sentence_is_written_as_often_as_it_is_said(
    name: str, times: int, real_base: Path, tmp_path: Path
) -> None:
    transcript = heard(drill(name, times, tmp_path), real_base, tmp_path)
    sentences = [
        " ".join(words_of(one)) for one in re.split(r"[.!?]", transcript.text) if one.strip()
    ]
    assert len(sentences) == times, transcript.text
    # How base spells *ill-disposed* is its own affair; that nothing else differs is ours.
    spelt = re.compile(r"he was not an ill ?[a-z]*sposed young man")
    assert [one for one in sentences if not spelt.fullmatch(one)] == []
    assert times > 5 or len(set(sentences)) == 1, "in one window all are equal"
    assert all(one.end > one.start for s in transcript.segments for one in s.words)
    assert transcript.complete


# --- what nobody says ---------------------------------------------------------------------

MODELS = ["real_base", "real_tiny_en"]


@pytest.mark.parametrize("model", MODELS)
def test_two_minutes_without_speech_have_no_words(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Noise, hum, music, applause and breath; however sure the detector is that it is speech."""
    rng = np.random.default_rng(13)
    audio = np.concatenate([non_speech(kind, 20.0, rng) for kind in KINDS])
    media = write_flac(tmp_path / "noises.flac", audio)
    transcript = heard(media, request.getfixturevalue(model), tmp_path)
    assert transcript.text == ""
    assert transcript.gaps == ()


@pytest.mark.parametrize("model", MODELS)
def test_noises_taken_for_speech_have_no_words_either(
    model: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A detector that hears speech nearly everywhere leaves it to Whisper."""
    rng = np.random.default_rng(14)
    audio = np.concatenate([non_speech(kind, 20.0, rng) for kind in KINDS])
    media = write_flac(tmp_path / "noises.flac", audio)
    found = request.getfixturevalue(model)
    transcript = heard(media, found, tmp_path, vad_threshold=0.05)
    assert transcript.text == ""


def test_speech_over_music_keeps_its_words(real_base: Path, tmp_path: Path) -> None:
    """The music is 10 dB softer."""
    sound, wanted = austen(920)
    talk = np.concatenate([pause(5), sound, pause(5)]).astype(np.float64)
    music = non_speech("music", len(talk) / SAMPLE_RATE, np.random.default_rng(3))
    music = music[: len(talk)].astype(np.float64)
    level = np.sqrt((sound.astype(np.float64) ** 2).mean()) / np.sqrt((music**2).mean())
    mixed = talk + music * level * 10 ** (-10 / 20)
    media = write_flac(tmp_path / "over.flac", np.clip(mixed, -32_768, 32_767).astype(np.int16))
    transcript = heard(media, real_base, tmp_path)
    assert dropped_runs(wanted, transcript.text) == []
    assert word_error_rate(wanted, transcript.text) <= 0.25, transcript.text
    assert len(words_of(transcript.text)) <= len(words_of(wanted)) + 2, "and nothing is invented"
