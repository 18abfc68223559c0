"""The governor: what is done about memory, when, and when nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import MemorySettings
from longscribe.core.governor import (
    CLEAN_UP,
    RENEW,
    SHARE,
    SMALLER,
    Governor,
    Remedy,
    batch_choice,
    limit_of,
    room_of,
    should_clean_up,
)
from longscribe.types import MemoryReading

GB = 10**9
MB = 10**6
SETTINGS = MemorySettings(
    limit=None, guarded=True, growth=GB, shared_by=1, replaceable=True, sample_every=2.0
)
LIMITED = replace(SETTINGS, limit=GB)


def on_cpu(private: int, *, memory: int = 16 * GB, free: int = 8 * GB) -> MemoryReading:
    return MemoryReading(
        device="cpu", resident=private + 50 * MB, private=private, system_free=free,
        device_memory=memory, device_free=free,
    )  # fmt: skip


def on_gpu(allocated: int, kept: int = 0, *, device: str = "cuda:0", free: int = 20 * GB):
    return MemoryReading(
        device=device, resident=3 * GB, private=2 * GB, system_free=8 * GB,
        allocated=allocated, reserved=allocated + kept, device_memory=24 * GB, device_free=free,
    )  # fmt: skip


def after(governor: Governor, rest: int, most: int, batch: int = 8) -> list[Remedy]:
    return [measure.remedy for measure in governor.after_chunk(on_cpu(rest), most, batch)]


# --- what counts ------------------------------------------------------------------


def test_on_a_gpu_of_its_own_its_memory_counts_and_else_the_machines():
    assert on_cpu(300 * MB).held == 300 * MB
    assert on_gpu(GB, 500 * MB).held == 1500 * MB
    assert on_gpu(GB, 500 * MB).needed == GB
    # A Mac's footprint holds the GPU's part, where the system counts it there.
    assert on_gpu(GB, device="mps").held == 2 * GB
    assert on_gpu(5 * GB, device="mps").held == 5 * GB


def test_the_limit_is_the_users_or_a_share_of_the_device():
    assert limit_of(LIMITED, on_cpu(0)) == GB
    assert limit_of(SETTINGS, on_cpu(0)) == SHARE * 16 * GB
    assert limit_of(replace(SETTINGS, shared_by=4), on_cpu(0)) == SHARE * 4 * GB
    assert limit_of(replace(SETTINGS, guarded=False), on_cpu(0)) is None
    assert limit_of(SETTINGS, replace(on_cpu(0), device_memory=None)) is None


# --- before the end ---------------------------------------------------------------


def test_the_steps_come_one_after_the_other():
    assert CLEAN_UP < SMALLER < RENEW < 1


def test_a_worker_tidies_up_within_a_chunk_only_when_it_holds_much():
    assert not should_clean_up(GB, on_cpu(690 * MB))
    assert should_clean_up(GB, on_cpu(710 * MB))
    assert should_clean_up(GB, on_gpu(100 * MB, 650 * MB)), "what is kept for reuse counts here"
    assert not should_clean_up(None, on_cpu(10**15))


def test_a_calm_worker_is_left_alone():
    governor = Governor.begin(LIMITED, on_cpu(300 * MB))
    for _ in range(100):
        assert after(governor, 320 * MB, 700 * MB) == []
        assert governor.overrun(on_cpu(900 * MB)) is None


def test_batches_get_smaller_when_the_work_takes_too_much():
    governor = Governor.begin(LIMITED, on_cpu(300 * MB))
    assert after(governor, 310 * MB, 850 * MB, batch=8) == [Remedy.SMALLER_BATCH]
    assert after(governor, 310 * MB, 850 * MB, batch=1) == [], "there is nothing smaller"


def test_a_large_model_does_not_make_batches_smaller():
    governor = Governor.begin(LIMITED, on_cpu(800 * MB))
    assert after(governor, 800 * MB, 850 * MB) == [], "the batch is not what takes the memory"


def test_growth_replaces_a_worker_counted_from_its_first_chunk():
    governor = Governor.begin(SETTINGS, on_cpu(300 * MB))
    assert after(governor, 2 * GB, 2 * GB) == [], "what the first chunk leaves is needed for good"
    assert after(governor, 3 * GB - MB, 3 * GB) == []
    assert after(governor, 3 * GB + MB, 3 * GB) == [Remedy.NEW_WORKER]


def test_growth_may_be_allowed():
    governor = Governor.begin(replace(SETTINGS, growth=None), on_cpu(300 * MB))
    assert after(governor, 300 * MB, 300 * MB) == []
    assert after(governor, 9 * GB, 9 * GB) == []


def test_a_worker_near_its_limit_is_replaced_where_a_new_one_would_hold_less():
    settings = replace(LIMITED, growth=None)
    governor = Governor.begin(settings, on_cpu(300 * MB))
    assert after(governor, 700 * MB, 750 * MB) == []
    assert after(governor, 910 * MB, 950 * MB) == [Remedy.NEW_WORKER]


def test_what_the_first_chunk_leaves_is_no_reason_to_replace_every_worker():
    settings = replace(LIMITED, growth=None)
    for _ in range(3):
        governor = Governor.begin(settings, on_cpu(300 * MB))
        assert after(governor, 910 * MB, 950 * MB) == []
        assert after(governor, 920 * MB, 950 * MB) == []


def test_a_thread_is_never_replaced():
    governor = Governor.begin(replace(LIMITED, replaceable=False), on_cpu(300 * MB))
    assert after(governor, 950 * MB, 960 * MB) == []
    assert after(governor, 5 * GB, 5 * GB) == []
    assert governor.overrun(on_cpu(5 * GB)) is None
    assert governor.model_is_too_large() is None


# --- the end ----------------------------------------------------------------------


def test_beyond_the_limit_the_attempt_is_ended_and_the_reason_names_both_sides():
    governor = Governor.begin(LIMITED, on_cpu(300 * MB))
    assert governor.overrun(on_cpu(GB)) is None
    reason = governor.overrun(on_cpu(GB + 200 * MB))
    assert reason is not None
    assert "1.2 GB" in reason
    assert "1.0 GB" in reason


def test_what_a_clean_up_gives_back_ends_nothing():
    limited = replace(LIMITED, limit=4 * GB)
    governor = Governor.begin(limited, on_gpu(3 * GB))
    assert governor.overrun(on_gpu(3 * GB, 15 * GB)) is None
    assert governor.overrun(on_gpu(5 * GB)) is not None


def test_without_a_limit_of_the_users_a_gpu_speaks_for_itself():
    governor = Governor.begin(SETTINGS, on_gpu(3 * GB))
    assert governor.overrun(on_gpu(23 * GB + 900 * MB)) is None


def test_a_model_beyond_the_users_limit_is_refused_but_not_one_beyond_our_guess():
    assert Governor.begin(LIMITED, on_cpu(900 * MB)).model_is_too_large() is None
    told = Governor.begin(LIMITED, on_cpu(2 * GB)).model_is_too_large()
    assert told is not None
    assert "2.0 GB" in told
    assert Governor.begin(SETTINGS, on_cpu(15 * GB)).model_is_too_large() is None


@given(
    st.lists(st.tuples(st.integers(0, 3 * GB), st.integers(0, 2 * GB)), max_size=30),
    st.integers(1, 64),
    st.sampled_from([SETTINGS, LIMITED, replace(SETTINGS, guarded=False, growth=None)]),
)
def test_whatever_is_read_batches_stay_whole_and_reasons_are_given(chunks, batch, settings):
    governor = Governor.begin(settings, on_cpu(200 * MB))
    for rest, work in chunks:
        measures = governor.after_chunk(on_cpu(rest), rest + work, batch)
        assert len({measure.remedy for measure in measures}) == len(measures)
        assert all(measure.reason for measure in measures)
        assert batch > 1 or Remedy.SMALLER_BATCH not in [m.remedy for m in measures]
        if not settings.guarded and settings.limit is None:
            assert measures == ()


# --- the first batch --------------------------------------------------------------


def test_eight_windows_where_there_is_room_for_them():
    choice = batch_choice(None, 5, on_cpu(300 * MB), SETTINGS)
    assert (choice.windows, choice.reason) == (8, "")
    assert batch_choice(None, 5, None, SETTINGS).windows == 8


def test_fewer_windows_where_there_is_little_room_and_that_is_said():
    loaded = on_gpu(3 * GB, free=3 * GB)
    choice = batch_choice(None, 5, loaded, SETTINGS)
    assert choice.windows == 2
    assert "2 windows" in choice.reason
    assert "not 8" in choice.reason
    assert "cuda:0" in choice.reason
    assert batch_choice(None, 5, on_gpu(3 * GB, free=0), SETTINGS).windows == 1


def test_a_limit_leaves_less_room():
    assert room_of(LIMITED, on_cpu(700 * MB)) == 300 * MB
    assert room_of(LIMITED, on_cpu(2 * GB)) == 0
    assert batch_choice(None, 5, on_cpu(700 * MB), LIMITED).windows < 8


def test_a_batch_that_was_asked_for_is_not_argued_with_except_on_apples_gpu():
    assert batch_choice(64, 5, on_gpu(3 * GB, free=GB), SETTINGS).windows == 64
    capped = batch_choice(16, 5, on_gpu(3 * GB, device="mps"), SETTINGS)
    assert capped.windows == 8
    assert "16" in capped.reason
    assert "--batch-size" in capped.reason
    assert batch_choice(4, 5, on_gpu(GB, device="mps"), SETTINGS).reason == ""


@pytest.mark.parametrize("beam", [1, 5])
def test_wider_searches_need_more_room(beam):
    narrow = batch_choice(None, 1, on_gpu(3 * GB, free=3 * GB), SETTINGS).windows
    assert batch_choice(None, beam, on_gpu(3 * GB, free=3 * GB), SETTINGS).windows <= narrow
