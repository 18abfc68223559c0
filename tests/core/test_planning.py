"""The plan: chunks tile the recording, windows cover the speech, and no feed size shows."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import mean

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from longscribe.config import Chunking, Options, PlanSettings, SpeechSettings
from longscribe.core.bias.ranking import BiasPlan
from longscribe.core.planning import ChunkPlanner, one_chunk, quietest
from longscribe.core.speech import speech_spans
from longscribe.types import SAMPLE_RATE, Chunk, Glossary, Span, Term, Window, to_samples

FRAME = 512
SPEECH = Options().speech_settings
FULL = replace(Options().plan_settings, chunking=Chunking.ON)
# The same proportions at a sixth of the size, so that a few thousand frames make many chunks.
SMALL = PlanSettings(
    chunking=Chunking.ON,
    chunk_length=to_samples(40),
    first_chunk_length=to_samples(10),
    reach=0.2,
    single_chunk_limit=to_samples(60),
    window_length=to_samples(5),
    bridge=to_samples(1),
    seam_overlap=to_samples(0.5),
)


@dataclass(frozen=True)
class Track:
    """What the detector and the meter said of a recording."""

    probabilities: tuple[float, ...]
    levels: tuple[float, ...]
    duration: int

    @property
    def spans(self) -> list[Span]:
        """The speech of the whole recording, heard in one go."""
        bounds = Span(start=0, end=self.duration)
        found = speech_spans(self.probabilities, FRAME, SPEECH, in_speech=False)
        return [span.clipped(bounds) for span in found]

    @property
    def pauses(self) -> list[Span]:
        edges = [0, *(edge for span in self.spans for edge in (span.start, span.end))]
        ends = [*edges[1::2], self.duration]
        return [Span(start=a, end=max(a, b)) for a, b in zip(edges[::2], ends, strict=True)]


def track(runs: Sequence[tuple[str, int]], seed: int = 0, short: int = 0) -> Track:
    """Build a track of runs of frames; the last frame lacks `short` samples."""
    dice = random.Random(seed)
    values = {
        "speech": lambda: dice.uniform(0.5, 1.0),
        "silence": lambda: dice.uniform(0.0, 0.3),
        "murmur": lambda: dice.uniform(0.35, 0.499),
        "noise": dice.random,
        "flicker": lambda: dice.choice((0.1, 0.9)),
    }
    probabilities = [values[kind]() for kind, length in runs for _ in range(length)]
    levels = [round(dice.uniform(-60, -10), 1) for _ in probabilities]
    return Track(tuple(probabilities), tuple(levels), max(0, len(levels) * FRAME - short))


KINDS = ["speech", "silence", "murmur", "noise", "flicker"]
RUNS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(KINDS), st.integers(1, 60)),
        st.tuples(st.sampled_from(KINDS), st.integers(60, 700)),
    ),
    max_size=10,
)
TRACKS = st.builds(track, RUNS, st.integers(0, 2**32), st.integers(0, FRAME - 1))


def talk(pauses: Sequence[float], stretch: float, pause: float = 0.5) -> Track:
    """Speech with a pause of `pause` seconds in the middle of each position in `pauses`."""
    runs: list[tuple[str, int]] = []
    position = 0.0
    for at in pauses:
        runs += [("speech", round((at - pause / 2 - position) * SAMPLE_RATE / FRAME))]
        runs += [("silence", round(pause * SAMPLE_RATE / FRAME))]
        position = at + pause / 2
    return track([*runs, ("speech", round((stretch - position) * SAMPLE_RATE / FRAME))])


def planner(plan: PlanSettings = SMALL, *, whole: bool = False) -> ChunkPlanner:
    return ChunkPlanner(frame=FRAME, speech=SPEECH, settings=plan, whole=whole)


def planned(
    heard: Track, plan: PlanSettings = SMALL, *, whole: bool = False, cuts: Sequence[int] = ()
) -> list[Chunk]:
    """Plan a track fed in the pieces between `cuts`."""
    made = planner(plan, whole=whole)
    total = len(heard.levels)
    edges = [0, *sorted(cut % (total + 1) for cut in cuts), total]
    chunks: list[Chunk] = []
    for start, stop in pairwise(edges):
        chunks += made.feed(heard.probabilities[start:stop], heard.levels[start:stop])
    return chunks + made.finish(heard.duration)


def all_windows(chunks: Sequence[Chunk]) -> list[Window]:
    return [window for chunk in chunks for window in chunk.windows]


def targets(plan: PlanSettings, count: int) -> list[int]:
    return [min(plan.chunk_length, plan.first_chunk_length * 2**n) for n in range(count)]


# --- what must hold of every plan ---------------------------------------------


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans(), chunking=st.sampled_from(Chunking))
def test_chunks_tile_the_recording(heard, whole, chunking):
    chunks = planned(heard, replace(SMALL, chunking=chunking), whole=whole)
    assert [chunk.chunk_id for chunk in chunks] == list(range(len(chunks)))
    edges = [0, *(chunk.span.end for chunk in chunks)]
    assert [chunk.span.start for chunk in chunks] == edges[:-1]
    assert edges[-1] == heard.duration
    assert all(chunk.span.length > 0 for chunk in chunks)


@settings(max_examples=60, deadline=None)
@given(
    heard=TRACKS,
    whole=st.booleans(),
    chunking=st.sampled_from(Chunking),
    cuts=st.lists(st.integers(0, 2**20), max_size=12),
)
def test_plan_does_not_depend_on_how_the_file_was_read(heard, whole, chunking, cuts):
    plan = replace(SMALL, chunking=chunking)
    at_once = planned(heard, plan, whole=whole)
    assert planned(heard, plan, whole=whole, cuts=cuts) == at_once
    assert planned(heard, plan, whole=whole, cuts=range(0, 2**14, 97)) == at_once


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS)
def test_no_chunk_is_longer_than_its_target_and_reach(heard):
    chunks = planned(heard)
    for chunk, target in zip(chunks, targets(SMALL, len(chunks)), strict=True):
        assert chunk.span.length <= round(target * 1.2)
        if chunk is not chunks[-1]:
            assert chunk.span.length >= round(target * 0.8) - FRAME


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS)
def test_cut_falls_in_the_longest_pause_else_on_the_quietest_point(heard):
    chunks = planned(heard)
    for chunk, target in zip(chunks[:-1], targets(SMALL, len(chunks) - 1), strict=True):
        cut, start = chunk.span.end, chunk.span.start
        within = Span(start=start + round(target * 0.8), end=start + round(target * 1.2))
        reached = [pause for pause in heard.pauses if pause.overlap(within) > 0]
        if reached:
            longest = max(pause.overlap(within) for pause in reached)
            held = [pause for pause in reached if pause.start <= cut <= pause.end]
            assert held, f"cut {cut} outside every pause in reach"
            assert held[0].overlap(within) == longest
        else:
            last = min(within.end // FRAME, len(heard.levels) - 1)
            frames = range(-(-within.start // FRAME), last + 1)
            loudness = {at: mean(heard.levels[at - 2 : at + 3]) for at in frames}
            assert loudness[cut // FRAME] == pytest.approx(min(loudness.values()))


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans())
def test_windows_own_the_whole_chunk_and_fit_the_decoder(heard, whole):
    for chunk in planned(heard, whole=whole):
        if not chunk.windows:
            continue
        assert [window.index for window in chunk.windows] == list(range(len(chunk.windows)))
        edges = [chunk.span.start, *(window.owns.end for window in chunk.windows)]
        assert [window.owns.start for window in chunk.windows] == edges[:-1]
        assert edges[-1] == chunk.span.end
        for window in chunk.windows:
            assert 0 < window.span.length <= SMALL.window_length
            assert window.span.end <= heard.duration
            assert window.span.overlap(window.owns) > 0


# Speech without a pause up to the cut, then a murmur that only hysteresis calls speech.
MURMUR = [("speech", 330), ("murmur", 200), ("speech", 700), ("silence", 100)]
# A pause right behind a cut in speech: its window must not reach back over it.
BEHIND = [("speech", 420), ("silence", 12), ("speech", 124), ("silence", 200), ("speech", 500)]


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans())
@example(heard=track(MURMUR), whole=False)
@example(heard=track(BEHIND), whole=False)
def test_all_speech_is_in_a_window(heard, whole):
    windows = all_windows(planned(heard, whole=whole))
    covered = sorted((window.span.start, window.span.end) for window in windows)
    for span in heard.spans:
        position = span.start
        for start, end in covered:
            if start <= position < end:
                position = end
        assert position >= span.end, f"speech at {position} of {span} is in no window"


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans(), mode=st.sampled_from(["prompt", "verify"]))
@example(heard=track([("silence", 900), ("murmur", 900)]), whole=False, mode="prompt")
def test_no_prompt_is_ever_made_for_non_speech(heard, whole, mode):
    """Prompts are made for windows only, and there is none without speech in it."""
    bias = Options(glossary=Path("names.txt"), bias=mode).bias_settings
    plan = BiasPlan(glossary=Glossary(terms=(Term(text="Anna"),)), settings=bias)
    for chunk in planned(heard, whole=whole):
        assert len(plan.for_chunk(chunk)) == len(chunk.windows)
        for window in chunk.windows:
            assert window.speech > 0
            assert any(window.span.overlap(speech) for speech in heard.spans)


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans())
def test_speech_that_fits_is_never_cut(heard, whole):
    windows = all_windows(planned(heard, whole=whole))
    room = SMALL.window_length - 2 * SMALL.seam_overlap
    for span in heard.spans:
        if span.length <= room:
            assert any(
                window.span.start <= span.start and span.end <= window.span.end
                for window in windows
            )


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans())
def test_neighbours_overlap_only_where_speech_was_cut(heard, whole):
    windows = all_windows(planned(heard, whole=whole))
    for left, right in pairwise(windows):
        assert left.span.start < right.span.start
        if left.span.end > right.span.start:
            seam = left.owns.end
            assert seam == right.owns.start
            assert any(span.start <= seam <= span.end for span in heard.spans)


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS)
def test_long_pauses_are_never_inside_a_window(heard):
    windows = all_windows(planned(heard))
    for pause in heard.pauses:
        if pause.length > SMALL.bridge:
            inside = [w for w in windows if w.span.start < pause.start and pause.end < w.span.end]
            assert not inside


@settings(max_examples=60, deadline=None)
@given(heard=TRACKS, whole=st.booleans())
def test_needs_is_exactly_what_decides_the_next_chunk(heard, whole):
    plan = replace(SMALL, chunking=Chunking.AUTO)
    made = planner(plan, whole=whole)
    fed = 0
    chunks: list[Chunk] = []
    while (needs := made.needs) is not None and needs <= len(heard.levels) * FRAME:
        assert needs % FRAME == 0
        assert needs > fed
        upto = needs // FRAME
        before = slice(fed // FRAME, upto - 1)
        assert made.feed(heard.probabilities[before], heard.levels[before]) == []
        last = slice(upto - 1, upto)
        new = made.feed(heard.probabilities[last], heard.levels[last])
        assert new
        chunks += new
        fed = needs
    made.feed(heard.probabilities[fed // FRAME :], heard.levels[fed // FRAME :])
    assert chunks + made.finish(heard.duration) == planned(heard, plan, whole=whole)


def test_needs_knows_no_bound_when_only_the_end_decides():
    off = planner(replace(SMALL, chunking=Chunking.OFF), whole=True)
    assert off.needs is None
    heard = talk([], 200)
    assert off.feed(heard.probabilities, heard.levels) == []
    assert [chunk.span for chunk in off.finish(heard.duration)] == [Span(start=0, end=200 * 16000)]


# --- by hand --------------------------------------------------------------------


def test_first_chunks_are_short_and_grow_to_the_target():
    chunks = planned(track([("speech", 60), ("silence", 20)] * 800), FULL)
    assert len(chunks) > 6
    for chunk, wanted in zip(chunks, (120, 240, 300, 300, 300), strict=False):
        assert chunk.span.length / SAMPLE_RATE == pytest.approx(wanted, rel=0.2)


def test_cut_is_the_middle_of_the_longest_pause_in_reach():
    # The target is frame 312, the reach from 250 to 375.
    runs = [("speech", 260), ("silence", 12), ("speech", 30), ("silence", 20), ("speech", 30)]
    far = track([*runs, ("silence", 30), ("speech", 500)])
    assert planned(far)[0].span.end == (260 + 12 + 30 + 20 + 30 + 11) * FRAME  # cut off at 375
    even = track(
        [("speech", 260), ("silence", 20), ("speech", 30), ("silence", 20), ("speech", 500)]
    )
    assert planned(even)[0].span.end == (260 + 20 + 30 + 10) * FRAME  # of equals, the nearer


def test_a_cut_in_speech_is_reached_over_from_both_sides():
    heard = talk([], 30)
    chunks = planned(heard)
    seam = chunks[0].span.end
    assert seam == quietest(heard.levels, Span(start=128000, end=192000), 160000, FRAME)
    left, right = chunks[0].windows[-1], chunks[1].windows[0]
    assert left.span.end == seam + SMALL.seam_overlap
    assert right.span.start == seam - SMALL.seam_overlap
    assert left.owns.end == right.owns.start == seam


def test_a_cut_in_speech_near_the_end_does_not_reach_past_the_end():
    # Three frames over the reach of the first chunk (375), and quietest just before that.
    heard = track([("speech", 378)], short=100)
    levels = tuple(-70.0 if 372 <= n <= 376 else -20.0 for n in range(378))
    chunks = planned(replace(heard, levels=levels))
    assert chunks[0].span.end == 374 * FRAME
    assert len(chunks) == 2
    assert max(window.span.end for window in all_windows(chunks)) == heard.duration


def test_a_window_keeps_to_its_length_when_speech_pauses_right_behind_a_seam():
    """The first window after a seam in speech reaches back only if speech goes on at the seam."""
    # No pause from 8 to 12 s; the quietest point is at 11.97 s. At 12.03 s a pause follows,
    # then speech that fills a window.
    runs = [("speech", 376), ("silence", 9), ("speech", 124), ("silence", 60), ("speech", 900)]
    heard = track(runs)
    levels = tuple(-70.0 if 372 <= n <= 376 else -20.0 for n in range(len(heard.levels)))
    chunks = planned(replace(heard, levels=levels))
    assert chunks[0].span.end == 374 * FRAME
    assert all(window.span.length <= SMALL.window_length for window in all_windows(chunks))


def test_windows_end_at_the_longest_pause_of_their_last_third():
    # Pauses at 1 s (long), 3 s (long) and 3.7 s (short); room for 4 s.
    heard = track(
        [
            *(("speech", 30), ("silence", 25), ("speech", 40), ("silence", 14)),
            *(("speech", 10), ("silence", 9), ("speech", 60)),
        ]
    )
    windows = planned(heard)[0].windows
    assert [window.owns.end for window in windows] == [(30 + 25 + 40 + 7) * FRAME, heard.duration]


def test_windows_are_filled_well():
    """Five minutes of talk with a pause every 4 s take little more than the fewest windows."""
    heard = talk([4.0 * n for n in range(1, 75)], 300)
    windows = all_windows(planned(heard, FULL))
    assert len(windows) <= 14  # 300 s / 28 s is 11, and two chunk seams


def test_all_silence_has_no_windows():
    chunks = planned(track([("silence", 3000)]))
    assert chunks
    assert all(not chunk.windows for chunk in chunks)


def test_nothing_is_planned_for_nothing():
    assert planner().finish(0) == []
    assert planner(whole=True).finish(0) == []


def test_a_duration_inside_a_frame_ends_the_last_window():
    heard = track([("speech", 100)], short=300)
    (chunk,) = planned(heard)
    assert chunk.span.end == 100 * FRAME - 300 == chunk.windows[-1].span.end


def test_a_short_file_stays_whole_unless_its_header_lied():
    auto = replace(SMALL, chunking=Chunking.AUTO)
    assert len(planned(talk([], 59), auto, whole=True)) == 1
    lied = planned(talk([], 120), auto, whole=True)
    assert len(lied) > 2
    for chunk, target in zip(lied, targets(auto, len(lied)), strict=True):
        assert chunk.span.length <= round(target * 1.2)


@pytest.mark.parametrize(
    ("chunking", "seconds", "device", "whole"),
    [
        (Chunking.AUTO, 599, "cpu", True),
        (Chunking.AUTO, 599, "cuda:1", True),
        (Chunking.AUTO, 599, "mps", False),
        (Chunking.AUTO, 600, "cpu", False),
        (Chunking.AUTO, None, "cpu", False),
        (Chunking.ON, 10, "cpu", False),
        (Chunking.ON, None, "mps", False),
        (Chunking.OFF, 36000, "mps", True),
        (Chunking.OFF, None, "cpu", True),
    ],
)
def test_one_chunk(chunking, seconds, device, whole):
    duration = None if seconds is None else to_samples(seconds)
    assert one_chunk(duration, device, replace(FULL, chunking=chunking)) is whole


@pytest.mark.parametrize(
    ("seconds", "chunks"), [(11, 1), (13, 2), (40, 3), (400, 12), (None, None)]
)
def test_how_many_chunks_to_expect(seconds, chunks):
    """Of 10, 20 and then 40 s, each up to a fifth longer."""
    planner = ChunkPlanner(frame=FRAME, speech=SPEECH, settings=SMALL, whole=False)
    assert planner.expected(None if seconds is None else to_samples(seconds)) == chunks


def test_a_file_that_stays_whole_is_one_chunk():
    planner = ChunkPlanner(frame=FRAME, speech=SPEECH, settings=SMALL, whole=True)
    assert planner.expected(to_samples(55)) == 1


def test_quietest_takes_the_nearest_of_equals():
    within = Span(start=10 * FRAME, end=90 * FRAME)
    assert quietest([-20.0] * 100, within, 42 * FRAME, FRAME) == 42 * FRAME
    levels = [-20.0] * 100
    levels[60:65] = [-50.0] * 5
    assert quietest(levels, within, 20 * FRAME, FRAME) == 62 * FRAME


def test_memory_does_not_grow_with_the_recording():
    """Nothing but the chunk at hand is kept."""
    made = planner(FULL)
    block = track([("speech", 10_000)])
    chunks: list[Chunk] = []
    kept = 0
    for _ in range(24):
        chunks += made.feed(block.probabilities, block.levels)
        kept = max(kept, len(made._levels))
    chunks += made.finish(24 * 10_000 * FRAME)
    assert chunks[-1].span.end == 24 * 10_000 * FRAME
    assert kept < 25_000  # frames held: one block and one chunk


@pytest.mark.parametrize("runs", [[("speech", 60_000)], [("speech", 12), ("silence", 12)] * 5_000])
def test_one_chunk_of_hours_is_packed_in_time(runs):
    off = replace(FULL, chunking=Chunking.OFF)
    (chunk,) = planned(track(runs), off, whole=True)
    assert all(window.span.length <= FULL.window_length for window in chunk.windows)


def test_settings_with_wider_padding_than_overlap_still_fit():
    wide = SpeechSettings(
        threshold=0.5, end_threshold=0.35, min_speech=1536, min_silence=4096, padding=16000
    )
    made = ChunkPlanner(frame=FRAME, speech=wide, settings=SMALL, whole=False)
    heard = track([("speech", 90), ("silence", 9)] * 30)
    chunks = made.feed(heard.probabilities, heard.levels) + made.finish(heard.duration)
    assert all(w.span.length <= SMALL.window_length for w in all_windows(chunks))
