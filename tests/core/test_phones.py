"""Phones: what IPA becomes, and that sound-alikes are near and others far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.phones import PHONES, distance, from_ipa, join, outline

phone_strings = st.text(alphabet=sorted(PHONES), max_size=12)


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("dʒˈɛfɹi", "Jɛfri"),  # stress is dropped, affricates are one phone
        ("d͡ʒɛfri", "Jɛfri"),  # a tie changes nothing
        ("nˈaɪntiːn", "nAntin"),  # length is dropped, diphthongs are one phone
        ("həlˈəʊ wˈɜːld", "həlowɜld"),  # spaces are dropped
        ("bɔ̃ʒˈuʁ", "bɔnʒur"),  # a nasal vowel, written with a combining tilde
        ("lˌaxeɾˈɛs", "laxerɛs"),
        ("ʃvˈaʁtsənˌɛɡɜ", "ʃvartsənɛgɜ"),
        ("nʲˈɪt", "nɪt"),
        ("(en)fˈuː(de)", "fu"),  # espeak-ng's marks of another language
        ("ɪç", "ɪx"),
        ("mi5 ma3", "mima"),  # tones
        ("", ""),
        ("ˈˌː", ""),
    ],
)
def test_ipa_becomes_one_character_a_phone(ipa, phones):
    assert from_ipa(ipa) == phones


@given(st.text(max_size=30))
def test_whatever_comes_as_ipa_becomes_letters(text):
    assert all(phone.isalpha() for phone in from_ipa(text))


def test_doubled_phones_are_said_once():
    assert join(["bʌs", "stɒp"]) == "bʌstɒp"
    assert from_ipa("bʌs stɒp") == "bʌstɒp"


# --- distance -------------------------------------------------------------------


@given(phone_strings, phone_strings)
def test_distance_is_symmetric_and_between_0_and_1(one, other):
    far = distance(one, other)
    assert far == pytest.approx(distance(other, one))
    assert 0 <= far <= 1
    assert (far == 0) == (one == other)


@given(phone_strings)
def test_the_same_sound_has_no_distance(phones):
    assert distance(phones, phones) == 0


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (("t", "d"), ("t", "m")),  # voicing against manner and place
        (("n", "m"), ("n", "k")),
        (("θ", "t"), ("θ", "k")),
        (("v", "w"), ("v", "g")),
        (("s", "ʃ"), ("s", "g")),
        (("l", "r"), ("l", "k")),
        (("ɪ", "i"), ("ɪ", "ɒ")),
        (("ɛ", "æ"), ("ɛ", "u")),
        (("A", "a"), ("A", "u")),
        (("ə", "ɒ"), ("i", "ɒ")),  # every vowel may be reduced to a schwa
        (("hana", "ana"), ("mana", "ana")),  # an h is easily lost
        (("kamərə", "kamrə"), ("kamərə", "kaməə")),
        (("a", "u"), ("a", "k")),  # vowels are nearer to each other than to consonants
    ],
)
def test_what_sounds_alike_is_nearer(near, far):
    assert distance(*near) < distance(*far)


def test_the_longer_one_counts():
    """One wrong phone matters less in a long name."""
    assert distance("pat", "pak") > distance("pataman", "pakaman") > 0


def test_characters_of_other_scripts_equal_only_themselves():
    assert distance("東京", "東京") == 0
    assert distance("東京", "東西") == 0.5
    assert distance("日本", "東京") == 1


def test_nothing_in_common():
    assert distance("", "") == 0
    assert distance("", "日本") == 1
    assert distance("ptk", "aou") == 1


def test_outlines_of_sound_alikes_are_equal():
    assert outline("kaθrɪn") == outline("gætrin") == "katran"
    assert outline("Jɛfri") != outline("rɒbərt")
