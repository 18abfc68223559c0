"""What belongs to a word and what stands around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.spelling import bare, compared, core_of, distinction, fold, letters


@pytest.mark.parametrize(
    ("text", "opening", "core", "closing"),
    [
        ("Jeffrey", "", "Jeffrey", ""),
        (" «Jeffrey», ", " «", "Jeffrey", "», "),
        ("„Jeffrey“", "„", "Jeffrey", "“"),
        ("‘Jeffrey.’", "‘", "Jeffrey", ".’"),
        ("__Jeffrey__", "__", "Jeffrey", "__"),
        ("“Jean-Luc’s”", "“", "Jean-Luc’s", "”"),
        ("احمد،", "", "احمد", "،"),
        ("की।", "", "की", "।"),
        ("ที่", "", "ที่", ""),
        ("“Rene\u0301”", "“", "Rene\u0301", "”"),
        ("ี่น", "", "ี่น", ""),  # some decoders cut words in Thai after any letter
        ("ന്\u200d.", "", "ന്\u200d", "."),
        ("\u2764\ufe0fAnna\u2764\ufe0f", "\u2764\ufe0f", "Anna", "\u2764\ufe0f"),
        ("\u2764\ufe0f", "\u2764\ufe0f", "", ""),
        ("“C++”,", "“", "C++", "”,"),
        ("(C#.)", "(", "C#", ".)"),
        ("A+’s", "", "A+’s", ""),
        ("#1 +", "#", "1", " +"),
        ("++", "++", "", ""),
        ("...", "...", "", ""),
        ("", "", "", ""),
    ],
)
def test_signs_stand_around_words_and_marks_belong_to_them(text, opening, core, closing):
    first, stop = core_of(text)
    assert (text[:first], text[first:stop], text[stop:]) == (opening, core, closing)


def test_words_that_differ_in_a_vowel_sign_are_different_words():
    assert len({bare("की"), bare("का"), bare("क")}) == 3
    assert len({fold("की"), fold("का"), fold("क")}) == 3
    assert compared("ที่ ทา") == ("ที่", "ทา")


def test_however_an_accent_is_written_it_is_the_same():
    assert compared("Rene\u0301") == compared("René")
    assert fold("Rene\u0301") == fold("René")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apollo 11", "11"), ("Apollo eleven", ""), ("1,000 and 3rd", "10003"), ("١١", "11"),
        ("C++, C#’s", "++#"), ("1+1", "11"), ("#1 + 2", "12"), ("C ++", ""),
    ],
)  # fmt: skip
def test_digits_and_signs_tell_texts_apart(text, expected):
    assert distinction(text) == expected


@given(st.text(max_size=20))
def test_whatever_the_text_its_core_lies_within_and_has_no_edges(text):
    first, stop = core_of(text)
    assert 0 <= first <= stop <= len(text)
    assert core_of(text[first:stop]) == (0, stop - first)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Konrad", 6),
        ("Mary Gold's", 9),
        ("R2-D2", 4),
        ("李明", 6),
        ("김", 3),
        ("", 0),
    ],
)
def test_letters_are_counted_and_a_syllable_counts_as_three(text, count):
    assert letters(text) == count
