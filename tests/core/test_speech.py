"""Speech spans: hysteresis over frame probabilities."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import SpeechSettings
from longscribe.core.speech import speech_spans
from longscribe.types import Span

FRAME = 100
SETTINGS = SpeechSettings(
    threshold=0.5, end_threshold=0.3, min_speech=200, min_silence=300, padding=0
)
VALUE = {"S": 0.9, "m": 0.4, ".": 0.1}


def heard(picture: str, *, in_speech: bool = False) -> str:
    """Draw the spans over the frames: S speech, m between the thresholds, . silence."""
    spans = speech_spans([VALUE[mark] for mark in picture], FRAME, SETTINGS, in_speech=in_speech)
    frames = {n for span in spans for n in range(span.start // FRAME, span.end // FRAME)}
    return "".join("#" if n in frames else "_" for n in range(len(picture)))


@pytest.mark.parametrize(
    ("picture", "spans"),
    [
        ("", ""),
        ("....", "____"),
        ("SSSS", "####"),
        ("..SSS...", "__###___"),
        ("SSS..SSS...", "########___"),  # a pause too short to part
        ("SSS...SSS...", "###___###___"),  # a pause of just min_silence
        ("mmmSSS...", "___###___"),  # a murmur does not begin speech
        ("SSSmmm...", "######___"),  # but it prolongs speech
        ("SSS.mm.SSS", "###____###"),  # and a pause that has begun
        ("SSS.mSSS...", "########___"),
        ("S......", "_______"),  # a click is too short to be speech
        ("SS.....", "##_____"),
        ("SSS..", "###__"),  # a pause at the end counts although it is short
        ("SSSm", "####"),
    ],
)
def test_hysteresis(picture, spans):
    assert heard(picture) == spans


@pytest.mark.parametrize(
    ("picture", "spans"),
    [("mmSS...", "####___"), ("mm...SS", "##___##"), ("...SS", "___##"), ("m....", "_____")],
)
def test_speech_may_be_going_on_before_the_first_frame(picture, spans):
    assert heard(picture, in_speech=True) == spans


@pytest.mark.parametrize(("value", "spoken"), [(0.5, True), (0.4999, False)])
def test_the_threshold_itself_is_speech(value, spoken):
    assert bool(speech_spans([value] * 5, FRAME, SETTINGS, in_speech=False)) is spoken


def test_the_end_threshold_itself_is_no_pause():
    values = [0.9, 0.9, *[0.3] * 5]
    assert speech_spans(values, FRAME, SETTINGS, in_speech=False) == [Span(start=0, end=700)]


PICTURES = st.text("Sm.", max_size=80)


@given(PICTURES, st.booleans())
def test_spans_are_in_order_long_enough_and_parted(picture, in_speech):
    values = [VALUE[mark] for mark in picture]
    spans = speech_spans(values, FRAME, SETTINGS, in_speech=in_speech)
    assert all(span.length >= SETTINGS.min_speech for span in spans)
    assert all(right.start - left.end >= SETTINGS.min_silence for left, right in pairwise(spans))
    assert all(span.end <= len(values) * FRAME for span in spans)


@given(PICTURES)
def test_every_loud_frame_is_in_a_span_unless_it_is_a_click(picture):
    spans = heard(picture)
    for n, mark in enumerate(picture):
        if mark == "." and spans[n] == "#":
            assert "S" in picture[n:], "a span ends in silence"
        if picture[n : n + 2] == "SS":
            assert spans[n] == "#"


@given(PICTURES, PICTURES)
def test_a_decided_pause_parts_past_from_future(before, after):
    """What follows a pause of min_silence does not change what came before it, nor depend on it."""
    assert heard(before + "..." + after) == heard(before + "...") + heard(after)
