"""The demo's scoring: it must not flatter us, and not be fooled by the transcript's form."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("jiwer")
pytest.importorskip("rich")

DEMO = Path(__file__).resolve().parents[1] / "demo"


def load(name):
    """Import a script of the demo, which is no package, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"demo_{name}", DEMO / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(DEMO))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DEMO))
    return module


score, run = load("score"), load("run")


# --- word error rate ---------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "hypothesis"),
    [
        ("The sun comes up.", "the  SUN\ncomes up"),
        ("It's the keeper\u2019s lamp!", "it\u2019s, the keeper's lamp"),
        ("well-known", "well known"),
        ("\ufb01re", "fire"),
        ("Zo\u00eb", "Zoe\u0308"),
        ("\u201cYes,\u201d she said \u2014 twice.", "yes she said 'twice'"),
    ],
)
def test_case_punctuation_and_white_space_do_not_count(reference, hypothesis):
    assert score.word_error_rate(reference, hypothesis) == 0


def test_spelling_counts():
    assert score.word_error_rate("ask Kathryn now", "ask Catherine now") == pytest.approx(1 / 3)
    assert score.word_error_rate("the harbour", "the harbor") == pytest.approx(1 / 2)
    assert score.word_error_rate("Zo\u00eb", "Zoe") == 1


@pytest.mark.parametrize(
    ("hypothesis", "rate"),
    [("", 1), ("a b", 1 / 3), ("a b c d", 1 / 3), ("a x c", 1 / 3), ("x y z u v w", 2), ("...", 1)],
)
def test_deletions_insertions_and_substitutions_count_alike(hypothesis, rate):
    assert score.word_error_rate("a b c", hypothesis) == pytest.approx(rate)


@pytest.mark.parametrize("reference", ["", "   \n", "... -- !"])
def test_nothing_can_be_scored_against_no_words(reference):
    with pytest.raises(ValueError, match="no words"):
        score.word_error_rate(reference, "something")
    with pytest.raises(ValueError, match="no words"):
        score.names_right(reference, "something", ["Kathryn"])


# --- names -------------------------------------------------------------------


def test_each_occurrence_counts():
    reference = "Kathryn told Geoffrey. Kathryn left."
    assert score.names_right(reference, reference, ["Kathryn", "Geoffrey"]) == (3, 3)
    heard = "Catherine told geoffrey; KATHRYN left"
    assert score.names_right(reference, heard, ["Kathryn", "Geoffrey"]) == (2, 3)


def test_a_name_in_the_wrong_place_earns_nothing():
    reference = "Kathryn went up and Geoffrey went down"
    swapped = "Geoffrey went up and Kathryn went down"
    assert score.names_right(reference, swapped, ["Kathryn", "Geoffrey"]) == (0, 2)


def test_names_sown_at_random_earn_nothing():
    reference = "in the morning Kathryn came back to the port"
    babble = "in the morning Catherine came back to the port Kathryn Kathryn Kathryn"
    assert score.names_right(reference, babble, ["Kathryn"]) == (0, 1)


def test_names_the_text_does_not_hold_count_neither_way():
    assert score.names_right("nobody answered", "Kathryn answered", ["Kathryn"]) == (0, 0)
    assert score.names_right("nobody answered", "nobody answered", []) == (0, 0)


def test_nothing_heard_is_nothing_right():
    assert score.names_right("ask Kathryn", "", ["Kathryn"]) == (0, 1)
    [name] = score.find_names("ask Kathryn", "", ["Kathryn"])
    assert (name.heard, name.places) == ("", ())


def test_words_left_out_or_added_elsewhere_do_not_shift_the_names():
    reference = "In the morning Kathryn came into the port. There she met Geoffrey and the dog."
    heard = "the morning, Kathryn came in to into the port. She met Geoffrey and the the dog"
    assert score.names_right(reference, heard, ["Kathryn", "Geoffrey"]) == (2, 2)


@pytest.mark.parametrize("heard", ["the mary gold sank", "the marry gold sank", "the gold sank"])
def test_a_name_broken_in_two_is_wrong(heard):
    assert score.names_right("the Marygold sank", heard, ["Marygold"]) == (0, 1)


def test_a_name_broken_in_two_is_shown_whole():
    [name] = score.find_names("the Marygold sank", "the morgue old sank", ["Marygold"])
    assert name.heard == "morgue old"
    assert name.places == (1, 2)


def test_a_word_more_beside_a_right_name_does_not_make_it_wrong():
    assert score.names_right("ask Kathryn now", "ask uh Kathryn uh now", ["Kathryn"]) == (1, 1)


def test_a_right_name_beside_a_wrong_word_is_right():
    reference, heard = "then Alyson took it", "than a Alyson book it"
    assert score.names_right(reference, heard, ["Alyson"]) == (1, 1)


def test_part_of_a_word_is_not_a_name():
    assert score.names_right("the markings", "the markings", ["Mark"]) == (0, 0)
    assert score.names_right("ask Mark", "ask Markus", ["Mark"]) == (0, 1)


def test_terms_of_several_words_must_be_right_as_a_whole():
    reference = "the lamp of Port Ellyn burns"
    assert score.names_right(reference, reference, ["Port Ellyn"]) == (1, 1)
    assert score.names_right(reference, "the lamp of Port Ellen burns", ["Port Ellyn"]) == (0, 1)
    assert score.names_right(reference, "the lamp of Port uh Ellyn burns", ["port-ellyn"]) == (0, 1)


def test_the_longer_of_two_terms_counts_and_only_it():
    terms = ["Harwick", "Harwick Point", "Point"]
    assert score.names_right("Harwick Point and Harwick", "harwick point, harwick", terms) == (2, 2)
    names = score.find_names("at Harwick Point", "at Harwick Pond", terms)
    assert [(name.term, name.right) for name in names] == [("Harwick Point", False)]


@pytest.mark.parametrize(
    ("heard", "right"),
    [("Kathryn's", 1), ("Kathryn\u2019s", 1), ("Kathryn", 1), ("Catherine's", 0)],
)
def test_a_possessive_is_its_name(heard, right):
    assert score.names_right("Kathryn's dog", f"{heard} dog", ["Kathryn"]) == (right, 1)


def test_a_term_without_words_is_refused():
    with pytest.raises(ValueError, match="no words"):
        score.names_right("ask Kathryn", "ask Kathryn", ["Kathryn", "--"])


def test_the_same_term_twice_counts_once():
    assert score.names_right("ask Kathryn", "ask Kathryn", ["Kathryn", "kathryn"]) == (1, 1)


def test_places_point_into_the_hypothesis():
    names = score.find_names(
        "Kathryn and then Geoffrey", "well Kathryn then Geoffrey", ["Kathryn", "Geoffrey"]
    )
    words = score.words_of("well Kathryn then Geoffrey")
    assert [[words[place] for place in name.places] for name in names] == [
        ["kathryn"],
        ["geoffrey"],
    ]


# --- glossary ----------------------------------------------------------------


def test_terms_are_read_as_the_program_reads_them(tmp_path):
    path = tmp_path / "glossary.txt"
    text = "\ufeff# names\n\n  Kathryn | Catherine; Cathryn\nC#\n  # not this\nPort Ellyn\n"
    path.write_text(text, encoding="utf-8")
    assert score.read_terms(path) == ["Kathryn", "C#", "Port Ellyn"]


# --- what the demo says of its figures ---------------------------------------


def wrote(folder, text, *, gaps=(), terms=("Konrad",)):
    folder.mkdir()
    document = {
        "segments": [{"start": 0.0, "end": 1.0, "text": line} for line in text.splitlines()],
        "windows": [{"prompt": {"terms": list(terms)}}],
        "gaps": list(gaps),
    }
    (folder / "sample.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


@pytest.fixture
def said():
    return (DEMO / "sample.txt").read_text(encoding="utf-8")


@pytest.fixture
def misspelt(said):
    for term in score.read_terms(DEMO / "glossary.txt"):
        said = said.replace(term, "Somebody")
    return said


def test_good_runs_pass(tmp_path, said, misspelt):
    without = run.read_run(wrote(tmp_path / "a", misspelt, terms=()))
    with_glossary = run.read_run(wrote(tmp_path / "b", said))
    assert run.shortcomings(without, with_glossary) == []


def test_each_figure_that_is_not_met_is_named(tmp_path, said, misspelt):
    without = run.read_run(wrote(tmp_path / "a", said))
    with_glossary = run.read_run(wrote(tmp_path / "b", "so " * 20 + misspelt, terms=()))
    found = run.shortcomings(without, with_glossary)
    assert [sentence[:20] for sentence in found] == [
        "with the glossary 0.",
        "with the glossary th",
        "without the glossary",
        "no window was given ",
    ]


def test_a_run_with_gaps_or_without_transcript_is_no_result(tmp_path, said):
    with pytest.raises(run.DemoError, match="gaps"):
        run.read_run(wrote(tmp_path / "a", said, gaps=[{"reason": "worker crashed"}]))
    with pytest.raises(run.DemoError, match="wrote no"):
        run.read_run(tmp_path)


def test_names_are_marked_with_what_stands_there_without_the_glossary(tmp_path, said):
    without = said.replace("Annabell", "an Abelle", 1)
    text = run.marked_transcript(
        run.read_run(wrote(tmp_path / "a", without)),
        run.read_run(wrote(tmp_path / "b", said.replace("Brannock", "Brnach", 1))),
        signs=True,
    )
    lines = [cell.plain for cell in text.columns[1].cells]
    assert lines[0].startswith("Good evening. My name is *Annabell* (an Abelle), and this")
    assert lines[1].startswith("It begins in the north, in the land of !Brnach!, where")
    assert "*Brannock* call it *Harwick*." in lines[2]
    assert len(lines) == len(said.splitlines())


# --- the committed sample ----------------------------------------------------


def test_the_sample_is_a_fair_test():
    """Enough names, all in the glossary's spelling, times that fit the text, and decoys."""
    text = (DEMO / "sample.txt").read_text(encoding="utf-8")
    terms = score.read_terms(DEMO / "glossary.txt")
    names = score.find_names(text, text, terms)
    said = {name.term for name in names}
    assert len(names) >= 25
    assert len(said) >= 12
    assert len(set(terms) - said) >= 5
    utterances = json.loads((DEMO / "sample.json").read_text(encoding="utf-8"))
    assert "\n".join(each["text"] for each in utterances) == text.strip()
    assert len({each["voice"] for each in utterances}) >= 2
    times = [time for each in utterances for time in (each["start"], each["end"])]
    assert times == sorted(times)
    assert 180 <= times[-1] <= 300
