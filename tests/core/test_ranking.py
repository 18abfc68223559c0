"""Bias windows and the terms they offer: which, and in what order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.config import BiasMode, Options
from longscribe.core.bias.letters import to_phones
from longscribe.core.bias.ranking import BiasPlan, of_language, timing_of
from longscribe.core.bias.retrieval import TermIndex
from longscribe.types import Glossary, Span, Term, to_samples


def seconds(start: float, end: float) -> Span:
    return Span(start=to_samples(start), end=to_samples(end))


def bias(*terms: Term, max_terms: int = 20, mode: BiasMode = BiasMode.PROMPT) -> BiasPlan:
    settings = replace(
        Options(glossary=Path("names.txt"), bias=mode).bias_settings, max_terms=max_terms
    )
    return BiasPlan(glossary=Glossary(terms=terms), settings=settings)


FOO, BAR, BAZ = Term(text="Foo"), Term(text="Bar"), Term(text="Baz")


def test_defaults_are_45_seconds_every_15():
    settings = Options().bias_settings
    assert (settings.window, settings.stride) == (to_samples(45), to_samples(15))
    assert settings.max_terms == 20


def test_without_a_glossary_nothing_is_biased():
    assert Options(bias="prompt").bias_settings.mode is BiasMode.OFF


@pytest.mark.parametrize("mode", [BiasMode.OFF, BiasMode.VERIFY])
def test_only_prompt_mode_offers_terms_before_anything_was_heard(mode):
    assert bias(FOO, mode=mode).for_decode_window(seconds(0, 30)).terms == ()
    assert bias(FOO).for_decode_window(seconds(0, 30)).terms == ("Foo",)


def test_terms_of_other_languages_are_left_out():
    german = Term(text="Fuchs", languages=("de",))
    glossary = Glossary(terms=(FOO, german), never=("x",))
    assert of_language(glossary, "en") == Glossary(terms=(FOO,), never=("x",))
    assert of_language(glossary, "de") == glossary


# --- what decides how a chunk is verified ----------------------------------------


def test_only_terms_of_the_chunks_time_decide():
    far = Term(text="Far", ranges=(seconds(1000, 1010),))
    near = Term(text="Near", ranges=(seconds(320, 330),))
    verify = BiasMode.VERIFY
    here = bias(FOO, near, far, mode=verify).verifying([seconds(0, 300)], "letters")
    assert here == bias(FOO, near, mode=verify).verifying([seconds(0, 300)], "letters")
    assert here != bias(FOO, mode=verify).verifying([seconds(0, 300)], "letters")


def test_whatever_decides_is_in_it_and_notes_are_not():
    def verifying(term, pronouncer="letters"):
        return bias(term, mode=BiasMode.VERIFY).verifying([seconds(0, 300)], pronouncer)

    assert verifying(FOO) == verifying(replace(FOO, note="a friend"))
    others = [verifying(FOO, "espeak-ng"), verifying(BAR), verifying(replace(FOO, weight=2.0))]
    others += [verifying(replace(FOO, aliases=("fu",))), verifying(replace(FOO, never=("fu",)))]
    assert verifying(FOO) not in others


def test_the_number_of_terms_offered_does_not_decide():
    few, many = (bias(FOO, mode=BiasMode.VERIFY, max_terms=n) for n in (1, 20))
    place = [seconds(0, 300)]
    assert few.verifying(place, "letters") == many.verifying(place, "letters")


@pytest.mark.parametrize("bias_window", [5, 45, 300])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 14), (0, 15), (0, 15.1),  # 45 s before the first window
        (100, 110),  # in the pause between both
        (264.9, 270), (265, 270), (320, 330),  # 45 s behind the last one
    ],
)  # fmt: skip
def test_a_term_decides_just_where_retrieval_looks_for_it(start, end, bias_window):
    windows = [seconds(60, 85), seconds(200, 220)]
    ranged = Term(text="Bar", ranges=(seconds(start, end),))
    settings = replace(
        bias(FOO, mode=BiasMode.VERIFY).settings,
        window=to_samples(bias_window),
        stride=to_samples(5),
    )
    with_it, without = (
        BiasPlan(glossary=Glossary(terms=terms), settings=settings).verifying(windows, "letters")
        for terms in ((FOO, ranged), (FOO,))
    )
    index = TermIndex.build([ranged], lambda texts: [to_phones(text) for text in texts])
    assert (with_it != without) == any(map(index.reachable, windows))


def test_near_means_45_seconds():
    ranged = Term(text="Bar", ranges=(seconds(100, 110),))
    windows = [seconds(30, 55), seconds(30, 55.1), seconds(90, 105), seconds(154.9, 160)]
    assert [timing_of(ranged, window) for window in windows] == [-1, 1, 2, 1]
    assert timing_of(ranged, seconds(155, 160)) == -1
    assert timing_of(FOO, seconds(0, 1)) == 0


def test_bias_windows_do_not_decide():
    plan = bias(FOO, mode=BiasMode.VERIFY)
    other = replace(plan, settings=replace(plan.settings, window=16_000, stride=8_000))
    place = [seconds(0, 300)]
    assert plan.verifying(place, "letters") == other.verifying(place, "letters")


def test_nothing_decides_where_nothing_is_verified():
    assert bias(FOO).verifying([seconds(0, 300)], "letters") == ()
    assert bias(mode=BiasMode.VERIFY).verifying([seconds(0, 300)], "letters") == ()


@pytest.mark.parametrize(
    ("span", "ids"),
    [
        (seconds(0, 1), [0]),
        (seconds(0, 15), [0]),  # half-open: window 1 begins where the span ends
        (seconds(0, 15.1), [0, 1]),
        (seconds(44.9, 45), [0, 1, 2]),
        (seconds(45, 46), [1, 2, 3]),  # window 0 has just ended
        (seconds(100, 130), [4, 5, 6, 7, 8]),
    ],
)
def test_windows_that_touch(span, ids):
    windows = list(bias(FOO).windows(span))
    assert [window.window_id for window in windows] == ids
    for window in windows:
        assert window.span == seconds(window.window_id * 15, window.window_id * 15 + 45)
        assert window.span.overlap(span) > 0


@given(start=st.integers(0, 10**9), length=st.integers(1, 480_000))
def test_exactly_the_windows_that_share_a_sample_touch(start, length):
    span = Span(start=start, end=start + length)
    ids = [window.window_id for window in bias(FOO).windows(span)]
    near = range(max(0, start // 240_000 - 5), (start + length) // 240_000 + 3)
    expected = [n for n in near if Span(start=n * 240_000, end=n * 240_000 + 720_000).overlap(span)]
    assert ids == expected


@pytest.mark.parametrize(
    ("span", "nearest"),
    [(seconds(0, 28), 0), (seconds(30, 58), 1), (seconds(37, 68), 2), (seconds(7.5, 37.5), 0)],
)
def test_the_window_with_the_nearest_middle_names_the_bias(span, nearest):
    assert bias(FOO).for_decode_window(span).bias_window_id == nearest


def test_equals_keep_the_order_of_the_file():
    assert bias(FOO, BAR, BAZ).for_decode_window(seconds(0, 30)).terms == ("Foo", "Bar", "Baz")


def test_heavier_terms_come_first():
    plan = bias(FOO, Term(text="Heavy", weight=2.0), BAR, Term(text="Light", weight=0.5))
    assert plan.for_decode_window(seconds(0, 30)).terms == ("Heavy", "Foo", "Bar", "Light")


def test_terms_of_this_time_come_before_heavier_ones_and_those_of_other_times_are_left_out():
    plan = bias(
        Term(text="anywhere", weight=9),
        Term(text="nearby", ranges=(seconds(140, 150),)),
        Term(text="here", weight=0.1, ranges=(seconds(0, 5), seconds(129, 200))),
        Term(text="elsewhere", weight=9, ranges=(seconds(0, 20), seconds(400, 500))),
    )
    # The windows that touch 100 to 130 s reach from 60 to 165 s.
    terms = plan.for_decode_window(seconds(100, 130)).terms
    assert terms == ("here", "nearby", "anywhere")


def test_a_range_touches_half_open():
    plan = bias(Term(text="Foo", ranges=(seconds(165, 170),)))
    assert plan.for_decode_window(seconds(100, 130)).terms == ()
    assert plan.for_decode_window(seconds(100, 135.1)).terms == ("Foo",)


def test_no_more_than_max_terms_and_the_best_of_them():
    plan = bias(*(Term(text=f"t{n}", weight=1 + n) for n in range(30)), max_terms=3)
    assert plan.for_decode_window(seconds(0, 30)).terms == ("t29", "t28", "t27")


@pytest.mark.parametrize("plan", [bias(), bias(FOO, mode=BiasMode.OFF)])
def test_without_terms_there_is_no_bias_window(plan):
    offered = plan.for_decode_window(seconds(0, 30))
    assert (offered.bias_window_id, offered.terms) == (None, ())


TERMS = st.lists(
    st.builds(
        Term,
        text=st.text("abc", min_size=1, max_size=3),
        weight=st.sampled_from([0.5, 1.0, 2.0]),
        ranges=st.lists(st.integers(0, 200).map(lambda at: seconds(at, at + 10)), max_size=2).map(
            tuple
        ),
    ),
    unique_by=lambda term: term.text,
    max_size=12,
)


@given(TERMS, st.integers(0, 200))
def test_a_decode_window_is_offered_the_union_of_its_bias_windows(terms, start):
    plan, span = bias(*terms, max_terms=200), seconds(start, start + 28)
    union = {term.text for window in plan.windows(span) for term in window.terms}
    offered = plan.for_decode_window(span).terms
    assert set(offered) == union
    assert len(offered) == len(union)
    assert plan.for_decode_window(span) == bias(*terms, max_terms=200).for_decode_window(span)
