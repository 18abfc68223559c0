"""The clock alone: timestamps in, silence and skips out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.adapters.media.clock import LOOKAHEAD, TOLERANCE, MediaClock, Stamp

RATE = 48_000
FRAME = 960  # 20 ms


def run(times, *, origin=0.0, end=None, rate=RATE, length=FRAME):
    """Place frames with these times; return where each one came to lie (s) and the problems."""
    clock = MediaClock(origin=origin, declared_end=end)
    stamps = [Stamp(time=time, length=length, rate=rate) for time in times]
    ahead = round(LOOKAHEAD * rate / length)
    places, problems = [], []
    for number, stamp in enumerate(stamps):
        start = clock.position
        placement = clock.place(stamp, iter(stamps[number + 1 : number + 1 + ahead]))
        assert placement.silence >= 0
        assert 0 <= placement.skip <= stamp.length
        assert clock.position == pytest.approx(
            start + (placement.silence + stamp.length - placement.skip) / rate
        )
        places.append(start + placement.silence / rate if placement.skip < length else None)
        problems += [placement.problem] if placement.problem else []
    return places, problems


def frames(seconds, start=0.0):
    return [start + n * FRAME / RATE for n in range(round(seconds * RATE / FRAME))]


def close(times, within=1e-4):
    return pytest.approx(times, abs=within)


def test_a_steady_track_is_left_alone():
    times = frames(10)
    assert run(times) == (close(times), [])


def test_the_origin_is_where_a_player_starts():
    assert run(frames(2, start=1.4), origin=1.4)[0] == close(frames(2))
    assert run(frames(2, start=77.0), origin=None)[0] == close(frames(2))


def test_a_late_start_is_led_by_silence_to_the_sample():
    places, problems = run(frames(2, start=0.013))
    assert places == close(frames(2, start=0.013))
    assert problems == []


def test_what_lies_before_zero_is_cut():
    places, problems = run(frames(2, start=-0.05))
    assert places[:2] == [None, None]
    assert places[2] == close(0.0)
    assert places[3] == close(0.01)
    assert problems == []


def test_missing_timestamps_are_counted():
    times = frames(2)
    known = [time if number % 10 == 0 else None for number, time in enumerate(times)]
    assert run(known)[0] == close(times)
    assert run([None] * len(times))[0] == close(times)


def test_a_gap_is_silence():
    times = frames(2) + frames(2, start=5.0)
    places, problems = run(times)
    assert places == close(times)
    assert problems == ["no audio for 3.0 s; silence stands in its place"]


def test_an_overlap_is_dropped():
    places, problems = run(frames(2) + frames(2, start=1.7))
    heard = [place for place in places[100:] if place is not None]
    assert len(heard) == 100 - 15
    assert heard == close(frames(1.7, start=2.0))
    assert len(problems) >= 1
    assert "overlap by 0.3 s" in problems[0]


def test_a_restart_is_rebased():
    places, problems = run(frames(30) + frames(5))
    assert places == close(frames(35))
    assert problems == [
        "timestamps jump from 30.0 s to 0.0 s; the audio is placed right behind what came before"
    ]


def test_an_absurd_jump_is_rebased():
    times = frames(5) + frames(5, start=95_000.0)
    for end in (10.0, None):
        places, problems = run(times, end=end)
        assert places == close(frames(10))
        assert len(problems) == 1


def test_a_long_gap_within_the_declared_length_is_believed():
    times = frames(1) + frames(1, start=1800.0)
    assert run(times, end=1801.0)[0] == close(times)


def test_garbage_for_a_while_then_back_on_the_old_timeline():
    times = frames(5) + frames(3, start=95_000.0) + frames(5, start=8.0)
    places, problems = run(times, end=13.0)
    assert places == close(frames(13))
    assert len(problems) == 2


@pytest.mark.parametrize("stray", [0.0, 7.5, -50.0, 95_000.0])
def test_a_stray_timestamp_moves_nothing(stray):
    times = frames(10)
    wrong = [*times[:200], stray, *times[201:]]
    assert run(wrong, end=10.0) == (close(times), [])


def test_a_sawtooth_moves_nothing():
    """MPEG-TS interpolates within a packet at the wrong rate after a change of rate."""
    times = [(n - n % 10) * 0.032 + (n % 10) * 0.0213 for n in range(300)]
    places, problems = run(times, rate=32_000, length=1024)
    assert places == close([n * 0.032 for n in range(300)])
    assert problems == []


def test_after_damage_the_next_timestamp_is_followed_exactly():
    clock = MediaClock(origin=0.0, declared_end=None)
    clock.place(Stamp(time=0.0, length=FRAME, rate=RATE), ())
    clock.align()
    lost_one = Stamp(time=0.040, length=FRAME, rate=RATE)
    assert clock.place(lost_one, ()).silence == FRAME


def test_a_change_of_rate_keeps_the_time():
    clock = MediaClock(origin=0.0, declared_end=None)
    for n in range(50):
        clock.place(Stamp(time=n * 0.02, length=960, rate=48_000), ())
    clock.place(Stamp(time=1.0, length=320, rate=16_000), ())
    assert clock.position == close(1.02)


@given(
    drift=st.floats(-0.01, 0.01),
    jitter=st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=50),
)
def test_the_error_never_accumulates(drift, jitter):
    truth = [n * 0.02 * (1 + drift) for n in range(1500)]
    times = [time + jitter[n % len(jitter)] for n, time in enumerate(truth)]
    places, problems = run(times)
    errors = [
        abs(place - max(0.0, time))
        for place, time in zip(places[:-30], truth, strict=False)
        if place is not None
    ]
    assert max(errors) <= TOLERANCE + 0.03
    assert problems == []


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.floats(0, 3)), min_size=1, max_size=80),
    st.one_of(st.none(), st.floats(0, 100)),
)
def test_any_garbage_keeps_the_sound_in_order(times, end):
    places, _ = run(times, end=end)
    heard = [place for place in places if place is not None]
    assert heard == sorted(heard)
