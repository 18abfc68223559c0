"""Losses within a recording as gaps, laid over the coverage."""

from __future__ import annotations

import pytest

from longscribe.core.coverage import assert_accounted, merged
from longscribe.core.losses import loss_gaps, promised, with_losses
from longscribe.types import CoverageEntry, CoverageKind, Loss, MediaInfo, Span

TEXT, SILENCE, GAP = CoverageKind.TEXT, CoverageKind.SILENCE, CoverageKind.GAP


def entry(start: int, end: int, kind: CoverageKind) -> CoverageEntry:
    return CoverageEntry(span=Span(start=start, end=end), kind=kind)


def loss(start: int, end: int, left_out: int = 0) -> Loss:
    return Loss(span=Span(start=start, end=end), reason="gone", left_out=left_out)


def laid(entries: list[CoverageEntry], *losses: Loss) -> list[tuple[int, int, CoverageKind]]:
    found = merged(with_losses(entries, loss_gaps(losses)))
    assert_accounted(found, entries[-1].span.end)
    return [(e.span.start, e.span.end, e.kind) for e in found]


ENTRIES = [entry(0, 40, TEXT), entry(40, 80, SILENCE), entry(80, 100, TEXT)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([], [(0, 40, TEXT), (40, 80, SILENCE), (80, 100, TEXT)]),
        (
            [loss(50, 60)],
            [(0, 40, TEXT), (40, 50, SILENCE), (50, 60, GAP), (60, 80, SILENCE), (80, 100, TEXT)],
        ),
        ([loss(40, 80)], [(0, 40, TEXT), (40, 80, GAP), (80, 100, TEXT)]),
        (
            [loss(30, 45)],
            [(0, 30, TEXT), (30, 40, GAP), (40, 45, GAP), (45, 80, SILENCE), (80, 100, TEXT)],
        ),
        (
            [loss(90, 95), loss(0, 5)],
            [
                (0, 5, GAP),
                (5, 40, TEXT),
                (40, 80, SILENCE),
                (80, 90, TEXT),
                (90, 95, GAP),
                (95, 100, TEXT),
            ],
        ),
        ([loss(95, 300)], [(0, 40, TEXT), (40, 80, SILENCE), (80, 95, TEXT), (95, 100, GAP)]),
        ([loss(50, 60), loss(55, 70)], [(0, 40, TEXT), (40, 50, SILENCE), (50, 60, GAP)]),
    ],
)
def test_the_recording_stays_accounted_for(losses, expected) -> None:
    assert laid(ENTRIES, *losses)[: len(expected)] == expected


def test_the_header_promises_less_where_time_was_left_out() -> None:
    info = MediaInfo(
        container="matroska",
        codec="flac",
        track=0,
        tracks=1,
        sample_rate=16000,
        channels=1,
        duration=1000,
        duration_is_exact=True,
    )
    assert promised(info, [loss(0, 10, left_out=300), loss(50, 60, left_out=100)]).duration == 600
    assert promised(info, [loss(0, 10, left_out=5000)]).duration == 0
    assert promised(info, []) == info
