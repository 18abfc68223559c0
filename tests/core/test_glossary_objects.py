"""Reading a glossary from JSON and YAML: every key, every error with its entry, and no bombs."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias import glossary_trees
from longscribe.core.bias.glossary import FOREVER, SUBTITLES, parse_glossary
from longscribe.core.bias.glossary_objects import FILE_KEYS, KEYS
from longscribe.errors import GlossaryError
from longscribe.types import Glossary, Span, Term, to_samples
from tests.docs.pages import blocks, read


def seconds(start: float, end: float) -> Span:
    return Span(start=to_samples(start), end=to_samples(end))


def as_json(value: object) -> Glossary:
    return parse_glossary(json.dumps(value).encode(), "names.json")


def as_yaml(text: str) -> Glossary:
    return parse_glossary(text.encode(), "names.yaml")


@pytest.fixture(params=["CBaseLoader", "BaseLoader"])
def loader(request, monkeypatch):
    """Both parsers of PyYAML: libyaml's is not in every build of it."""
    monkeypatch.setattr(glossary_trees, "_LOADER", getattr(yaml, request.param))


EVERYTHING = {
    "terms": [
        "Saoirse  Ronan",
        {
            "term": "Geoffrey",
            "aliases": ["Gefry", "Jef ri"],
            "never": ["Jeffrey"],
            "weight": 2.5,
            "start": 75.5,
            "end": "1:20",
            "ranges": [["1:00:00", 3601], [7200, None]],
            "scenes": ["The harbour", "The tower"],
            "languages": ["en", "German"],
            "inflect": False,
            "note": "the keeper",
        },
        {"never": "Shawn"},
    ],
    "never": ["Shaun", "Shawn"],
    "scenes": {
        "The harbour": ["0:00", "12:30"],
        "The tower": [["20:00", "21:00"], [None, "0:30"]],
        "Unused": [0, 1],
    },
}
READ = Glossary(
    terms=(
        Term(text="Saoirse Ronan"),
        Term(
            text="Geoffrey",
            aliases=("Gefry", "Jef ri"),
            never=("Jeffrey",),
            weight=2.5,
            ranges=(
                seconds(75.5, 80),
                seconds(3600, 3601),
                Span(start=to_samples(7200), end=FOREVER),
                seconds(0, 750),
                seconds(1200, 1260),
                seconds(0, 30),
            ),
            languages=("en", "de"),
            inflect=False,
            note="the keeper",
        ),
    ),
    never=("Shawn", "Shaun"),
)


def test_every_key_of_json():
    assert set(EVERYTHING) == set(FILE_KEYS)
    assert set(EVERYTHING["terms"][1]) == set(KEYS)
    assert as_json(EVERYTHING) == READ


@pytest.mark.parametrize("name", ["names.yaml", "names.yml", "NAMES.YAML"])
def test_every_key_of_yaml(loader, name):
    text = """
# a comment
terms:
  - Saoirse Ronan
  - term: Geoffrey
    aliases:
      - Gefry
      - Jef ri
    never: Jeffrey
    weight: 2.5
    start: 1:15.5
    end: 1:20
    ranges: [[1:00:00, 3601], [2:00:00, ""]]
    scenes: [The harbour, The tower]
    languages: en German
    inflect: no
    note: the keeper
  - never: [Shawn]
never: Shaun; Shawn
scenes:
  The harbour: [0:00, 12:30]
  The tower:
    - [20:00, 21:00]
    - [~, 0:30]
  Unused: [0, 1]
"""
    assert parse_glossary(text.encode(), name) == READ


def test_a_list_alone_is_a_list_of_terms(loader):
    wanted = (Term(text="Foo"), Term(text="Bar", weight=2.0))
    assert as_json(["Foo", {"term": "Bar", "weight": 2}]).terms == wanted
    assert as_yaml("- Foo\n- {term: Bar, weight: 2}\n").terms == wanted


@pytest.mark.parametrize("empty", ["[]", "{}", '{"terms": []}', '{"terms": null, "never": null}'])
def test_an_empty_list_has_no_terms(loader, empty):
    for name, text in (("names.json", empty), ("names.yaml", empty.replace("null", "~"))):
        assert parse_glossary(text.encode(), name, may_be_empty=True) == Glossary()
        with pytest.raises(GlossaryError, match=f"^{name} holds no terms"):
            parse_glossary(text.encode(), name)


@pytest.mark.parametrize("empty", ["", "\n", "# nothing\n", "---\n", "~", "terms:\nscenes:\n"])
def test_an_empty_file_of_yaml_has_no_terms(loader, empty):
    assert parse_glossary(empty.encode(), "n.yaml", may_be_empty=True) == Glossary()
    with pytest.raises(GlossaryError, match=r"^n\.yaml (is empty|holds no terms)\. Write"):
        parse_glossary(empty.encode(), "n.yaml")


def test_yaml_makes_no_guesses(loader):
    text = "- No\n- on\n- null\n- 1984\n- 1:15\n- 0x10\n- 2001-01-01\n- <<\n- 'y'\n- ' ~ '"
    assert [term.text for term in as_yaml(text).terms] == [
        *("No", "on", "null", "1984", "1:15", "0x10", "2001-01-01", "<<", "y", "~"),
    ]


def test_norwegian_is_a_language_of_yaml(loader):
    (term,) = as_yaml("- {term: Foo, languages: no, inflect: no}").terms
    assert term.languages == ("no",)
    assert not term.inflect


def test_a_term_may_begin_with_a_mark_if_it_is_named_so(loader):
    assert as_json([{"term": "!Kung"}]).terms == (Term(text="!Kung"),)
    assert as_yaml("- term: '!Kung'\n- term: a|b\n").terms[1] == Term(text="a|b")


@pytest.mark.parametrize(
    ("value", "answer"), [(True, True), (False, False), (0, False), ("Yes", True), (None, True)]
)
def test_endings_are_kept_unless_told_otherwise(value, answer):
    assert as_json([{"term": "Foo", "inflect": value}]).terms[0].inflect is answer


def test_one_range_needs_no_list_around_it(loader):
    assert as_json([{"term": "Foo", "ranges": [1, 2]}]).terms[0].ranges == (seconds(1, 2),)
    assert as_yaml("- {term: Foo, ranges: [0:01, 0:02]}").terms[0].ranges == (seconds(1, 2),)


def test_entries_of_one_term_are_joined():
    assert as_json([{"term": "Foo", "never": "a"}, "Bar", {"term": "Foo", "never": "b"}]).terms == (
        Term(text="Foo", never=("a", "b")),
        Term(text="Bar"),
    )


def test_anchors_may_be_used(loader):
    text = "- {term: Foo, ranges: &times [[0, 1], [2, 3]]}\n- {term: Bar, ranges: *times}\n"
    foo, bar = as_yaml(text).terms
    assert foo.ranges == bar.ranges == (seconds(0, 1), seconds(2, 3))


# --- errors ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "where", "what"),
    [
        (["A", {"term": "Foo", "colour": 1}], "entry 2 ('Foo')", "unknown key 'colour'"),
        (["A", {"aliases": "Foo"}], "entry 2", "no key 'term'"),
        ([""], "entry 1", "the term is empty"),
        ([{"term": " "}], "entry 1", "the term is empty"),
        ([{"term": "", "never": []}], "entry 1", "the term is empty"),
        ([{"term": 5}], "entry 1 ('5')", "'term' is the number 5"),
        ([5], "entry 1 ('5')", "the number 5 where a term is expected"),
        ([None], "entry 1", "nothing where a term is expected"),
        ([True], "entry 1", "true or false where a term is expected"),
        ([["Foo"]], "entry 1", "a list where a term is expected"),
        (["x" * 201], f"entry 1 ('{'x' * 60}')", "a term of 201 characters"),
        (["!Shaun"], "entry 1 ('!Shaun')", "begins with '!'"),
        (["Foo | bar"], "entry 1 ('Foo | bar')", "a '|'"),
        ([{"term": "Foo", "aliases": ["!a"]}], "entry 1 ('Foo')", "'!a' begins with '!'"),
        ([{"term": "Foo", "aliases": 5}], "entry 1 ('Foo')", "'aliases' is the number 5"),
        ([{"term": "Foo", "aliases": [5]}], "entry 1 ('Foo')", "'aliases' holds the number 5"),
        ([{"term": "Foo", "aliases": [["a"]]}], "entry 1 ('Foo')", "'aliases' holds a list"),
        ([{"term": "Foo", "never": {"a": 1}}], "entry 1 ('Foo')", "'never' is an object"),
        ([{"term": "Foo", "never": "Foo"}], "entry 1 ('Foo')", "never right for itself"),
        ([{"never": "Foo", "weight": 2}], "entry 1", "anti-terms, which hold everywhere, with"),
        ([{"term": "Foo", "weight": 0}], "entry 1 ('Foo')", "weight '0' is not a number over 0"),
        ([{"term": "Foo", "weight": float("nan")}], "entry 1 ('Foo')", "weight 'NaN'"),
        ([{"term": "Foo", "weight": [1]}], "entry 1 ('Foo')", "weight is a list"),
        ([{"term": "Foo", "weight": True}], "entry 1 ('Foo')", "weight is true or false"),
        ([{"term": "Foo", "start": -5}], "entry 1 ('Foo')", "'-5' is not a time"),
        ([{"term": "Foo", "start": {}}], "entry 1 ('Foo')", "start is an object"),
        ([{"term": "Foo", "start": 2, "end": 1}], "entry 1 ('Foo')", "is not after the start"),
        ([{"term": "Foo", "ranges": "0-1"}], "entry 1 ('Foo')", "a range is the text '0-1'"),
        ([{"term": "Foo", "ranges": [[1]]}], "entry 1 ('Foo')", "a range is a list of 1"),
        ([{"term": "Foo", "ranges": [[1, 2], 3]}], "entry 1 ('Foo')", "a range is the number 3"),
        ([{"term": "Foo", "ranges": [[None, None]]}], "entry 1 ('Foo')", "neither start nor end"),
        ([{"term": "Foo", "scenes": ["x"]}], "entry 1 ('Foo')", "unknown scene 'x'"),
        ([{"term": "Foo", "languages": "xx"}], "entry 1 ('Foo')", "unknown language 'xx'"),
        ([{"term": "Foo", "inflect": 2}], "entry 1 ('Foo')", "inflect '2' is neither yes nor no"),
        ([{"term": "Foo", "inflect": []}], "entry 1 ('Foo')", "inflect is a list"),
        ([{"term": "Foo", "note": []}], "entry 1 ('Foo')", "'note' is a list"),
        (["\ud800"], "entry 1 ('\\ud800')", "U+D800 is no part of a text"),
        (["a\x00b"], "entry 1 ('a\\x00b')", "U+0000 is no part of a text"),
        (["Foo", {"never": "Foo"}], "entry 2", "'Foo' is also a term (entry 1 ('Foo'))"),
        ({"terms": "Foo"}, "at the top", "'terms' is the text 'Foo'"),
        ({"terms": False}, "at the top", "'terms' is true or false"),
        ({"Geoffrey": ["Jeffrey"]}, "at the top", "unknown key 'Geoffrey'"),
        ({"never": 5}, "never", "'never' is the number 5"),
        ({"never": ["a", "!b"]}, "never", "'!b' begins with '!'"),
        ({"terms": ["Foo"], "never": ["Foo"]}, "never", "'Foo' is also a term (entry 1 ('Foo'))"),
        ({"scenes": []}, "scenes", "a list where an object is expected"),
        ({"scenes": {"A": "0-1"}}, "scene 'A'", "a range is the text '0-1'"),
        ({"scenes": {"A": []}}, "scene 'A'", "a range is a list of 0"),
        ({"scenes": {"A": [2, 1]}}, "scene 'A'", "is not after the start"),
        ({"scenes": {"A b": [0, 1], "A  b": [0, 1]}}, "scene 'A  b'", "the scene stands twice"),
    ],
)
def test_errors_name_the_entry_and_what_was_found(value, where, what):
    with pytest.raises(GlossaryError) as error:
        as_json(value)
    assert error.value.found.startswith(f"names.json, {where}: ")
    assert what in error.value.found
    assert error.value.remedy


@pytest.mark.parametrize(
    ("item", "found", "remedy"),
    [
        ({"term": {"a": 1}}, "'term' is an object (a mapping).", "It must be one text"),
        ({"term": ["a"]}, "'term' is a list.", "It must be one text"),
        ({"term": "Foo", "aliases": {"a": 1}}, "an object (a mapping).", "It must be a list"),
        ({"term": 5}, "'term' is the number 5.", "It must be a text; put it in quotes."),
    ],
)
def test_what_is_no_text_is_told_with_what_it_must_be(item, found, remedy):
    with pytest.raises(GlossaryError) as error:
        as_json([item])
    assert error.value.found.endswith(found)
    assert error.value.remedy.startswith(remedy)


def test_what_is_no_text_in_yaml_is_told_alike():
    with pytest.raises(GlossaryError, match=r"'term' is an object \(a mapping\)\. It must be one"):
        as_yaml("- term: {a: 1}")
    with pytest.raises(GlossaryError, match=r"'term' is a list\. It must be one text"):
        as_yaml("- term: [a, b]")


def test_an_unknown_scene_is_told_with_those_that_are_known():
    with pytest.raises(GlossaryError, match=r"unknown scene 'C'\. Known are: 'A', 'B'\.$"):
        as_json({"terms": [{"term": "Foo", "scenes": "C"}], "scenes": {"A": [0, 1], "B": [1, 2]}})


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        (
            "n.json",
            '["A",\n {"term": "Foo", "term": "Bar"}]',
            "entry 2 ('Foo')",
            "'term' stands twice",
        ),
        ("n.yaml", "- A\n- term: Foo\n  term: Bar", "entry 2 ('Foo')", "'term' stands twice"),
        ("n.json", '{"terms": [], "terms": []}', "at the top", "'terms' stands twice"),
        ("n.yaml", "scenes: {A: [0, 1], A: [0, 2]}", "scenes", "'A' stands twice"),
        ("n.json", '["A",\n"B"', "line 2", "not JSON: Expecting ',' delimiter"),
        ("n.json", "", "line 1", "not JSON: Expecting value"),
        ("n.json", "Foo\nBar", "line 1", "not JSON"),
        ("n.yaml", "terms:\n\t- Foo", "line 2", "not YAML: found character"),
        ("n.yaml", '- "Foo\n- Bar', "line 2", "not YAML: found unexpected end of stream"),
        ("n.yaml", "- Foo\n- !Shaun", "line 2", "'!Shaun' without quotes is a tag"),
        ("n.yaml", "- !Shaun the Sheep", "line 1", "'!Shaun' without quotes is a tag"),
        ("n.yaml", "!!set {A, B}", "line 1", "without quotes is a tag"),
        ("n.yaml", "- !!python/name:os.system ''", "line 1", "without quotes is a tag"),
        ("n.yaml", "- A\n---\n- B", "line 2", "a second document begins"),
        ("n.yaml", "- *a", "line 1", "nothing before is marked '&a'"),
        ("n.yaml", "- Foo\n- &a [*a]", "line 2", "nothing before is marked '&a'"),
        ("n.yaml", "? [a]\n: b", "line 1", "a key is not a text"),
        ("n.yaml", "- <<: {term: Foo}", "entry 1", "unknown key '<<'"),
    ],
)
def test_errors_of_the_file_itself(loader, name, text, where, what):
    with pytest.raises(GlossaryError) as error:
        parse_glossary(text.encode(), name)
    assert error.value.found.startswith(f"{name}, {where}: ")
    assert what in error.value.found
    assert error.value.remedy


@pytest.mark.parametrize("text", ['"Foo"', "5", "true", "Foo bar", "1:15"])
def test_a_file_must_hold_a_list_or_an_object(loader, text):
    with pytest.raises(GlossaryError, match=r"^n\.yaml holds the text .* list of terms"):
        parse_glossary(text.encode(), "n.yaml")


def test_characters_that_yaml_does_not_take_are_told(loader):
    with pytest.raises(GlossaryError, match=r"^n\.yaml is not YAML: unacceptable character #x0007"):
        parse_glossary(b"- a\x07", "n.yaml")


# --- bombs -------------------------------------------------------------------------


def laughs(levels: int) -> str:
    """Every level is ten times the one before."""
    text = "a0: &a0 [x]\n"
    for level in range(1, levels + 1):
        text += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    return text


def test_a_billion_laughs_are_not_walked(loader):
    with pytest.raises(
        GlossaryError, match=r"line \d: aliases \('\*a\d'\) stand for over 1,000,000"
    ):
        as_yaml(laughs(9))
    with pytest.raises(GlossaryError, match="unknown key 'a0'"):
        as_yaml(laughs(3))


def test_what_is_repeated_counts_with_all_that_is_in_it(loader, monkeypatch):
    monkeypatch.setattr(glossary_trees, "MOST_REPEATED", 12)
    text = "- {term: A, ranges: &r [[0, 1]]}\n"  # two lists and two times: four values
    use = "- {{term: {}, ranges: *r}}\n"
    assert len(as_yaml(text + "".join(map(use.format, "BCD"))).terms) == 4
    with pytest.raises(GlossaryError, match="line 5: aliases"):
        as_yaml(text + "".join(map(use.format, "BCDE")))


@pytest.mark.parametrize("opening", ["[", "- ", '{"a":'])
@pytest.mark.parametrize("name", ["n.json", "n.yaml"])
def test_deep_nests_are_refused(loader, name, opening):
    with pytest.raises(GlossaryError, match=r"^n\.(yaml is nested|json)"):
        parse_glossary(opening.encode() * 50_000, name)


# --- properties -----------------------------------------------------------------------

TEXTS = st.text(max_size=6) | st.sampled_from(["Foo", "0:10", "en", "yes", "!a", "a|b", "A"])
LEAVES = TEXTS | st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*KEYS, *FILE_KEYS]) | TEXTS, inner, max_size=4)
    ),
    max_leaves=12,
)
ITEMS = TEXTS | st.fixed_dictionaries({"term": TEXTS}, optional=dict.fromkeys(KEYS[1:], VALUES))


@given(VALUES | st.lists(ITEMS, max_size=4), st.booleans())
def test_any_tree_is_a_glossary_or_a_clear_error(value, as_object):
    try:
        found = as_json({"terms": value} if as_object else value)
    except GlossaryError as error:
        clear = error.found.startswith("names.json") and error.remedy
        found = Glossary() if clear else pytest.fail(f"{error} is not clear")
    assert all(term.text == " ".join(term.text.split()) != "" for term in found.terms)


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)
ENTRIES = st.fixed_dictionaries(
    {"term": WORDS},
    optional={
        "aliases": st.lists(WORDS, max_size=3),
        "weight": st.integers(1, 9),
        "start": st.sampled_from(["0:10", "75.5"]),
        "languages": st.sampled_from(["en", "de fr"]),
        "inflect": st.booleans(),
        "note": WORDS,
    },
)


@given(st.lists(ENTRIES, min_size=1, max_size=5))
def test_yaml_and_json_say_the_same(entries):
    # JSON is YAML too, but for white space around numbers; our YAML takes no scalar for a number.
    assert as_yaml(json.dumps(entries, ensure_ascii=False, indent=1)) == as_json(entries)


# --- what the reference shows -----------------------------------------------------------


def test_the_examples_of_the_reference_are_read_as_it_says():
    page = read("docs/reference/glossary-format.md")
    (full,) = blocks(page, "yaml")
    (short,) = blocks(page, "json")
    glossary = as_yaml(full)
    assert [term.text for term in glossary.terms] == ["Brannock", "Geoffrey", "Harwick", "Marygold"]
    assert not glossary.terms[1].inflect
    assert glossary.terms[2].ranges == (seconds(750, 1500),)
    assert len(glossary.terms[3].ranges) == 3
    assert glossary.never == ("Shaun",)
    same = parse_glossary(short.encode(), "names.json")
    assert same.terms[::2] == glossary.terms[:3:2]
    assert same.never == glossary.never
    lines = page.partition("## Lines\n\n")[2].partition("\n\nOne term a line")[0]
    found = parse_glossary(lines.replace("\n    ", "\n").strip().encode(), "names.txt")
    assert found.terms[2] == Term(text="Geoffrey", aliases=("Gefry",), never=("Jeffrey",))
    assert [len(term.ranges) for term in found.terms] == [0, 0, 0, 1, 1, 0]
    assert found.never == ("Shaun",)
    assert set(SUBTITLES) <= {f".{ending}" for ending in re.findall(r"`\.(\w+)`", page)}
