"""What comes from elsewhere is shown, and commands nothing."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("talk.mp3", "talk.mp3"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b]8;;http://x\x1b\\link", r"\x1b]8;;http://x\x1b\link"),
        ("\x9b31m and \x9d0;t\x9c", r"\x9b31m and \x9d0;t\x9c"),
        ("a\nb\rc\td\x00", r"a\nb\rc\td\x00"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("line\u2028line", r"line\u2028line"),
        ("\U000e0041tag", r"\U000e0041tag"),
        ("東京 ünï “çø∂é” 👨‍👩‍👧 हिन्दी", "東京 ünï “çø∂é” 👨‍👩‍👧 हिन्दी"),
        ("नम\u200dस\u200cते", "नम\u200dस\u200cते"),  # joiners are letters' own
        ("caf\udce9", "caf\udce9"),  # the stream's own rule
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_stay_lines_where_they_are_meant() -> None:
    assert visible_lines("one\n\ttwo\x1b[2J\r\n") == "one\n\ttwo\\x1b[2J\\r\n"


@given(st.text())
def test_nothing_of_the_kind_is_left(text: str) -> None:
    assert not any(unicodedata.category(c) == "Cc" for c in visible(text))
    assert not any(
        unicodedata.bidirectional(c) in {"RLO", "LRO", "RLI", "PDI"} for c in visible(text)
    )
    assert visible(visible(text)) == visible(text)
