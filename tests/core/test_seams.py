"""Plan, hear, stitch: every word of the recording ends up in the text, once.

The recognizer is a perfect one that hears each whole word in its window and is a
little off with the times, so what is lost or doubled is lost or doubled by us.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core.stitching import stitch
from longscribe.types import NO_PROMPT, SAMPLE_RATE, Chunk, Segment, WindowResult, Word
from tests.core.plans import phrase
from tests.core.test_planning import FULL, SMALL, TRACKS, Track, planned, track

MILLISECOND = SAMPLE_RATE // 1000


def spoken(heard: Track, dice: random.Random) -> list[Word]:
    """Fill all speech with words of 100 to 480 ms, each with its own text."""
    words: list[Word] = []
    for span in heard.spans:
        at = span.start
        while span.end - at > 0:
            length = dice.randint(100, 240) * MILLISECOND
            end = span.end if span.end - at < 2 * length else at + length
            words.append(Word(start=at, end=end, text=f" w{len(words)}", probability=0.9))
            at = end
    return words


def hear(chunks: list[Chunk], words: list[Word], dice: random.Random) -> list[WindowResult]:
    """Decode a plan: each window hears the words that lie in it, up to 60 ms off."""
    results = []
    for chunk in chunks:
        for window in chunk.windows:
            found, before = [], 0
            for word in words:
                if window.span.start <= word.start and word.end <= window.span.end:
                    shift = dice.randint(-60, 60) * MILLISECOND
                    start = max(before, word.start + shift)
                    end = max(start, word.end + shift)
                    found.append(replace(word, start=start, end=end))
                    before = end
            results.append(
                WindowResult(
                    chunk_id=chunk.chunk_id,
                    window=window,
                    bias_window_id=None,
                    prompt=NO_PROMPT,
                    segments=_segments(found),
                )
            )
    return results


def _segments(words: list[Word]) -> tuple[Segment, ...]:
    groups = [tuple(words[n : n + 7]) for n in range(0, len(words), 7)]
    return tuple(
        replace(
            phrase(group[0].start, group[-1].end, "".join(word.text for word in group)),
            words=group,
        )
        for group in groups
    )


def said(results: list[WindowResult]) -> list[str]:
    return [
        word.text for each in stitch(results) for segment in each.segments for word in segment.words
    ]


@settings(max_examples=80, deadline=None)
@given(heard=TRACKS, whole=st.booleans(), seed=st.integers(0, 2**32))
def test_every_word_is_in_the_text_once(heard, whole, seed):
    dice = random.Random(seed)
    words = spoken(heard, dice)
    results = hear(planned(heard, whole=whole), words, dice)
    assert said(results) == [word.text for word in words]


@pytest.mark.parametrize("seed", range(2))
def test_five_minutes_without_a_pause_loses_no_word(seed):
    """With the real settings: chunks and windows are cut in speech all the way."""
    dice = random.Random(seed)
    heard = track([("speech", 10_000)], seed=seed)
    words = spoken(heard, dice)
    chunks = planned(heard, FULL)
    assert all(
        left.span.end > right.span.start
        for left, right in pairwise([w for chunk in chunks for w in chunk.windows])
    )
    assert said(hear(chunks, words, dice)) == [word.text for word in words]


@pytest.mark.parametrize("seed", [16, 17, 25, 30])
def test_two_cuts_close_together_lose_no_word(seed):
    """Speech is quietest at a full window's end and again just behind, where the chunk ends.

    If both were cut there, three windows would hear the words of the sliver between.
    """
    heard = track([("speech", 800)])
    quiet = {*range(122, 127), *range(247, 254)}
    levels = tuple(-70.0 if n in quiet else -20.0 for n in range(800))
    dice = random.Random(seed)
    words = spoken(heard, dice)
    chunks = planned(replace(heard, levels=levels))
    assert chunks[0].span.end == 251 * 512
    assert said(hear(chunks, words, dice)) == [word.text for word in words]


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS)
def test_cut_speech_leaves_no_sliver(heard):
    """A window that was cut out of speech on one side has something to hear."""
    for chunk in planned(heard):
        for left, right in pairwise(chunk.windows):
            if left.span.end > right.span.start:
                assert left.owns.length >= SMALL.seam_overlap
                assert right.owns.length >= SMALL.seam_overlap
