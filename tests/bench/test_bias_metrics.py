"""The bias benchmark's scoring: hand-made cases with known counts."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("jiwer")
pytest.importorskip("rapidfuzz")

from bench.bias_parts import table
from bench.bias_parts.glossaries import glossary_for, read_terms, spoken_lines_glossary, write_csv
from bench.bias_parts.metrics import HeardWord, align, occurrences, score, worse
from bench.bias_parts.recordings import Block, Line, ListedTerm, Recording
from longscribe.core.bias.glossary import parse_glossary

GLOSSARY = ("Kathryn", "Mary Gold", "Wrong", "Teddie")


def recording(*lines, name="001"):
    return Recording(
        name=name,
        folder=Path(),
        seed=f"seed {name}",
        duration=100.0,
        blocks=(
            Block(start=0, end=20, stratum="term"),
            Block(start=20, end=40, stratum="silence"),
            Block(start=40, end=60, stratum="plain"),
            Block(start=60, end=80, stratum="near"),
        ),
        lines=lines,
        terms=(
            ListedTerm(
                text="Kathryn", plain="Catherine", kind="spoken", spoken_in=(0,), listed_for=(0,)
            ),
            ListedTerm(text="Teddie", plain="Teddy", kind="absent", spoken_in=(), listed_for=(3,)),
            ListedTerm(
                text="Mary Gold",
                plain="Mary Gold",
                kind="wrong_time",
                spoken_in=(0,),
                listed_for=(2,),
            ),
        ),
        near_others=tuple(f"Near{i}" for i in range(10)),
        random_others=tuple(f"Other{i}" for i in range(10)),
    )


def said(text, start, *terms, stratum=""):
    stratum = stratum or ("term" if terms else "plain")
    return Line(start=start, end=start + 5, stratum=stratum, block=0, text=text, terms=terms)


ONE = recording(said("This is Kathryn's house, she said.", 0, "Kathryn"))


def heard(text, start=0.0, pace=0.5):
    return [
        HeardWord(text=f" {word}", start=start + i * pace, end=start + i * pace + pace)
        for i, word in enumerate(text.split())
    ]


def test_a_perfect_hypothesis_has_no_errors():
    result = score(ONE, heard("this is Kathryn's house she said"), GLOSSARY)
    assert (result.words, result.term_words, result.ordinary) == (6, 1, 5)
    assert (result.errors, result.term_errors, result.ordinary_errors) == (0, 0, 0)
    assert (result.hits, result.mentions, result.false_terms) == (1, 1, [])


def test_a_misspelt_term_is_an_error_of_terms_only():
    result = score(ONE, heard("this is Catherine's house she said"), GLOSSARY)
    assert (result.errors, result.term_errors, result.ordinary_errors) == (1, 1, 0)
    assert (result.hits, result.mentions) == (0, 1)
    assert result.missed == [("Kathryn", "catherine's")]


def test_a_possessive_is_forgiven_for_the_term_but_counts_as_a_word():
    result = score(ONE, heard("this is Kathryn house she said"), GLOSSARY)
    assert (result.errors, result.term_errors, result.ordinary_errors) == (1, 0, 0)
    assert result.hits == 1


def test_a_term_in_place_of_an_ordinary_word_is_false_and_an_ordinary_error():
    result = score(ONE, heard("this is Kathryn's teddie she said"), GLOSSARY)
    assert (result.term_errors, result.ordinary_errors) == (0, 1)
    (false,) = result.false_terms
    assert (false.term, false.said, false.stratum) == ("Teddie", "house", "term")
    assert result.written == 2


def test_another_term_in_place_of_a_term_is_false_and_missed():
    result = score(ONE, heard("this is Teddie's house she said"), GLOSSARY)
    assert (result.hits, len(result.false_terms), result.term_errors) == (0, 1, 1)


def test_an_inserted_term_counts_to_the_terms_another_word_to_the_ordinary():
    result = score(ONE, heard("this is Kathryn's wrong house she said"), GLOSSARY)
    assert (result.term_errors, result.ordinary_errors, len(result.false_terms)) == (1, 0, 1)
    result = score(ONE, heard("this is Kathryn's old house she said"), GLOSSARY)
    assert (result.term_errors, result.ordinary_errors, len(result.false_terms)) == (0, 1, 0)


def test_terms_of_two_words_are_right_as_a_whole():
    one = recording(said("We met Mary Gold.", 0, "Mary Gold"))
    assert score(one, heard("we met Mary Gold's"), GLOSSARY).hits == 1
    result = score(one, heard("we met Mary Cold"), GLOSSARY)
    assert (result.hits, result.term_words, result.term_errors) == (0, 2, 1)
    result = score(one, heard("we met Marigold"), GLOSSARY)
    assert (result.hits, result.term_errors, result.ordinary_errors) == (0, 2, 0)


def test_what_is_written_into_silence_is_counted_there():
    lines = (said("One two.", 0), said("", 20, stratum="silence"), said("Three four.", 40))
    words = heard("one two") + heard("Teddie now", start=22) + heard("three four", start=40)
    result = score(recording(*lines), words, GLOSSARY)
    assert result.line_errors == [0, 2, 0]
    assert [false.stratum for false in result.false_terms] == ["silence"]
    assert (result.ordinary_errors, result.term_errors) == (1, 1)


def test_without_times_an_insertion_belongs_to_the_line_before():
    lines = (said("One two.", 0), said("Three four.", 40))
    words = [HeardWord(text=word) for word in ["one", "two", "and", "three", "four"]]
    assert score(recording(*lines), words, ()).line_errors == [1, 0]


def test_nothing_heard_is_all_deleted():
    result = score(ONE, [], GLOSSARY)
    assert (result.errors, result.term_errors, result.ordinary_errors) == (6, 1, 5)


def test_the_alignment_has_the_fewest_edits_and_puts_like_to_like():
    pairs = align(["a", "kathryn", "b"], ["a", "catherin"])
    assert pairs == [(0, 0), (1, 1), (2, None)]
    pairs = align(["ordinary", "kathryn", "x"], ["catherin", "x"])
    assert pairs == [(0, None), (1, 0), (2, 1)]


def test_the_longer_of_two_terms_counts():
    assert occurrences(["mary", "gold's"], ["Mary", "Mary Gold"]) == [(0, 2, "Mary Gold")]


def test_windows_are_worse_when_their_errors_rise():
    lines = (said("One two.", 0), said("Three four.", 10), said("Five six.", 40))
    one = recording(*lines)
    before = score(one, heard("one too three for") + heard("five six", start=40), ())
    after = score(one, heard("won too three four") + heard("five sex", start=40), ())
    windows = [(0.0, 20.0), (38.0, 50.0)]
    # One line of the first window rises and one falls: the window is as it was.
    assert worse(one, after, before, windows) == (1, 2, 2, 3)
    assert worse(one, before, before, windows) == (0, 2, 0, 3)


def test_the_reference_must_hold_its_terms():
    with pytest.raises(ValueError):
        score(recording(said("We met Marigold.", 0, "Mary Gold")), [], GLOSSARY)


# --- figures -----------------------------------------------------------------


def scored(one, text, seconds=1.0):
    result = score(one, heard(text), GLOSSARY)
    return table.Scored(
        recording=one,
        score=result,
        seconds=seconds,
        base_seconds=1.0,
        cpu_seconds=seconds,
        base_cpu_seconds=1.0,
        windows_worse=0,
        windows=1,
        lines_worse=0,
        lines=1,
    )


def test_figures_are_ratios_of_sums_and_intervals_hold_them():
    rows = [
        scored(ONE, "this is Kathryn's house she said", 1.0),
        scored(ONE, "this is Catherine's horse she said", 2.0),
    ]
    assert table.value(table.WER, rows) == pytest.approx(2 / 12)
    assert table.value(table.U, rows) == pytest.approx(1 / 10)
    assert table.value(table.B, rows) == table.value(table.RECALL, rows) == 0.5
    assert table.value(table.PRECISION, rows) == 1.0
    assert table.value(table.COST, rows) == 1.5
    found = table.estimate(table.B, rows)
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)
    same = table.estimate(table.B, rows, rows)
    assert (same.low, same.value, same.high) == (0.0, 0.0, 0.0)


def test_the_interval_is_the_same_each_time():
    rows = [scored(ONE, text) for text in ("this is Kathryn's", "house she said", "is a house")]
    assert table.estimate(table.WER, rows) == table.estimate(table.WER, rows)


# --- glossaries --------------------------------------------------------------


def test_longer_lists_hold_the_shorter_and_half_of_the_others_is_near():
    one = recording(said("We met Mary Gold and Kathryn.", 0, "Mary Gold", "Kathryn"))
    short = {entry.term for entry in glossary_for(one, 4, "none")}
    long = {entry.term for entry in glossary_for(one, 20, "none")}
    assert short < long
    assert {term for term in short if term.startswith(("Near", "Other"))} == {
        "Near0",
        "Near1",
        "Other0",
        "Other1",
    }
    assert glossary_for(one, 20, "noisy") == glossary_for(one, 20, "noisy")
    with pytest.raises(ValueError):
        glossary_for(one, 100, "none")


def test_oracle_times_are_those_of_the_scene_and_wrong_ones_are_wrong(tmp_path):
    entries = {entry.term: entry.ranges for entry in glossary_for(ONE, 4, "oracle")}
    assert entries["Kathryn"] == ((0.0, 25.0),)
    assert entries["Teddie"] == ((55.0, 85.0),)
    assert entries["Mary Gold"] == ((35.0, 65.0),)
    assert not any(entry.ranges for entry in glossary_for(ONE, 4, "none"))
    noisy = {entry.term: entry.ranges for entry in glossary_for(ONE, 4, "noisy")}
    assert noisy["Mary Gold"] == entries["Mary Gold"]
    path = write_csv(glossary_for(ONE, 4, "oracle"), tmp_path / "a.csv")
    parsed = parse_glossary(path.read_bytes(), path.name)
    assert [term.text for term in parsed.terms] == read_terms(path)


def test_the_oracle_lists_terms_for_their_lines_only():
    one = recording(
        said("Kathryn!", 0, "Kathryn"), said("No.", 10), said("Kathryn?", 50, "Kathryn")
    )
    (entry,) = spoken_lines_glossary(one)
    assert entry.ranges == ((0, 5), (50, 55))
