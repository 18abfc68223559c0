"""Where lines break: at words that only a dictionary knows, and within none of what is one character."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core import line_breaks
from longscribe.core.cues import cues, limits_for
from longscribe.core.line_breaks import bounded, width, word_starts
from longscribe.types import Segment
from tests.views import said

FAMILY = "👨‍👩‍👧‍👦"
FLAG = "\U0001f1ee\U0001f1f8"
THAI = (
    "สวัสดี",
    "ครับ",
    "วัน",
    "นี้",
    "เรา",
    "จะ",
    "มา",
    "พูด",
    "ถึง",
    "เรื่อง",
    "ประวัติศาสตร์",
    "ของ",
    "ประเทศไทย",
)
LAO = ("ສະບາຍດີ", "ຂ້ອຍ", "ມາຈາກ", "ປະເທດ", "ລາວ")
KHMER = ("ខ្ញុំ", "ចង់ទៅ", "ផ្សារ")
BURMESE = ("မြန်မာနိုင်ငံ", "သည်", "အရှေ့တောင်", "အာ", "ရှ")


def lines(segment: Segment, language: str | None) -> list[str]:
    return [line for cue in cues([segment], [], language) for line in cue.lines]


# --- what is longer than a line ----------------------------------------------


@pytest.mark.parametrize("language", ["en", "ja", "th", None])
@pytest.mark.parametrize(
    "text",
    [
        "\u200d".join("👨👩👧👦" * 30),  # one character, by Unicode
        FAMILY * 40,
        FLAG * 60,
        "x" * 200,
        "😀" * 200,
        "e\u0301" * 200,
        "\u0301" * 200,
        "\u200d" * 200 + "x",
        "👍🏽" * 99,
        "한" * 90 + "\u1112\u1161\u11ab" * 90,
        "a" + "\u200d" * 3 + "b" * 120,
    ],
)
def test_what_is_longer_than_a_line_is_broken_and_nothing_is_lost(text: str, language: str) -> None:
    timed = said(0, 9, f" so {text} there", (" so", 0, 1), (" " + text, 1, 8), (" there", 8, 9))
    for segment in (said(0, 9, f" so {text} there"), timed):
        found = lines(segment, language)
        assert "".join("".join(found).split()) == f"so{text}there"
        assert max(map(width, found)) <= limits_for(language).line_length


def test_one_character_stays_whole_where_it_fits() -> None:
    for one in (FAMILY, FLAG, "👍🏽", "e\u0301\u0323"):
        for part in bounded(one * 50, 16):
            assert part == one * (len(part) // len(one))


@given(st.text(max_size=200), st.integers(4, 42))
@settings(max_examples=300, deadline=None)
def test_stretches_fit_and_join_to_the_text(text: str, line_length: int) -> None:
    parts = bounded(text, line_length)
    assert "".join(parts) == text
    assert all(width(part) <= line_length for part in parts)


# --- scripts that only a dictionary can divide -------------------------------


def pieces(text: str, size: int) -> list[str]:
    """The words of a recognizer that knows none: some letters each, marks with their letter."""
    found = [""]
    for letter in text:
        mark = unicodedata.category(letter) in {"Mn", "Mc"}
        if len(found[-1]) >= size and not mark:
            found.append("")
        found[-1] += letter
    return found


@pytest.mark.parametrize("how", ["untimed", "by letters", "in one"])
@pytest.mark.parametrize(
    ("language", "words"), [("th", THAI), ("lo", LAO), ("km", KHMER), ("my", BURMESE)]
)
def test_lines_break_between_words(language: str, words: tuple[str, ...], how: str) -> None:
    words = words * (1 if how == "in one" else 4)
    text = "".join(words)
    heard = {"untimed": [], "by letters": pieces(text, 3), "in one": [text]}[how]
    step = 16 / max(len(heard), 1)
    timed = [(word, n * step, (n + 1) * step) for n, word in enumerate(heard)]
    ends, at = set(), 0
    for word in words:
        at += len(word)
        ends.add(at)
    found = lines(said(0, 16, text, *timed), language)
    assert "".join(found) == text
    at = 0
    for line in found:
        at += len(line)
        assert at in ends, line


def test_words_are_found_among_others() -> None:
    """The dictionary's own count of letters goes wrong behind an emoji."""
    text = "😀😀 Hello " + "".join(THAI[:3]) + " 12 " + "".join(THAI[:2])
    assert word_starts(text) == {0, 6, 10, 13, 19}
    assert word_starts("Hello, 世界") is None


def test_without_a_dictionary_marks_still_stay_on_their_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(line_breaks, "_breaker", lambda: None)
    text = "".join(THAI) * 3
    found = lines(said(0, 20, text), "th")
    assert "".join(found) == text
    assert not any(unicodedata.category(line[0]) in {"Mn", "Mc"} for line in found)


def test_a_dictionary_changes_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        " 今天天气很好，我们一起去公园玩吧。 Then we went home, and nothing else happened that day."
    )
    with_it = lines(said(0, 12, text), "zh")
    monkeypatch.setattr(line_breaks, "_breaker", lambda: None)
    assert lines(said(0, 12, text), "zh") == with_it
