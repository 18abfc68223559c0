"""The ledger and its view: what is done, pending or given up, down to the sample."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core.coverage import assert_accounted, speech_extent, totals
from longscribe.core.ladder import Effort, Rung, Step
from longscribe.core.ledger import ChunkEntry, Ledger, LedgerView
from longscribe.core.lifecycle import ChunkState
from longscribe.ports import PlannedChunk
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    Chunk,
    ChunkResult,
    CoverageKind,
    Gap,
    Span,
    Transcript,
    WindowResult,
    to_samples,
)
from tests.core.plans import chunk, decoded, phrase

TEXT, SILENCE = CoverageKind.TEXT, CoverageKind.SILENCE
GAP, PENDING = CoverageKind.GAP, CoverageKind.PENDING


def entry(plan: Chunk) -> ChunkEntry:
    """Return an entry as the pipeline makes it; one without speech is done."""
    made = ChunkEntry(
        planned=PlannedChunk(chunk=plan, audio=f"audio {plan.chunk_id}"),
        label=str(plan.chunk_id),
    )
    if not plan.windows:
        made.move(ChunkState.DONE)
    return made


def ledger_of(*plans: Chunk) -> Ledger:
    ledger = Ledger()
    for plan in plans:
        ledger.plan(entry(plan))
    return ledger


def finish(item: ChunkEntry) -> None:
    for state in (ChunkState.READY, ChunkState.RUNNING, ChunkState.DONE):
        item.move(state)


def give_up(item: ChunkEntry, reason: str = "worker hung") -> None:
    for state in (ChunkState.READY, ChunkState.RUNNING, ChunkState.GAP):
        item.move(state)
    item.gap = Gap(span=speech_extent(item.chunk), reason=reason, chunk_id=item.chunk.chunk_id)


def view(ledger: Ledger, *, expected: int = 0, silent: frozenset[str] = frozenset()) -> LedgerView:
    """View a ledger whose results are a word in each window, or none in the `silent` entries."""

    def load(item: ChunkEntry):
        assert item.state is ChunkState.DONE, "only what is done has a result"
        texts = [
            "" if item.label in silent else f" w{item.label}.{window.index}"
            for window in item.chunk.windows
        ]
        return decoded(item.chunk, *texts)

    return LedgerView(
        media="m", language="en", text_language="en", ledger=ledger, load=load, expected=expected
    )


def picture(seen: LedgerView) -> list[tuple[int, int, CoverageKind]]:
    return [(item.span.start, item.span.end, item.kind) for item in seen.coverage()]


PLANS = (
    chunk(0, 100, (10, 40), (50, 90), chunk_id=0),
    chunk(100, 200, chunk_id=1),
    chunk(200, 300, (200, 250), chunk_id=2),
)


def test_a_job_that_has_not_begun_is_pending_as_far_as_the_header_says():
    seen = view(Ledger(), expected=500)
    assert picture(seen) == [(0, 500, PENDING)]
    assert not seen.complete
    assert list(seen.windows()) == []
    assert view(Ledger()).coverage() == []


def test_a_job_half_done():
    ledger = ledger_of(*PLANS)
    finish(ledger.entries[0])
    seen = view(ledger, expected=500)
    assert picture(seen) == [
        (0, 10, SILENCE),
        (10, 40, TEXT),
        (40, 50, SILENCE),
        (50, 90, TEXT),
        (90, 200, SILENCE),
        (200, 500, PENDING),
    ]
    assert not seen.complete
    assert seen.duration == 500
    assert [segment.text for segment in seen.segments()] == [" w0.0", " w0.1"]


def test_a_header_that_promised_less_than_was_planned_does_not_count():
    assert view(ledger_of(*PLANS), expected=50).duration == 300


def test_a_complete_job_with_a_gap():
    ledger = ledger_of(*PLANS)
    give_up(ledger.entries[0])
    finish(ledger.entries[2])
    ledger.end(300, None)
    seen = view(ledger)
    assert seen.complete
    assert picture(seen) == [
        (0, 10, SILENCE),
        (10, 90, GAP),
        (90, 200, SILENCE),
        (200, 250, TEXT),
        (250, 300, SILENCE),
    ]
    assert [gap.reason for gap in seen.gaps()] == ["worker hung"]
    assert_accounted(seen.coverage(), seen.duration)


def test_a_missing_tail_is_a_gap_at_the_end():
    ledger = ledger_of(*PLANS)
    finish(ledger.entries[0])
    finish(ledger.entries[2])
    tail = Gap(span=Span(start=300, end=450), reason="the file ends early")
    ledger.end(450, tail)
    seen = view(ledger)
    assert picture(seen)[-1] == (300, 450, GAP)
    assert seen.gaps() == [tail]
    assert_accounted(seen.coverage(), 450)


def test_windows_without_words_are_silence():
    ledger = ledger_of(PLANS[0])
    finish(ledger.entries[0])
    ledger.end(100, None)
    assert {kind for _, _, kind in picture(view(ledger, silent=frozenset({"0"})))} == {SILENCE}


def test_an_empty_recording_is_complete():
    ledger = Ledger()
    assert not ledger.settled
    ledger.end(0, None)
    assert ledger.settled
    assert view(ledger).coverage() == []


def test_a_chunk_split_in_two_stays_in_its_place():
    minute = to_samples(60)
    long = chunk(0, 4 * minute, (0, minute), (2 * minute, 3 * minute), voiced=False)
    ledger = ledger_of(long, chunk(4 * minute, 5 * minute, chunk_id=1))
    effort = Effort(batch_size=1, beam_size=1, compute_type="int8", device="cpu")
    ledger.entries[0].move(ChunkState.READY)
    parts = ledger.split(ledger.entries[0], Step(rung=Rung.SPLIT, effort=effort))
    assert [item.label for item in ledger.entries] == ["0.1", "0.2", "1"]
    assert ledger.planned == 2
    assert [len(part.chunk.windows) for part in parts] == [1, 1]
    finish(ledger.entry("0.1"))
    give_up(ledger.entry("0.2"))
    ledger.end(5 * minute, None)
    seen = view(ledger)
    assert seen.complete
    assert_accounted(seen.coverage(), 5 * minute)
    assert totals(seen.coverage())[GAP] == minute
    assert [segment.text for segment in seen.segments()] == [" w0.1.0"]


@pytest.mark.parametrize(
    ("windows", "ended", "chosen"),
    [(2, False, 0), (2, True, 2), (3, False, 3), (9, False, 8), (0, True, 0)],
)
def test_language_is_judged_from_three_to_eight_windows(windows, ended, chosen):
    speech = [(10 * n, 10 * n + 5) for n in range(windows)]
    ledger = ledger_of(chunk(0, 100, *speech))
    if ended:
        ledger.end(100, None)
    assert len(ledger.language_windows) == chosen


def test_the_language_windows_do_not_change_once_chosen():
    ledger = ledger_of(chunk(0, 100, *[(10 * n, 10 * n + 5) for n in range(4)]))
    first = ledger.language_windows
    ledger.plan(entry(chunk(100, 200, (100, 150), chunk_id=1)))
    ledger.end(200, None)
    assert ledger.language_windows == first


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[Ledger, int]:
    """Chunks in any state over a recording in any state; returns the header's length too."""
    ledger, position = Ledger(), 0
    for chunk_id in range(draw(st.integers(0, 5))):
        steps = draw(st.lists(st.integers(1, 20), max_size=8))
        edges = [position + sum(steps[:n]) for n in range(1, len(steps) + 1)]
        speech = list(zip(edges[::2], edges[1::2], strict=False))
        end = (edges[-1] if edges else position) + draw(st.integers(1, 20))
        ledger.plan(entry(chunk(position, end, *speech, chunk_id=chunk_id)))
        position = end
    for item in ledger.entries:
        if item.chunk.windows:
            draw(st.sampled_from([finish, give_up, lambda _: None]))(item)
    if draw(st.booleans()):
        missing = draw(st.integers(0, 30))
        gap = Gap(span=Span(start=position, end=position + missing), reason="cut off")
        ledger.end(position + missing, gap if missing else None)
    return ledger, draw(st.integers(0, 200))


@settings(max_examples=100)
@given(ledgers())
def test_every_sample_is_accounted_for(job):
    ledger, expected = job
    seen = view(ledger, expected=expected)
    coverage = seen.coverage()
    position = 0
    for item in coverage:
        assert item.span.start == position
        position = item.span.end
    assert position == seen.duration
    pending = totals(coverage)[PENDING]
    if seen.complete:
        assert_accounted(coverage, seen.duration)
    elif ledger.duration is not None:
        assert pending > 0
    gaps = sum(gap.span.length for gap in seen.gaps())
    assert totals(coverage)[GAP] == gaps


# --- speech without words --------------------------------------------------------

SECOND = SAMPLE_RATE
TALK = (
    chunk(0, 60 * SECOND, (SECOND, 29 * SECOND), (30 * SECOND, 60 * SECOND), chunk_id=0),
    chunk(60 * SECOND, 90 * SECOND, (60 * SECOND, 89 * SECOND), chunk_id=1),
)


def talk(dropped: range) -> LedgerView:
    """View two finished chunks with a word each second, but in the seconds that are dropped."""

    def load(item: ChunkEntry) -> ChunkResult:
        return ChunkResult(
            chunk_id=item.chunk.chunk_id,
            windows=tuple(
                WindowResult(
                    chunk_id=item.chunk.chunk_id,
                    window=window,
                    bias_window_id=None,
                    prompt=NO_PROMPT,
                    segments=tuple(
                        phrase(start, start + SECOND, " responsibility", window=window.index)
                        for start in range(window.span.start, window.span.end, SECOND)
                        if start // SECOND not in dropped
                    ),
                )
                for window in item.chunk.windows
            ),
        )

    ledger = ledger_of(*TALK)
    for item in ledger.entries:
        finish(item)
    ledger.end(90 * SECOND, None)
    return LedgerView(
        media="m", language="en", text_language="en", ledger=ledger, load=load, expected=0
    )


def wordless_seconds(seen: LedgerView) -> list[tuple[float, float]]:
    return [
        (entry.span.start / SECOND, entry.span.end / SECOND)
        for entry in seen.coverage()
        if entry.kind is CoverageKind.WORDLESS
    ]


def test_where_all_speech_has_words_nothing_is_declared():
    seen = talk(range(0))
    assert wordless_seconds(seen) == []
    assert seen.complete


@pytest.mark.parametrize(
    ("dropped", "listed"),
    [
        (range(10, 12), [(10.3, 11.7)]),
        (range(27, 29), [(27.3, 29)]),  # the end of a window
        (range(58, 62), [(58.3, 61.7)]),  # over the seam between two chunks
        (range(86, 90), [(86.3, 89)]),
    ],
)
def test_speech_without_words_is_declared_and_the_ledger_still_tiles(dropped, listed):
    seen = talk(dropped)
    assert wordless_seconds(seen) == listed
    assert_accounted(list(seen.coverage()), 90 * SECOND)
    text = sum(b - a for a, b, kind in picture(seen) if kind is TEXT)
    calm = sum(b - a for a, b, kind in picture(talk(range(0))) if kind is TEXT)
    assert calm - text == round(sum(b - a for a, b in listed) * SECOND)
    assert seen.complete, "so little is a clause, or laughter"


def test_a_recognizer_that_loses_words_is_not_complete():
    seen = talk(range(20, 29))
    assert wordless_seconds(seen) == [(20.3, 29)]
    assert not seen.complete


def test_transcripts_say_whether_all_speech_has_words():
    def transcript(seen: LedgerView) -> Transcript:
        windows = tuple(seen.windows())
        return Transcript(
            language="en", duration=seen.duration, segments=tuple(seen.segments()),
            windows=windows, gaps=tuple(seen.gaps()), coverage=tuple(seen.coverage()),
        )  # fmt: skip

    whole, lacking = transcript(talk(range(0))), transcript(talk(range(10, 12)))
    assert whole.complete
    assert whole.wordless == ()
    assert not lacking.complete
    assert [(s.start / SECOND, s.end / SECOND) for s in lacking.wordless] == [(10.3, 11.7)]
