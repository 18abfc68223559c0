"""What was pronounced is kept, said the same again, and lost without harm."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from longscribe.adapters.language.pronouncers import EspeakPronouncer, LettersPronouncer
from longscribe.core.bias import retrieval
from longscribe.core.bias.retrieval import TermIndex
from longscribe.types import Term
from longscribe.worker import decoding, pronunciations
from longscribe.worker.pronunciations import KeptPronunciations

NAMES = [
    "Annabell",
    "Rosalynd",
    "O'Brien & Söhne",
    "東京",
    "half\udc80pair",
    'back\\slash "quoted"',
]


class Counting:
    """A pronouncer that counts what it is asked."""

    def __init__(self, name: str = "counting 1") -> None:
        self.name = name
        self.asked: list[str] = []

    def pronounce(self, texts: Sequence[str]) -> list[str]:
        self.asked += texts
        return [f"{self.name}:{text[::-1]}" for text in texts]


def kept(folder: Path, pronouncer: Counting, language: str = "en") -> KeptPronunciations:
    return KeptPronunciations(pronouncer, language, folder)


def the_file(folder: Path, language: str = "en") -> Path:
    return folder / f"pronunciations-{language}.txt"


def test_what_was_said_is_not_asked_again(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    said = kept(tmp_path, first).pronounce([*NAMES, NAMES[0]])
    assert said == [*first.pronounce(NAMES), said[0]]
    assert kept(tmp_path, second).pronounce(NAMES) == said[:-1]
    assert second.asked == []


def test_a_run_that_was_cut_short_goes_on_where_it_was(tmp_path: Path) -> None:
    kept(tmp_path, Counting()).pronounce(NAMES[:3])
    again = Counting()
    kept(tmp_path, again).pronounce(NAMES)
    assert again.asked == NAMES[3:]


@pytest.mark.parametrize("other", [Counting("counting 2"), Counting("another 1")])
def test_another_pronouncer_is_asked_itself(other: Counting, tmp_path: Path) -> None:
    kept(tmp_path, Counting()).pronounce(NAMES)
    assert kept(tmp_path, other).pronounce(NAMES) == [f"{other.name}:{n[::-1]}" for n in NAMES]
    assert other.asked == NAMES
    assert len(list(tmp_path.iterdir())) == 1  # what nobody needs any more is not kept


def test_each_language_has_its_own(tmp_path: Path) -> None:
    kept(tmp_path, Counting()).pronounce(NAMES)
    german = Counting()
    kept(tmp_path, german, "de").pronounce(NAMES)
    assert german.asked == NAMES


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_damage_is_noticed_line_by_line(place: int, tmp_path: Path) -> None:
    right = kept(tmp_path, Counting()).pronounce(NAMES)
    data = bytearray(the_file(tmp_path).read_bytes())
    data[place % len(data)] ^= 0x55
    the_file(tmp_path).write_bytes(data)
    assert kept(tmp_path, Counting()).pronounce(NAMES) == right
    assert kept(tmp_path, Counting()).pronounce(NAMES) == right


@pytest.mark.parametrize("cut", [0, 1, 30, 60, 100])
def test_a_file_that_was_cut_short_serves_as_far_as_it_goes(cut: int, tmp_path: Path) -> None:
    right = kept(tmp_path, Counting()).pronounce(NAMES)
    the_file(tmp_path).write_bytes(the_file(tmp_path).read_bytes()[:cut])
    assert kept(tmp_path, Counting()).pronounce(NAMES) == right
    last = Counting()
    assert kept(tmp_path, last).pronounce(NAMES) == right
    assert last.asked == []  # what the second wrote behind the cut counts


def test_it_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pronunciations, "MOST_BYTES", 400)
    speaker = kept(tmp_path, Counting())
    for number in range(100):
        speaker.pronounce([f"name {number}"])
    assert the_file(tmp_path).stat().st_size <= 400
    the_file(tmp_path).write_bytes(b"x" * 500)
    kept(tmp_path, Counting()).pronounce(NAMES[:1])
    assert the_file(tmp_path).stat().st_size <= 400


def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path: Path) -> None:
    mine = tmp_path / "diary.txt"
    mine.write_text("mine")
    the_file(tmp_path).symlink_to(mine)
    assert kept(tmp_path, Counting()).pronounce(NAMES[:1]) == ["counting 1:llebannA"]
    assert mine.read_text() == "mine"
    the_file(tmp_path, "de").unlink(missing_ok=True)
    os.mkfifo(the_file(tmp_path, "de"))
    assert kept(tmp_path, Counting(), "de").pronounce(NAMES[:1]) == ["counting 1:llebannA"]
    assert stat.S_ISFIFO(the_file(tmp_path, "de").stat().st_mode)


def test_a_folder_that_is_gone_or_full_costs_only_time(tmp_path: Path) -> None:
    assert kept(tmp_path / "gone", Counting()).pronounce(NAMES[:1]) == ["counting 1:llebannA"]


# --- step by step --------------------------------------------------------------


def built(terms: list[Term], pronounce) -> tuple[TermIndex, int]:
    building, steps = TermIndex.building(terms, pronounce), 0
    while True:
        try:
            next(building)
            steps += 1
        except StopIteration as end:
            return end.value, steps


def test_an_index_is_built_in_steps_and_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = [Term(text=f"Name{number} Second", aliases=(f"Nam{number}",)) for number in range(50)]
    letters = LettersPronouncer().pronounce
    whole = TermIndex.build(terms, letters)
    monkeypatch.setattr(retrieval, "STEP", 7)
    by_steps, steps = built(terms, letters)
    assert by_steps == whole
    assert steps > 50
    remembered = KeptPronunciations(LettersPronouncer(), "en", tmp_path).pronounce
    assert built(terms, remembered)[0] == whole
    assert (
        built(terms, KeptPronunciations(LettersPronouncer(), "en", tmp_path).pronounce)[0] == whole
    )


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_espeak_says_the_same_in_steps_and_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = [Term(text=text) for text in ("Annabell", "Rosalynd Harwick", "Brannock's", "Kyiv 2")]
    whole = TermIndex.build(terms, EspeakPronouncer("en").pronounce)
    monkeypatch.setattr(retrieval, "STEP", 1)
    for _ in range(2):
        speaker = KeptPronunciations(EspeakPronouncer("en"), "en", tmp_path)
        assert built(terms, speaker.pronounce)[0] == whole


def test_long_preparations_tell_of_their_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor takes silence for a hang."""
    now = [0.0]
    monkeypatch.setattr(decoding.time, "monotonic", lambda: now[0])

    def steps():
        for _ in range(100):
            now[0] += 1.0
            yield ()
        return "built"

    ended = []

    def follow():
        ended.append((yield from decoding._told(steps(), 7)))

    signs = list(follow())
    assert ended == ["built"]
    assert {(sign.chunk_id, sign.windows, sign.samples) for sign in signs} == {(7, 0, 0)}
    assert 40 <= len(signs) <= 51
