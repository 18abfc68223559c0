"""What devices can do: number formats, batches, and torch's marks on Apple's GPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import DEFAULT_BATCH
from longscribe.core.choosing import PREFERENCES
from longscribe.core.devices import (
    DEFAULT_FORMATS,
    IMPOSSIBLE,
    MPS_BATCH,
    default_batch,
    default_format,
    most_windows,
    usable_format,
    window_bytes,
)
from longscribe.core.watermarks import HIGH, LOW, watermarks

GIB = 2**30


# --- number formats ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("float16", "float32"), ("bfloat16", "float32"), ("int8_float16", "int8_float32"),
        ("int8_bfloat16", "int8_float32"),
    ],
)  # fmt: skip
def test_what_a_cpu_cannot_compute_is_replaced_and_that_is_said(asked, used):
    choice = usable_format("faster-whisper", "cpu", asked)
    assert choice.compute_type == used
    assert asked in choice.reason
    assert used in choice.reason


@pytest.mark.parametrize(
    ("recognizer", "kind", "asked"),
    [
        ("faster-whisper", "cpu", "int8"), ("faster-whisper", "cuda", "default"),
        ("faster-whisper", "cuda", "float16"), ("transformers", "mps", "float16"),
        ("mlx", "mps", "int8_float16"), ("someone's own", "cpu", "float16"),
    ],
)  # fmt: skip
def test_what_can_be_computed_stays_as_asked(recognizer, kind, asked):
    assert usable_format(recognizer, kind, asked).compute_type == asked
    assert not usable_format(recognizer, kind, asked).reason


@pytest.mark.parametrize("recognizer", ["faster-whisper", "whisperx"])
def test_ctranslate2_computes_in_int8_on_a_cpu_where_nobody_says_otherwise(recognizer):
    choice = usable_format(recognizer, "cpu", "default")
    assert choice.compute_type == "int8"
    assert not choice.reason, "it is what was asked for"


def test_the_tables_speak_of_devices_that_recognizers_run_on():
    for recognizer, kind in (*DEFAULT_FORMATS, *IMPOSSIBLE):
        assert kind in PREFERENCES
        assert any(recognizer in row for row in PREFERENCES.values())


def test_a_default_is_possible():
    for (recognizer, kind), form in DEFAULT_FORMATS.items():
        assert form not in IMPOSSIBLE.get((recognizer, kind), ())
        assert default_format(recognizer, kind) == form
    assert default_format("whisper.cpp", "cpu") == "the model's own"


# --- windows at once ----------------------------------------------------------------


@given(st.none() | st.integers(1, 256))
def test_apples_gpu_never_gets_more_than_eight_windows(asked):
    assert most_windows(asked, "mps") <= MPS_BATCH == 8
    assert most_windows(asked, "cpu") == most_windows(asked, "cuda") == (asked or DEFAULT_BATCH)


@given(st.integers(1, 256), st.integers(1, 2**34), st.integers(0, 2**37))
def test_the_default_fits_or_is_one(most, window, room):
    batch = default_batch(most, window, room)
    assert 1 <= batch <= most
    assert batch == 1 or batch * window <= room
    assert batch == most or (2 * batch + 1) * window > room, "it is halved no further than needed"


def test_the_estimate_of_a_window_covers_the_models_it_was_made_from():
    """Keys and values of 1,500 positions of audio and 448 of text, in every layer, in 16 bits."""
    for layers, width, weights in ((32, 1280, 3.09e9), (12, 768, 0.484e9), (4, 384, 0.0755e9)):
        for beams in (1, 5):
            audio = layers * 2 * 1500 * width * 2
            text = beams * layers * 2 * 448 * width * 2
            assert window_bytes(round(weights), beams) >= 0.9 * (audio + text)


# --- torch's marks ----------------------------------------------------------------


RATIOS = st.none() | st.floats(0, 2).map(lambda ratio: f"{ratio:.3f}") | st.just("much")


@given(RATIOS, RATIOS)
def test_the_marks_always_fit_and_the_users_stay(high, low):
    given_marks = {name: text for name, text in ((HIGH, high), (LOW, low)) if text is not None}
    found = watermarks(given_marks)
    assert not set(found.added) & set(given_marks)
    both = {**given_marks, **found.added}
    if "much" in (high, low):
        return
    if high is None or low is None:
        # As aten/src/ATen/mps/MPSAllocator.mm checks them.
        highest, lowest = float(both[HIGH]), float(both[LOW])
        assert 0 <= highest <= 2
        assert 0 <= lowest <= (highest or 2)
        assert bool(found.notice) == (len(given_marks) == 1)
    else:
        assert not found.added
        assert bool(found.notice) == (0 < float(high) < float(low))


def test_the_safe_marks():
    assert watermarks({}).added == {HIGH: "1.0", LOW: "0.8"}


def test_a_mark_that_is_no_number_is_named():
    assert f"{HIGH}=much" in watermarks({HIGH: "much"}).notice
