"""Decoding speech without words again, with recognizers that drop words and give no sign of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from longscribe.config import DecodeSettings, Options
from longscribe.core.coverage import wordless_spans
from longscribe.ports import WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias, WindowResult, Word
from longscribe.worker.wordless import LONGEST, MOST_STRETCHES, REACH, WAYS, SecondDecoder
from tests.faults.droppers import ClauseDropper, EndDropper, SecondsRecognizer

ENGINE = Options(recognizer="fake").recognizer_settings
SETTINGS = Options(language="en", beam_size=5, initial_prompt="A play.").decode_settings
LENGTH = 24
"""Seconds of a window."""


def seconds(start: float, end: float) -> Span:
    return Span(start=round(start * SAMPLE_RATE), end=round(end * SAMPLE_RATE))


class Talk:
    """Speech without a pause, from the first sample to the last, in windows that touch."""

    def __init__(self, windows: int = 1, terms: tuple[str, ...] = ()) -> None:
        noise = np.random.default_rng(1)
        self.pcm = noise.integers(-4000, 4000, windows * LENGTH * SAMPLE_RATE).astype(np.int16)
        self.bounds = Span(start=0, end=len(self.pcm))
        self.asked: list[Span] = []
        self.members = [
            WindowAudio(
                window=Window(index=n, span=span, owns=span, speech=span.length, voiced=(span,)),
                bias=WindowBias(bias_window_id=n, terms=terms),
                pcm=self.pcm[span.start : span.end],
            )
            for n in range(windows)
            for span in [seconds(n * LENGTH, (n + 1) * LENGTH)]
        ]

    def audio(self, span: Span) -> np.ndarray:
        self.asked.append(span)
        return self.pcm[span.start : span.end]

    def heard(self, recognizer: SecondsRecognizer) -> dict[int, WindowResult]:
        results = recognizer.decode(self.members, SETTINGS, 7)
        found = {result.window.index: result for batch in results for result in batch}
        recognizer.asked.clear()
        return found

    def filled(
        self, recognizer: SecondsRecognizer, results: dict[int, WindowResult]
    ) -> list[WindowResult]:
        decoder = SecondDecoder(recognizer, self.audio, self.bounds)
        return list(decoder.fill(results, self.members, SETTINGS))


def words(*results: WindowResult) -> list[Word]:
    return [word for result in results for segment in result.segments for word in segment.words]


def test_where_all_speech_has_words_nothing_is_decoded_again():
    talk, recognizer = Talk(), SecondsRecognizer(ENGINE)
    assert talk.filled(recognizer, talk.heard(recognizer)) == []
    assert recognizer.asked == []
    assert talk.asked == []


def test_a_dropped_clause_is_found_and_put_in_its_place():
    talk, recognizer = Talk(), ClauseDropper(ENGINE)
    [whole] = talk.heard(SecondsRecognizer(ENGINE)).values()
    dropped = talk.heard(recognizer)
    assert len(words(dropped[0])) == len(words(whole)) - 4
    [found] = talk.filled(recognizer, dropped)
    assert words(found) == words(whole)
    assert "".join(s.text for s in found.segments) == "".join(s.text for s in whole.segments)
    assert found.remarks == ("no words in 3.5 s of speech: decoded again apart from the rest",)
    assert wordless_spans(dropped.values())
    assert wordless_spans([found]) == []


def test_what_is_found_belongs_to_its_window():
    talk, recognizer = Talk(windows=2, terms=("Harwick",)), ClauseDropper(ENGINE)
    dropped = talk.heard(recognizer)
    for found in talk.filled(recognizer, dropped):
        before = dropped[found.window.index]
        assert (found.chunk_id, found.window, found.prompt) == (7, before.window, before.prompt)
        assert {(s.chunk_id, s.window, s.bias_window_id, s.bias_terms) for s in found.segments} == {
            (7, found.window.index, found.window.index, ("Harwick",))
        }


def test_other_windows_stay_as_they_are():
    talk = Talk(windows=3)
    results = talk.heard(SecondsRecognizer(ENGINE))
    results[1] = talk.heard(ClauseDropper(ENGINE))[1]
    changed = talk.filled(ClauseDropper(ENGINE), results)
    assert [result.window.index for result in changed] == [1]


def test_a_stretch_is_decoded_in_each_way_without_any_prompt():
    talk, recognizer = Talk(terms=("Harwick",)), ClauseDropper(ENGINE)
    talk.filled(recognizer, talk.heard(recognizer))
    assert len(recognizer.asked) == len(WAYS) == 3
    assert [settings.beam_size for _, settings in recognizer.asked] == [5, 1, 1]
    for member, settings in recognizer.asked:
        assert member.bias.terms == ()
        assert settings.initial_prompt == ""
        assert settings.word_times
        assert len(member.pcm) == member.window.span.length
        assert np.array_equal(
            member.pcm, talk.pcm[member.window.span.start : member.window.span.end]
        )
    stretch = Span(start=round(6.2 * SAMPLE_RATE), end=round(9.7 * SAMPLE_RATE))
    apart, onwards, context = (member.window.span for member, _ in recognizer.asked)
    assert apart == Span(start=stretch.start - REACH, end=stretch.end + REACH)
    assert onwards == Span(start=stretch.start - REACH, end=LENGTH * SAMPLE_RATE)
    assert context == Span(start=stretch.start - SAMPLE_RATE, end=stretch.end + SAMPLE_RATE)


def test_no_audio_outside_the_chunks_own_is_decoded():
    """A result is keyed by the audio of its chunk: what lies beyond may not shape it."""
    talk, recognizer = Talk(), EndDropper(ENGINE)
    talk.filled(recognizer, talk.heard(recognizer))
    assert talk.asked
    assert all(0 <= span.start < span.end <= talk.bounds.end for span in talk.asked)
    talk.bounds = seconds(16, 20)
    talk.asked.clear()
    talk.filled(recognizer, talk.heard(recognizer))
    assert talk.asked
    assert all(talk.bounds.start <= span.start < span.end <= talk.bounds.end for span in talk.asked)


def test_what_no_way_finds_stays_as_it_is_and_is_remarked_on():
    talk, recognizer = Talk(), EndDropper(ENGINE)
    dropped = talk.heard(recognizer)
    [result] = talk.filled(recognizer, dropped)
    assert result.segments == dropped[0].segments
    assert result.remarks == ("no words in 5.8 s of speech: none found by other decodes",)
    assert wordless_spans([result]) == [seconds(18.2, 24)]


class Unsure(ClauseDropper):
    """Finds the clause, but is not sure of its words."""

    probability = 0.19

    def _hear(self, member: WindowAudio, settings: DecodeSettings) -> list[Word]:
        heard = super()._hear(member, settings)
        return [replace(word, probability=self.probability) for word in heard]


def test_words_that_the_recognizer_is_not_sure_of_are_not_put_in():
    talk = Talk()
    dropped = talk.heard(ClauseDropper(ENGINE))
    [result] = talk.filled(Unsure(ENGINE), dropped)
    assert result.segments == dropped[0].segments
    assert "none found" in result.remarks[-1]
    surer = Unsure(ENGINE)
    surer.probability = 0.21
    [found] = talk.filled(surer, dropped)
    assert "decoded again" in found.remarks[-1]


class ByBeam(ClauseDropper):
    """Is surest of what it hears with a narrow beam, and names the beam in its words."""

    def _hear(self, member: WindowAudio, settings: DecodeSettings) -> list[Word]:
        heard = super()._hear(member, settings)
        sure = 0.9 if settings.beam_size == 1 else 0.4
        return [
            replace(word, text=f"{word.text}{settings.beam_size}", probability=sure)
            for word in heard
        ]


def test_the_hearing_that_the_recognizer_is_surest_of_is_taken():
    talk = Talk()
    [result] = talk.filled(ByBeam(ENGINE), talk.heard(ClauseDropper(ENGINE)))
    found = [word for word in words(result) if word.text[-1].isdigit()]
    assert len(found) >= 4
    assert {word.text[-1] for word in found} == {"1"}


class Loops(ClauseDropper):
    """Decoded apart, it says nothing but a loop on one instant."""

    def _hear(self, member: WindowAudio, settings: DecodeSettings) -> list[Word]:
        heard = super()._hear(member, settings)
        if member.window.span.length > 20 * SAMPLE_RATE:
            return heard
        middle = member.window.span.middle
        return [Word(start=middle, end=middle, text=" la", probability=0.99) for _ in range(20)]


def test_a_loop_is_no_word_that_was_found():
    talk = Talk()
    dropped = talk.heard(ClauseDropper(ENGINE))
    [result] = talk.filled(Loops(ENGINE), dropped)
    assert "".join(s.text for s in result.segments) == "".join(s.text for s in dropped[0].segments)
    assert "none found" in result.remarks[-1]


class Silent(SecondsRecognizer):
    def drops(self, word: Word, member: WindowAudio) -> bool:
        return True


def test_a_window_without_any_word_gets_those_that_are_found():
    talk = Talk()
    silent = talk.heard(Silent(ENGINE))
    assert silent[0].segments == ()
    [found] = talk.filled(SecondsRecognizer(ENGINE), silent)
    assert words(found) == words(*talk.heard(SecondsRecognizer(ENGINE)).values())
    assert {(s.chunk_id, s.window, s.bias_window_id) for s in found.segments} == {(7, 0, 0)}


def test_so_many_stretches_and_no_more_are_decoded_again():
    """A chunk without any words is not three times the work for ever."""
    many = MOST_STRETCHES + 6
    talk, recognizer = Talk(windows=many), EndDropper(ENGINE)
    dropped = talk.heard(recognizer)
    assert len(talk.filled(recognizer, dropped)) == MOST_STRETCHES
    assert len(recognizer.asked) == MOST_STRETCHES * len(WAYS)
    assert all(span.length <= LONGEST for span in talk.asked)


def test_a_stretch_longer_than_a_window_is_cut_to_one():
    talk = Talk(windows=3)
    talk.filled(Silent(ENGINE), talk.heard(Silent(ENGINE)))
    assert max(span.length for span in talk.asked) == LONGEST


def test_several_stretches_of_a_window_are_all_filled():
    class Twice(SecondsRecognizer):
        def drops(self, word: Word, member: WindowAudio) -> bool:
            second = (word.start - member.window.span.start) // SAMPLE_RATE
            return member.window.span.length > 20 * SAMPLE_RATE and second in {3, 4, 5, 12, 13, 14}

    talk, recognizer = Talk(), Twice(ENGINE)
    results = talk.filled(recognizer, talk.heard(recognizer))
    assert [result.window.index for result in results] == [0, 0], "progress is told of each"
    assert words(results[-1]) == words(*talk.heard(SecondsRecognizer(ENGINE)).values())
    assert len(results[-1].remarks) == 2


def test_a_word_in_the_neighbours_result_is_no_lack():
    """At a seam the word may stand in the other window's text."""
    talk = Talk(windows=2)
    results = talk.heard(SecondsRecognizer(ENGINE))
    [segment] = results[0].segments
    kept, moved = segment.words[:-3], segment.words[-3:]
    assert moved
    results[0] = replace(results[0], segments=(replace(segment, words=kept),))
    assert talk.filled(SecondsRecognizer(ENGINE), dict(results))
    [other] = results[1].segments
    results[1] = replace(results[1], segments=(replace(other, words=(*moved, *other.words)),))
    assert talk.filled(SecondsRecognizer(ENGINE), results) == []


@pytest.mark.parametrize("dropper", [ClauseDropper, EndDropper])
def test_the_same_again_is_the_same(dropper: type[SecondsRecognizer]):
    def once() -> Sequence[WindowResult]:
        talk, recognizer = Talk(windows=3), dropper(ENGINE)
        return talk.filled(recognizer, talk.heard(recognizer))

    assert once() == once()


def test_words_stay_in_order():
    talk, recognizer = Talk(windows=3), ClauseDropper(ENGINE)
    results = talk.heard(recognizer)
    results.update((each.window.index, each) for each in talk.filled(recognizer, results))
    for result in results.values():
        assert all(a.end <= b.start for a, b in pairwise(words(result)))
