"""Names from existing subtitles: what counts as one, and when it may be said."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.glossary import parse_glossary
from longscribe.core.bias.glossary_subtitles import LATEST_MS
from longscribe.core.bias.subtitle_terms import LONGEST_RUN, PART_WEIGHT, names
from longscribe.errors import GlossaryError
from longscribe.types import Cue, Span, Term, to_samples


def seconds(start: float, end: float) -> Span:
    return Span(start=to_samples(start), end=to_samples(end))


def cues(*texts: str) -> list[Cue]:
    """Cues of two seconds, one every ten; `|` parts the lines."""
    return [
        Cue(start_ms=at * 10_000, end_ms=at * 10_000 + 2000, lines=tuple(text.split("|")))
        for at, text in enumerate(texts)
    ]


def whole(terms: Iterable[Term]) -> list[Term]:
    """The names as they stand, without the parts of longer ones."""
    return [term for term in terms if term.weight == Term.weight]


def parts(*texts: str) -> list[str]:
    return [term.text for term in names(cues(*texts)) if term.weight == PART_WEIGHT]


def found(*texts: str) -> list[str]:
    return [term.text for term in whole(names(cues(*texts)))]


# --- what is a name ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # within a sentence only
        ("I met Geoffrey there.", ["Geoffrey"]),
        ("Geoffrey went home.", []),
        ("It was late. Geoffrey went home.", []),
        ("Was it late? Geoffrey! Come! Now", []),
        ('He said, "Come to me."', []),
        ("He said: Come to me.", []),
        ("Wait... Come to me.", []),
        ("We go-- Come to me - Now then", []),
        ("- So it is.|- Come to me.", []),
        ("So it is (laughs) Come to me. [sighs] Come", []),
        ("¿So it is? ¡Come to me!", []),
        # a comma and the end of a line leave the sentence going on
        ("Well, Geoffrey, come.", ["Geoffrey"]),
        ("I think that|Geoffrey is here.", ["Geoffrey"]),
        # a title's full stop does not end it
        ("I am Mr. Harwick. And Dr. Ronan is St. Mary.", ["Harwick", "Ronan", "Mary"]),
        ("I met Geoffrey. Then the col. Come in.", ["Geoffrey"]),
        # full names
        ("I saw Saoirse Ronan.", ["Saoirse Ronan"]),
        ("I saw Saoirse|Ronan.", ["Saoirse Ronan"]),
        ("I saw Geoffrey, Rosalynd and Lyndon.", ["Geoffrey", "Rosalynd", "Lyndon"]),
        ("I saw Ludwig van Beethoven.", ["Ludwig van Beethoven"]),
        ("I saw Juan de la Cruz.", ["Juan de la Cruz"]),
        ("I saw Geoffrey van then.", ["Geoffrey"]),
        ("I saw Geoffrey's Harwick.", ["Geoffrey", "Harwick"]),
        ("I saw the island of Shetland Island.", ["Shetland Island"]),
        # parts of words
        ("I saw Geoffrey's, Lyndon’ll, Konrad'd.", ["Geoffrey", "Lyndon", "Konrad"]),
        ("I can't think that Don't is one.", []),
        ("- So it was.|- I said Don.|- Then Don't.", ["Don"]),
        ("I saw O'Brien and D’Arcy.", ["O'Brien", "D’Arcy"]),
        ("O'Brien came. McPherson came. YouTube came.", ["O'Brien", "McPherson", "YouTube"]),
        ("I have an iPhone.", ["iPhone"]),
        ("J'aime l'Amérique et d'Artagnan.", ["Amérique", "Artagnan"]),
        ("I saw Jean-Luc.", ["Jean-Luc"]),
        ("I saw the Harwick-based crew in a T-shirt.", ["Harwick"]),
        ("I saw G-Geoffrey and S-s-Saoirse.", ["Geoffrey", "Saoirse"]),
        # never names
        ("And I, I'm here, I'll go on Monday in May, OK, Oh.", []),
        ("I saw the NASA and the BBC.", []),
        ("I am a HUGE dog and not SMALL.", []),
        ("GEOFFREY GOES TO Harwick.", []),
        ("it is X and Y.", []),
        ("der Leuchtturm ist hell", ["Leuchtturm"]),  # the limit that the docs name
        # who speaks, sounds, songs, markup
        ("GEOFFREY: Come to me.", []),
        ("- Old Man: Come to me.|ROSALYND: Come now.", []),
        ("He said: Geoffrey, I saw Lyndon.", ["Lyndon"]),
        ("She rose: I saw Rose.", []),
        ("I saw [the old Keeper] him (with Lyndon) there.", []),
        ("♪ I saw Geoffrey ♪", []),
        ("{\\an8}I saw <i>the</i> end.", []),
    ],
)
def test_what_one_cue_says(text, wanted):
    assert found(text) == wanted


def test_a_word_that_also_stands_in_small_letters_is_none():
    assert found("I met Mark, and Rose.") == ["Mark", "Rose"]
    assert found("I met Mark, and Rose.", "mark my words", "she rose-tinted it") == ["Rose"]


def test_a_name_at_a_beginning_counts_if_it_is_known_elsewhere():
    texts = ("Geoffrey went home.", "I met Geoffrey.", "Then Geoffrey left.", "Then Lyndon left.")
    assert [(term.text, term.ranges) for term in names(cues(*texts))] == [
        ("Geoffrey", (seconds(0, 52),)),
        ("Lyndon", (seconds(0, 62),)),
    ]


def test_no_name_goes_over_the_end_of_a_cue():
    assert found("I met Saoirse", "Ronan, and also Ronan.") == ["Saoirse", "Ronan"]


def test_of_several_spellings_the_most_frequent_stands():
    texts = ["I saw Macdonald.", "I saw MacDonald.", "So MacDonald it is."]
    assert found(*texts) == ["MacDonald"]
    assert found(*texts[:2]) == ["Macdonald"]


def test_a_headline_is_no_name():
    row = ["Ab", "Cd", "Ef", "Gh", "Ij", "Kl"]
    assert LONGEST_RUN == 5
    assert found(f"I saw {' '.join(row[:5])}.") == ["Ab Cd Ef Gh Ij"]
    assert found(f"I saw {' '.join(row[:5])} there.") == ["Ab Cd Ef Gh Ij"]
    assert found(f"I saw {' '.join(row)}.") == found(f"I saw {' '.join(row)} there.") == []
    assert found(f"I saw A{'b' * 199} and A{'b' * 200}.") == ["A" + "b" * 199]


# --- parts of a name ----------------------------------------------------------------


def test_each_part_of_a_longer_name_is_a_name_of_half_the_weight():
    far = Cue(start_ms=200_000, end_ms=201_000, lines=("Is it Geoffrey Lamb?",))
    assert names([*cues("I met Geoffrey Lamb.", "And I met Lyndon."), far]) == (
        Term(text="Geoffrey Lamb", ranges=(seconds(0, 32), seconds(170, 231))),
        Term(text="Geoffrey", weight=0.5, ranges=(seconds(0, 32), seconds(170, 231))),
        Term(text="Lamb", weight=0.5, ranges=(seconds(0, 32), seconds(170, 231))),
        Term(text="Lyndon", ranges=(seconds(0, 42),)),
    )


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        # a part of several names has the times of all
        (["I met Geoffrey Lamb.", "I met Rosalynd Lamb."], ["Geoffrey", "Lamb", "Rosalynd"]),
        # it stands by itself already
        (["I met Geoffrey Lamb.", "And Geoffrey left."], ["Lamb"]),
        (["I met Geoffrey MacDonald.", "I met Macdonald."], ["Geoffrey"]),
        # common words
        (["I met Geoffrey Lamb.", "I met a lamb."], ["Geoffrey"]),
        (["I saw Shetland Island."], ["Shetland"]),
        (["I went to New York and Baker Street."], ["York", "Baker"]),
        (["I met Old Uncle Geoffrey, and Doctor Rosalynd Lamb."], ["Geoffrey", "Rosalynd", "Lamb"]),
        (["I saw Ludwig van Beethoven."], ["Ludwig", "Beethoven"]),
        # one word, and a headline
        (["I met Geoffrey, Jean-Luc, and O'Brien."], []),
        (["I saw Ab Cd Ef Gh Ij Kl."], []),
    ],
)
def test_which_parts_stand_alone(texts, wanted):
    assert parts(*texts) == wanted


# --- when it may be said ------------------------------------------------------------


def test_a_name_is_expected_half_a_minute_around_its_cues():
    far = [
        Cue(start_ms=start, end_ms=start + 1500, lines=("I met Foo.",))
        for start in (1000, 62_500, 200_000, 261_501, 261_400)
    ]
    assert names(far[:2]) == (Term(text="Foo", ranges=(seconds(0, 94),)),)  # they touch
    (term,) = names(sorted(far, key=lambda cue: cue.start_ms))
    assert term.ranges == (seconds(0, 94), seconds(170, 293.001))
    assert names([far[2], far[3]])[0].ranges == (seconds(170, 231.5), seconds(231.501, 293.001))


def test_a_long_cue_reaches_over_a_short_one():
    long = Cue(start_ms=0, end_ms=100_000, lines=("I met Foo.",))
    short = Cue(start_ms=1000, end_ms=2000, lines=("I met Foo.",))
    assert names([long, short])[0].ranges == (seconds(0, 130),)


def test_names_come_in_the_order_of_their_first_time():
    assert found("I met Foo and Bar.", "I met Baz, Bar and Foo.") == ["Foo", "Bar", "Baz"]


# --- files --------------------------------------------------------------------------

SRT = """1
00:01:00,000 --> 00:01:02,000
{\\an8}<i>I think that Geoffrey
met &amp; saw Saoirse</i> <font color="red">Ronan</font>.

2
00:02:01,500 --> 00:02:04,000
And where is Lyndon?
"""
VTT = """WEBVTT - Title Of Film

STYLE
::cue { color: Red }

NOTE a note about Nobody

first-Nobody
01:00.000 --> 01:02.000 align:start
<v Nobody>I think that <00:01:00.500>Geoffrey<00:01:01.000>
met &amp; saw Saoirse <c.Loud>Ronan</c>.

NOTE
this is about Nobody

second-Nobody
00:02:01.500 --> 00:02:04.000
And where is Lyndon?
"""
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,20,&H00FFFFFF,99

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:02:01.50,0:02:04.00,Default,Nobody,0,0,0,,And where is Lyndon?
Comment: 0,0:01:00.00,0:01:02.00,Default,,0,0,0,,I think that Nobody is here
Dialogue: 0,0:01:00.00,0:01:02.00,Default,,0,0,0,,I {\\i1}think{\\i0} that Geoffrey\\Nmet saw\\hSaoirse\\NRonan.
Dialogue: 0,0:01:00.00,0:01:02.00,Default,,0,0,0,,{\\p1}m 0 0 l Nobody{\\p0}
"""
SSA = """[Script Info]
ScriptType: v4.00

[Events]
Format: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: Marked=0,0:01:00.00,0:01:02.00,Default,,0,0,0,,I think that Geoffrey\\Nsaw Saoirse Ronan.
Dialogue: Marked=0,0:02:01.50,0:02:04.00,Default,,0,0,0,,And where is Lyndon?
"""
SUB = """{1}{1}25
{1500}{1550}I think that Geoffrey|saw {y:i}Saoirse Ronan.
{3038}{3100}And where is Lyndon?
"""
TTML = """<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml"><body><div>
<p begin="00:01:00.000" end="00:01:02.000">I think that Geoffrey<br/>saw <span>Saoirse</span> Ronan.</p>
<p begin="121.5s" end="124s">And where is Lyndon?</p>
</div></body></tt>
"""
SAMI = """<SAMI><BODY>
<SYNC Start=60000><P>I think that <i>Geoffrey</i><br>saw Saoirse Ronan.
<SYNC Start=62000><P>&nbsp;
<SYNC Start=121500><P>And where is Lyndon?
</BODY></SAMI>
"""
FORMS = {
    "film.srt": SRT,
    "FILM.EN.SRT": SRT,
    "film.vtt": VTT,
    "film.ass": ASS,
    "film.ssa": SSA,
    "film.sub": SUB,
    "film.ttml": TTML,
    "film.sami": SAMI,
    "film.smi": SAMI,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_form_of_subtitles(name, encoding, line_end):
    data = FORMS[name].replace("\n", line_end).encode(encoding)
    glossary = parse_glossary(data, name)
    terms = whole(glossary.terms)
    assert [term.text for term in terms] == ["Geoffrey", "Saoirse Ronan", "Lyndon"]
    assert [term.ranges[0].start for term in terms] == [
        pytest.approx(to_samples(start), abs=to_samples(0.05)) for start in (30, 30, 91.5)
    ]
    assert glossary.never == ()


def test_the_times_of_srt_are_exact():
    terms = whole(parse_glossary(SRT.encode(), "film.srt").terms)
    assert terms[0] == Term(text="Geoffrey", ranges=(seconds(30, 92),))
    assert terms[2] == Term(text="Lyndon", ranges=(seconds(91.5, 154),))


def test_letters_that_are_composed_differently_are_the_same():
    text = SRT.replace("Geoffrey", "Rene\u0301").replace("Lyndon", "Ren\u00e9")
    terms = whole(parse_glossary(text.encode(), "film.srt").terms)
    assert [term.text for term in terms] == ["Ren\u00e9", "Saoirse Ronan"]


def test_strange_times_do_no_harm():
    text = SRT.replace("00:01:02,000", "00:00:01,000").replace("00:02:04,000", "99:59:59,999")
    first, _, last = whole(parse_glossary(text.encode(), "film.srt").terms)
    assert first.ranges == (seconds(30, 90),)
    assert last.ranges == (seconds(91.5, 360_029.999),)
    text = SAMI.replace("121500", "9" * 30)
    assert parse_glossary(text.encode(), "film.smi").terms[-1].ranges == (
        seconds(LATEST_MS / 1000 - 30, LATEST_MS / 1000 + 30),
    )


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("n.srt", "", "n.srt holds no subtitle that can be read"),
        ("n.srt", "Geoffrey\nRosalynd\n", "n.srt holds no subtitle that can be read"),
        ("n.vtt", "WEBVTT\n", "n.vtt holds no subtitle that can be read"),
        ("n.ass", SRT, "n.ass holds no subtitle that can be read"),
        ("n.srt", SRT.upper(), "n.srt: no names stand out in its 2 subtitles"),
        ("n.srt", SRT.lower(), "n.srt: no names stand out in its 2 subtitles"),
        ("n.sub", SUB.partition("\n")[2], "n.sub counts its times in frames"),
        ("n.ttml", TTML[:-20], "n.ttml can't be read as subtitles (ParseError: "),
        (
            "n.ttml",
            TTML.replace("121.5s", "12f"),
            "can't be read as subtitles (NotImplementedError",
        ),
        ("n.ttml", '<!DOCTYPE a [<!ENTITY b "c">]>' + TTML, "n.ttml declares entities of XML"),
        ("n.smi", SAMI.replace("60000", "soon"), "n.smi can't be read as subtitles (ValueError: "),
    ],
)
def test_what_is_no_subtitles_is_told(name, text, what):
    with pytest.raises(GlossaryError) as error:
        parse_glossary(text.encode(), name)
    assert what in error.value.found
    assert error.value.remedy


def test_other_encodings_are_refused():
    with pytest.raises(GlossaryError, match=r"^n\.srt, line 3: byte 0xfc is not UTF-8"):
        parse_glossary(SRT.replace("think", "fürchte").encode("latin-1"), "n.srt")
    with pytest.raises(GlossaryError, match=r"^n\.srt begins as UTF-16 and is none"):
        parse_glossary(b"\xff\xfe" + b"\x00\xd8", "n.srt")
    with pytest.raises(GlossaryError, match=r"^n\.srt is not a text file"):
        parse_glossary(SRT.encode("utf-16-le"), "n.srt")
    with pytest.raises(GlossaryError, match=r"^n\.srt is not a text file"):
        parse_glossary(SRT.encode("utf-32"), "n.srt")


# --- properties -----------------------------------------------------------------------

PIECES = st.sampled_from(
    ["Geoffrey", "geoffrey", "Saoirse", "Ronan", "I", "the", "Then", "van", "O'Brien", "A-b", "NO"]
)
GAPS = st.sampled_from([" ", ", ", ". ", "|", "- ", "' ", ": ", "... ", "-", "'", "", "[", "]"])
TEXTS = st.lists(st.tuples(PIECES | st.text(max_size=4), GAPS), max_size=8).map(
    lambda pairs: "".join(piece + gap for piece, gap in pairs)
)


@given(st.lists(TEXTS, max_size=6))
def test_names_are_words_of_the_cues_with_capitals(texts):
    said = cues(*texts)
    whole = " ".join(" ".join(text.replace("|", " ").split()) for text in texts)
    terms = names(said)
    for term in terms:
        assert term.text in whole
        assert term.text != term.text.lower()
        assert not term.text.isupper()
        assert all(
            one.end < other.start for one, other in zip(term.ranges, term.ranges[1:], strict=False)
        )
        assert all(span.length >= to_samples(32) for span in term.ranges)
    assert len({term.text.casefold() for term in terms}) == len(terms)
    starts = [term.ranges[0].start for term in terms]
    assert starts == sorted(starts)


@given(st.lists(TEXTS, max_size=6))
def test_a_word_in_small_letters_anywhere_rules_it_out(texts):
    for term in names(cues(*texts)):
        for other in names(cues(*texts, f"so {term.text.lower()}")):
            assert other.text.casefold() != term.text.casefold()
