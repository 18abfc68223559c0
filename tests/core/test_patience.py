"""Waiting: what counts as time, and how long a batch may take."""

from __future__ import annotations

import pytest

from longscribe.config import DeadlineSettings
from longscribe.core.patience import LONGEST_STEP, WRITING_SHARE, Pace, Stopwatch, WritingPace

DEADLINES = DeadlineSettings(floor=10.0, first=100.0, factor=2.5, load=50.0)


def test_time_counts_while_we_watch():
    watch = Stopwatch()
    for now in (5.0, 5.5, 6.0, 8.0):
        watch.look(now)
    assert watch.watched == 3.0


@pytest.mark.parametrize("step", [LONGEST_STEP + 0.1, 3600.0, -3600.0])
def test_a_sleep_a_stop_or_a_jump_back_does_not_count(step):
    watch = Stopwatch()
    watch.look(0.0)
    watch.look(1.0)
    watch.look(1.0 + step)
    watch.look(1.5 + step)
    assert watch.watched == 1.5


def test_before_any_measure_the_first_allowance_holds():
    assert Pace(settings=DEADLINES).allowance(8) == 100.0


def test_the_allowance_follows_the_slowest_of_the_recent_batches():
    pace = Pace(settings=DEADLINES)
    pace.record(8, 16.0)
    pace.record(4, 20.0)
    assert pace.expected(8) == 40.0
    assert pace.allowance(8) == 100.0
    assert pace.allowance(1) == 12.5
    for _ in range(8):
        pace.record(8, 8.0)
    assert pace.allowance(8) == 20.0
    assert pace.allowance(1) == DEADLINES.floor


def test_no_windows_are_no_measure():
    pace = Pace(settings=DEADLINES)
    pace.record(0, 5.0)
    assert pace.expected(1) is None


def test_writing_rests_in_proportion_to_what_it_took():
    pace = WritingPace()
    assert pace.is_due(0.0)
    pace.wrote(10.0, 10.5)
    assert not pace.is_due(10.4 + WRITING_SHARE * 0.5)
    assert pace.is_due(10.5 + WRITING_SHARE * 0.5)
