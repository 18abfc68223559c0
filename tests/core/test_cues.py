"""Subtitle cues: what they say, when they stand, and where they break."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import count, islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.core.cues import cues, gap_text, in_order, limits_for, one_line, to_ms
from longscribe.types import Cue, Gap, Segment, Span, Word
from tests.views import missing, said, spoken


def shown(*items: Segment | Gap, language: str | None = "en") -> list[Cue]:
    segments = [item for item in items if isinstance(item, Segment)]
    return list(cues(segments, [item for item in items if isinstance(item, Gap)], language))


def lines(*items: Segment | Gap, language: str | None = "en") -> list[tuple[str, ...]]:
    return [cue.lines for cue in shown(*items, language=language)]


# --- what must always hold ---------------------------------------------------

LANGUAGES = st.sampled_from(["en", "de", "zh", "ja", "ko", "th", "xx", None])
SPELLINGS = st.one_of(
    st.sampled_from(
        [
            "the",
            "and",
            "Yes.",
            "No!",
            "well,",
            "Mr.",
            "3.30",
            "…",
            "「はい」。",
            "今日は",
            "สวัสดี",
            "<i>",
            "{\\an8}",
            "-->",
            "&",
            "x" * 100,
            "好" * 50,
            "e\u0301" * 60,
            "\u200b",
            "»",
            " !",
        ]
    ),
    st.text(min_size=1, max_size=12),
)


@st.composite
def transcripts(draw: st.DrawFn, *, tidy: bool = False) -> list[Segment]:
    """Segments with or without word times; unless `tidy`, times may be absurd."""
    segments, at = [], 0
    for _ in range(draw(st.integers(0, 6))):
        start = at + draw(st.integers(0 if tidy else -40_000, 40_000))
        words, clock = [], max(start, 0)
        for _ in range(draw(st.integers(0, 25))):
            begins = max(0, clock + draw(st.integers(0 if tidy else -9_000, 30_000)))
            clock = begins + draw(st.integers(800 if tidy else 0, 20_000))
            space = draw(st.sampled_from([" ", " ", " ", "", "\n", "\u00a0"]))
            text = space + draw(SPELLINGS)
            words.append(Word(text=text, start=begins, end=clock, probability=1.0))
        joined = "".join(word.text for word in words)
        with_times = draw(st.booleans())
        model = said(0, 0, joined)
        segments.append(
            Segment(
                **{
                    **model.__dict__,
                    "start": max(start, 0),
                    "end": max(clock, start, 0),
                    "words": tuple(words) if with_times else (),
                }
            )
        )
        at = clock
    return segments


GAPS = st.lists(
    st.builds(
        lambda start, length, reason: Gap(
            span=Span(start=start, end=start + length), reason=reason
        ),
        st.integers(0, 2_000_000),
        st.integers(0, 2_000_000),
        st.sampled_from(["worker crashed", "", "out of memory in the decoder " * 6, "a\n\nb"]),
    ),
    max_size=3,
)


def bare(text: str) -> str:
    kept = (c for c in text if (unicodedata.category(c) != "Cc" or c.isspace()) and c != "\ufeff")
    return "".join("".join(kept).split())


def width(line: str) -> int:
    return sum(unicodedata.category(c) not in {"Mn", "Mc", "Me", "Cf"} for c in line)


@given(transcripts(), LANGUAGES)
@settings(max_examples=120, deadline=None)
def test_no_word_is_lost_altered_or_moved(segments: list[Segment], language: str | None) -> None:
    told = "".join(cue.text for cue in cues(segments, [], language))
    assert bare(told) == bare("".join(item.text for item in in_order(segments, [])))


@given(transcripts(), GAPS, LANGUAGES)
@settings(max_examples=120, deadline=None)
def test_cues_never_overlap_and_never_run_backwards(segments, gaps, language) -> None:
    found = list(cues(segments, gaps, language))
    assert all(0 <= cue.start_ms < cue.end_ms for cue in found)
    assert all(left.end_ms <= right.start_ms for left, right in pairwise(found))


@given(transcripts(), GAPS, LANGUAGES)
@settings(max_examples=120, deadline=None)
def test_no_line_is_blank_or_holds_a_line_break(segments, gaps, language) -> None:
    for cue in cues(segments, gaps, language):
        assert cue.lines
        for line in cue.lines:
            assert line.strip()
            assert line.splitlines() == [line]


@given(transcripts(), LANGUAGES)
@settings(max_examples=120, deadline=None)
def test_speech_keeps_the_limits(segments, language) -> None:
    limits = limits_for(language)
    for cue in cues(segments, [], language):
        assert len(cue.lines) <= 2
        assert max(map(width, cue.lines)) <= limits.line_length
        assert cue.end_ms - cue.start_ms <= limits.longest_ms


@given(transcripts(tidy=True), GAPS, LANGUAGES)
@settings(max_examples=100, deadline=None)
def test_cues_stay_long_enough_where_the_next_allows(segments, gaps, language) -> None:
    found = list(cues(segments, gaps, language))
    for cue, following in pairwise(found):
        shortest = limits_for(language).shortest_ms
        assert cue.end_ms - cue.start_ms >= shortest or cue.end_ms == following.start_ms


@given(transcripts(), GAPS)
@settings(max_examples=100, deadline=None)
def test_equal_input_gives_equal_cues(segments, gaps) -> None:
    assert list(cues(segments, gaps, "en")) == list(cues(iter(segments), gaps, "en"))


@given(transcripts(), GAPS)
@settings(max_examples=100, deadline=None)
def test_every_gap_is_shown_in_full(segments, gaps) -> None:
    told = bare("".join(cue.text for cue in cues(segments, gaps, "en")))
    for gap in gaps:
        assert gap.span.length == 0 or bare(gap_text(gap)) in told


# --- streaming ---------------------------------------------------------------


@pytest.mark.parametrize("text", ["And so on, without any end.", "and so on", "未来"])
def test_cues_come_before_the_transcript_ends(text: str) -> None:
    taken = 0

    def endless() -> Iterator[Segment]:
        nonlocal taken
        for number in count():
            taken += 1
            yield said(number * 5.0, number * 5.0 + 5, " " + text)

    first = list(islice(cues(endless(), [], "en"), 3))
    assert len(first) == 3
    assert taken <= 26  # two minutes of speech without a pause, and one segment to see it end


def test_cues_come_even_where_times_stand_still() -> None:
    endless = (said(3, 3, " lost in a loop") for _ in count())
    assert len(list(islice(cues(endless, [], "en"), 3))) == 3


# --- where text breaks -------------------------------------------------------


def test_sentences_get_cues_of_their_own() -> None:
    found = lines(spoken(0, "The first sentence stands here alone. The second one does as well."))
    assert found == [
        ("The first sentence stands here alone.",),
        ("The second one does as well.",),
    ]


def test_a_sentence_too_short_to_read_joins_its_neighbour() -> None:
    assert lines(spoken(0, "Yes. I think that we should go.")) == [
        ("Yes. I think that we should go.",)
    ]


def test_a_title_does_not_end_a_sentence() -> None:
    text = "Nobody in the whole town had ever seen Mr. Brown without his very old hat before."
    assert not any(line.endswith("Mr.") for found in lines(spoken(0, text)) for line in found)


def test_lines_break_before_small_words_and_after_commas() -> None:
    assert lines(
        spoken(0, "We had been walking through the forest and the rain did not stop.")
    ) == [("We had been walking through the forest", "and the rain did not stop.")]
    assert lines(spoken(0, "When we came to the old house, nobody was at home today.")) == [
        ("When we came to the old house,", "nobody was at home today.")
    ]


def test_a_pause_ends_a_cue_even_inside_a_sentence() -> None:
    early, late = spoken(0, "and then"), spoken(4, "nothing happened.")
    whole = said(0, late.end / 16_000, early.text + late.text)
    whole = Segment(**{**whole.__dict__, "words": early.words + late.words})
    assert lines(whole) == [("and then",), ("nothing happened.",)]


def test_a_sentence_may_run_over_segments() -> None:
    found = shown(spoken(0, "the winner of"), spoken(0.9, "the prize is Anna."))
    assert [cue.lines for cue in found] == [("the winner of the prize is Anna.",)]


def test_long_words_are_broken_rather_than_overflowing() -> None:
    (cue,) = shown(said(0, 3, " " + "a" * 60))
    assert cue.lines == ("a" * 42, "a" * 18)


def test_a_mark_set_off_by_a_space_never_begins_a_line() -> None:
    text = "Est-ce que vous avez déjà vu cette personne ! Oui, je la connais bien !"
    found = lines(spoken(0, text), language="fr")
    assert not any(line.startswith("!") for cue in found for line in cue)


def test_chinese_breaks_after_marks_and_never_before_them() -> None:
    text = "今天天气很好，我们一起去公园玩吧。你觉得怎么样？我认为这个计划非常重要。"
    found = lines(said(0, 12, text), language="zh")
    assert "".join(line for cue in found for line in cue) == text
    assert found[0] == ("今天天气很好，", "我们一起去公园玩吧。")
    assert all(len(line) <= 16 for cue in found for line in cue)


def test_japanese_small_kana_and_closing_marks_stay_with_what_is_before() -> None:
    text = "「ちょっと待ってください」と彼女はゆっくり言ったそうですがだれもきいていませんでした。"
    for cue in lines(said(0, 14, text), language="ja"):
        for line in cue:
            assert line[0] not in "」。っゃゅょー"
            assert line[-1] != "「"


def test_thai_words_are_kept_whole_and_marks_stay_on_their_letters() -> None:
    words = [
        "สวัสดี",
        "ครับ",
        "วันนี้",
        "เรา",
        "จะ",
        "มา",
        "พูด",
        "ถึง",
        "เรื่อง",
        "ประวัติศาสตร์",
        "ของ",
        "ประเทศไทย",
    ]
    timed = [(word, n * 0.5, n * 0.5 + 0.5) for n, word in enumerate(words)]
    found = lines(said(0, 6, "".join(words), *timed), language="th")
    ends, at = set(), 0
    for word in words:
        at += len(word)
        ends.add(at)
    at = 0
    for line in (line for cue in found for line in cue):
        at += len(line)
        assert at in ends


# --- when cues stand ---------------------------------------------------------


def test_cues_take_their_times_from_the_words() -> None:
    found = shown(said(1, 9, " Good morning.", (" Good", 1.5, 1.8), (" morning.", 1.8, 2.6)))
    assert [(cue.start_ms, cue.end_ms) for cue in found] == [(1500, 2600)]


def test_words_that_do_not_spell_the_text_do_not_time_it() -> None:
    (cue,) = shown(said(1, 3, " Good evening.", (" Good", 1.5, 1.8), (" morning.", 1.8, 2.6)))
    assert cue == Cue(start_ms=1000, end_ms=3000, lines=("Good evening.",))


def test_a_short_cue_lingers_until_it_can_be_read() -> None:
    (cue,) = shown(said(1, 1.1, " No!"))
    assert cue.end_ms - cue.start_ms == 833
    alone, _ = shown(said(1, 1.1, " No!"), missing(1.4, 9))
    assert alone.end_ms == 1400


def test_where_neighbours_overlap_both_are_shown() -> None:
    one, two = (
        f" {name} sentence that fills two lines of a subtitle by itself, or nearly so."
        for name in "AB"
    )
    first, second = shown(said(0, 5, one), said(0.1, 5, two))
    assert first.end_ms == second.start_ms
    assert min(first.end_ms - first.start_ms, second.end_ms - second.start_ms) >= 833


# --- gaps --------------------------------------------------------------------


def test_a_gap_becomes_one_cue_that_spans_it() -> None:
    found = shown(spoken(0, "Before it."), missing(5, 255), spoken(255, "After it."))
    assert found[1] == Cue(
        start_ms=5000,
        end_ms=255_000,
        lines=("[not transcribed: 4 min 10 s,", "worker crashed]"),
    )
    assert [cue.lines[0] for cue in found[::2]] == ["Before it.", "After it."]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.01, "0.1 s"),
        (0.4, "0.4 s"),
        (12, "12 s"),
        (59.6, "1 min"),
        (250, "4 min 10 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min 5 s"),
    ],
)
def test_gap_lengths_read_well(seconds: float, words: str) -> None:
    assert gap_text(missing(3, 3 + seconds)) == f"[not transcribed: {words}, worker crashed]"


def test_a_gap_without_a_reason_has_no_comma() -> None:
    assert gap_text(missing(0, 12, " \n")) == "[not transcribed: 12 s]"


def test_one_line_makes_one_line() -> None:
    assert one_line(" a\r\n\tb\u2028c\x00\x1b d\ufeff ") == "a b c d"


def test_milliseconds_are_rounded() -> None:
    assert [to_ms(samples) for samples in (0, 7, 8, 16, 16_000)] == [0, 0, 1, 1, 1000]


def test_a_gap_inside_a_segment_stands_between_its_words() -> None:
    whole = spoken(0, "Before the damage I spoke, and after it I went on to speak.", pace=1.0)
    found = shown(whole, missing(4.9, 6.5, "the file is damaged here"))
    assert found[0].lines == ("Before the damage I spoke,",)
    assert (found[1].start_ms, found[1].end_ms) == (4900, 6500)
    assert found[2].start_ms == 6500


def test_gaps_of_no_time_at_all_still_follow_each_other() -> None:
    first, second = shown(*[Gap(span=Span(start=0, end=1), reason="lost")] * 2)
    assert first.start_ms < first.end_ms <= second.start_ms < second.end_ms


# --- the end of the media ----------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "seconds"),
    [
        (said(9, 9.1, " No!"), 9.2),  # would linger to be read
        (said(8, 11, " It ends behind the media."), 10),
        (said(9.95, 9.96, " At the very end"), 9.9501),
    ],
)
def test_the_last_cue_ends_with_the_media(segment: Segment, seconds: float) -> None:
    (cue,) = cues([segment], [], "en", round(seconds * 16_000))
    assert cue.start_ms < cue.end_ms <= max(int(seconds * 1000), cue.start_ms + 1)


def test_a_gap_at_the_end_of_the_media_ends_with_it() -> None:
    *_, last = cues([spoken(0, "Before it.")], [missing(9.9, 10)], "en", 160_000)
    assert last.end_ms == 10_000


@given(transcripts(), GAPS, st.integers(1, 3_000_000))
@settings(max_examples=100, deadline=None)
def test_no_cue_outlasts_the_media(segments, gaps, duration) -> None:
    for cue in cues(segments, gaps, "en", duration):
        assert cue.end_ms <= max(duration * 1000 // 16_000, cue.start_ms + 1)
