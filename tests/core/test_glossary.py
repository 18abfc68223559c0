"""Reading a glossary: lines and tables, what is joined, every error with its file and line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias import glossary
from longscribe.core.bias.glossary import COLUMNS, FOREVER, LONGEST_TERM, parse_glossary
from longscribe.core.composed import composed
from longscribe.errors import GlossaryError
from longscribe.types import Glossary, Span, Term, to_samples


def lines(text: str) -> tuple[Term, ...]:
    return parse_glossary(text.encode(), "names.txt").terms


def never(text: str, name: str = "names.txt") -> tuple[str, ...]:
    return parse_glossary(text.encode(), name).never


def table(text: str, name: str = "names.csv") -> tuple[Term, ...]:
    return parse_glossary(text.encode(), name).terms


def seconds(start: float, end: float) -> Span:
    return Span(start=to_samples(start), end=to_samples(end))


# --- lines -------------------------------------------------------------------


def test_one_term_a_line():
    assert lines("Saoirse Ronan\nKubernetes\n") == (
        Term(text="Saoirse Ronan"),
        Term(text="Kubernetes"),
    )


def test_aliases_stand_behind_a_bar():
    assert lines("Saoirse | Sersha; Seer sha ;; Sersha") == (
        Term(text="Saoirse", aliases=("Sersha", "Seer sha")),
    )


@pytest.mark.parametrize(
    "text",
    [
        "# names\n\nFoo\n   # more\nBar\n",
        "\ufeffFoo\nBar",
        "Foo\r\nBar\r\n",
        "Foo\rBar",
        "  Foo  \n\tBar\n",
        "\ufeff# names\nFoo\n\n\nBar",
    ],
)
def test_comments_blanks_marks_and_line_ends_do_not_matter(text):
    assert lines(text) == (Term(text="Foo"), Term(text="Bar"))


def test_an_alias_with_a_mark_is_never_right():
    assert lines("Geoffrey | Gefry; !Jeffrey ;!  Jef ry; !Jeffrey") == (
        Term(text="Geoffrey", aliases=("Gefry",), never=("Jeffrey", "Jef ry")),
    )
    assert lines("Geoffrey | !Jeffrey")[0].aliases == ()


def test_a_line_with_a_mark_is_an_anti_term_of_the_glossary():
    text = "!Shaun\nGeoffrey\n  ! Shaun  of the\tDead\n[0:00-1:00]\n!Shaun\n!a; b"
    assert lines(text) == (Term(text="Geoffrey"),)
    assert never(text) == ("Shaun", "Shaun of the Dead", "a; b")


def test_a_mark_within_a_line_is_part_of_the_term():
    assert lines("Yahoo!\nOh! Calcutta!")[0].text == "Yahoo!"
    assert never("Yahoo!\nOh! Calcutta!") == ()


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("[0:00-12:30]", (0, 750)),
        ("[0:00-12:30 The harbour]", (0, 750)),
        ("  [ 75.5 \u2013 1:20   The harbour - by night ] ", (75.5, 80)),
        ("[1:00:00\u20141:00:01]", (3600, 3601)),
        ("[-12:30]", (0, 750)),
    ],
)
def test_a_header_limits_what_follows_to_a_scene(header, wanted):
    assert lines(f"A\n{header}\nB\n\n# c\nC | d") == (
        Term(text="A"),
        Term(text="B", ranges=(seconds(*wanted),)),
        Term(text="C", aliases=("d",), ranges=(seconds(*wanted),)),
    )


def test_a_scene_ends_at_the_next_header():
    text = "[0-1]\nA\n[2-3]\nB\n[]\nC\n[4-]\nD\n[Everywhere]\nE"
    assert [term.ranges for term in lines(text)] == [
        (seconds(0, 1),),
        (seconds(2, 3),),
        (),
        (Span(start=to_samples(4), end=FOREVER),),
        (),
    ]


def test_a_term_of_two_scenes_has_both_times():
    text = "[0-1]\nA\n[2-3]\nA | b\n"
    assert lines(text) == (Term(text="A", aliases=("b",), ranges=(seconds(0, 1), seconds(2, 3))),)
    assert lines(text + "[]\nA")[0].ranges == ()


@pytest.mark.parametrize("name", ["names.txt", "names.csv", "names.yaml"])
@pytest.mark.parametrize(
    ("text", "what"),
    [("", "is empty"), ("\ufeff\n\n", "is empty"), ("# a comment\n", "holds no terms")],
)
def test_a_glossary_without_terms_is_refused_unless_it_may_be_empty(text, what, name):
    with pytest.raises(GlossaryError) as error:
        parse_glossary(text.encode(), name)
    assert error.value.found == f"{name} {what}."
    assert "leave out the glossary" in error.value.remedy
    assert parse_glossary(text.encode(), name, may_be_empty=True) == Glossary()


@pytest.mark.parametrize(
    ("name", "text"),
    [("n.csv", "term,weight\n"), ("n.tsv", "# c\nterm\n\t\n"), ("n.txt", "[0-1]\n")],
)
def test_headers_alone_are_no_glossary(name, text):
    with pytest.raises(GlossaryError, match=f"^{name} holds no terms"):
        parse_glossary(text.encode(), name)
    assert parse_glossary(text.encode(), name, may_be_empty=True) == Glossary()


def test_anti_terms_alone_are_a_glossary():
    assert never("!Shaun") == ("Shaun",)


def test_the_right_form_of_a_scene_is_told():
    with pytest.raises(GlossaryError) as error:
        lines("12:30-25:00")
    assert "[12:30-25:00]" in error.value.remedy


def test_numbers_and_times_in_terms_are_taken():
    terms = [
        "1914-1918",
        "9-11",
        "747-400",
        "7.5-8",
        "12:30",
        "10:30 - Late Show",
        "-",
        ":-:",
        "-:",
    ]
    assert [term.text for term in lines("\n".join(terms))] == terms


def test_a_comma_is_part_of_a_term_in_the_line_form():
    assert [term.text for term in lines("Smith, John\nterm\nAcme; Inc")] == [
        "Smith, John",
        "term",
        "Acme; Inc",
    ]


def test_inner_white_space_is_made_single():
    assert lines("New \t York")[0].text == "New York"


@pytest.mark.parametrize(
    "comment", ["#", " # ", "# MeToo", "#\tMeToo", "## MeToo", "#-- MeToo", "#!"]
)
def test_a_hash_before_a_letter_begins_a_term_and_any_other_a_comment(comment):
    assert lines(f"#MeToo\n{comment}\n #1 Main Street | a\n") == (
        Term(text="#MeToo"),
        Term(text="#1 Main Street", aliases=("a",)),
    )
    rows = f"#names\n{comment}\nterm,aliases\n#MeToo,x\n{comment}\n#1 Main Street,a\n"
    for name in ("names.csv", "names.txt"):
        assert table(rows, name) == (
            Term(text="#MeToo", aliases=("x",)),
            Term(text="#1 Main Street", aliases=("a",)),
        )


# --- tables -------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("name", ["names.csv", "names.tsv", "names.txt"])
def test_a_table_is_known_by_its_header(delimiter, name):
    rows = [["Term", "WEIGHT", " start", "end"], ["Foo", "2.5", "10", "20"], ["Bar", "", "", ""]]
    text = "\n".join(delimiter.join(row) for row in rows)
    assert table(text, name) == (
        Term(text="Foo", weight=2.5, ranges=(seconds(10, 20),)),
        Term(text="Bar"),
    )


def test_columns_come_in_any_order_and_rows_may_be_short():
    assert table("weight,term,aliases\n3,Foo,a;b\n,Bar\n") == (
        Term(text="Foo", weight=3.0, aliases=("a", "b")),
        Term(text="Bar"),
    )


def test_quotes_hold_delimiters_and_quotes():
    assert table('"term","aliases"\n"Smith, John","a ""b"""\n') == (
        Term(text="Smith, John", aliases=('a "b"',)),
    )


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_line_break_in_quotes_is_a_space(line_end):
    text = 'term,aliases,note\n"Rosa\nLynd","a\n\n# b; c\n","so\n#it is"\nFoo,,\n'
    assert table(text.replace("\n", line_end)) == (
        Term(text="Rosa Lynd", aliases=("a # b", "c"), note="so #it is"),
        Term(text="Foo"),
    )
    with pytest.raises(GlossaryError, match=r"^n\.csv, line 4: weight 'heavy'"):
        parse_glossary(b'term,weight\n"Rosa\nLynd",1\nFoo,heavy\n', "n.csv")


def test_a_table_of_one_column_is_a_table_only_by_its_ending():
    assert table('term\nFoo\n"Smith, John"\n') == (Term(text="Foo"), Term(text="Smith, John"))
    assert table("term\nSmith, John\n", "names.tsv") == (Term(text="Smith, John"),)
    assert [term.text for term in table("term\nFoo\n", "names.txt")] == ["term", "Foo"]


def test_comments_and_blank_rows_are_left_out_of_a_table():
    assert table("# head\n\nterm,weight\n# mid\n\nFoo,2\n,\n") == (Term(text="Foo", weight=2.0),)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ("75", 75),
        ("90:59.9", 5459.9),
        ("75.5", 75.5),
        ("1:15", 75),
        ("1:15.5", 75.5),
        ("1:02:03.25", 3723.25),
        ("0", 0),
    ],
)
def test_times(cell, wanted):
    (term,) = table(f"term,start\nFoo,{cell}\n")
    assert term.ranges == (Span(start=to_samples(wanted), end=FOREVER),)


def test_a_range_may_lack_its_start():
    assert table("term,end\nFoo,1:00\n")[0].ranges == (seconds(0, 60),)


def test_every_column():
    text = (
        "term,aliases,never,weight,start,end,languages,inflect,note\n"
        "Geoffrey,Gefry;Jefri,Jeffrey; Jeffry,2,0:10,0:20,en; German,no,  the  keeper \n"
    )
    assert text.partition("\n")[0].split(",") == list(COLUMNS)
    assert table(text) == (
        Term(
            text="Geoffrey",
            aliases=("Gefry", "Jefri"),
            never=("Jeffrey", "Jeffry"),
            weight=2.0,
            ranges=(seconds(10, 20),),
            languages=("en", "de"),
            inflect=False,
            note="the keeper",
        ),
    )


@pytest.mark.parametrize(
    ("cell", "codes"),
    [
        ("", ()),
        ("no", ("no",)),
        ("EN;de", ("en", "de")),
        ("en de  fr", ("en", "de", "fr")),
        ("en, english", ("en",)),
        ("castilian; haitian creole", ("es", "ht")),
    ],
)
def test_languages_by_code_or_name(cell, codes):
    assert table(f"term\tlanguages\nFoo\t{cell}\n", "names.tsv")[0].languages == codes


@pytest.mark.parametrize(
    ("cell", "answer"),
    [("", True), ("yes", True), ("TRUE", True), ("1", True), *((no, False) for no in ("No", "0"))],
)
def test_endings_are_kept_unless_told_otherwise(cell, answer):
    assert table(f"term,inflect\nFoo,{cell}\n")[0].inflect is answer


def test_a_row_without_a_term_gives_anti_terms():
    text = "term,never,note\nFoo,Fu,\n,Shaun; Shawn,of another film\nBar,,\n,Shaun,\n"
    assert table(text) == (Term(text="Foo", never=("Fu",)), Term(text="Bar"))
    assert never(text, "names.csv") == ("Shaun", "Shawn")


# --- rows of one term -----------------------------------------------------------


def test_rows_of_one_term_are_joined_where_it_stood_first():
    text = "term,aliases,weight,start,end\nFoo,a,1,0,10\nBar,,,,\nFoo,b;a,3,20,30\n"
    assert table(text) == (
        Term(text="Foo", aliases=("a", "b"), weight=3.0, ranges=(seconds(0, 10), seconds(20, 30))),
        Term(text="Bar"),
    )


@pytest.mark.parametrize("rows", ["Foo,0,10\nFoo,,", "Foo,,\nFoo,0,10"])
def test_a_row_without_a_range_makes_the_term_valid_everywhere(rows):
    assert table(f"term,start,end\n{rows}")[0].ranges == ()


def test_the_further_columns_are_joined_too():
    head = "term,never,languages,inflect,note\n"
    assert table(head + "Foo,a,en,yes,\nFoo,b;a,de;en,no,first\nFoo,,fr,,second\n") == (
        Term(
            text="Foo", never=("a", "b"), languages=("en", "de", "fr"), inflect=False, note="first"
        ),
    )


@pytest.mark.parametrize("rows", ["Foo,en\nFoo,", "Foo,\nFoo,en"])
def test_a_row_without_languages_makes_the_term_valid_in_all(rows):
    assert table(f"term,languages\n{rows}")[0].languages == ()


def test_what_stands_twice_alike_counts_once():
    assert table("term,start,end\nFoo,0,9\nFoo,0,9\n") == (
        Term(text="Foo", ranges=(seconds(0, 9),)),
    )


def test_capitals_make_no_other_term_and_the_first_spelling_stands():
    text = "term,aliases,weight,start,end\nHarwick,a,1,0,10\nBar,,,,\nharwick,b;Harwick,3,20,30\n"
    assert table(text) == (
        Term(
            text="Harwick",
            aliases=("a", "b"),
            weight=3.0,
            ranges=(seconds(0, 10), seconds(20, 30)),
        ),
        Term(text="Bar"),
    )
    assert lines("harwick\nHARWICK\nHarwick") == (Term(text="harwick"),)


def test_what_differs_in_more_than_capitals_is_not_joined():
    apart = ["C#", "C++", "C", "Maße", "Masse", "Rene", "Ren\u00e9", "O'Brien", "O’Brien"]
    assert [term.text for term in lines("\n".join(apart))] == apart


def test_an_alias_that_is_its_own_term_says_nothing():
    assert lines("Foo | Foo; foo; bar; Foo") == (Term(text="Foo", aliases=("foo", "bar")),)
    assert table("term,aliases\nFoo,Foo\n") == (Term(text="Foo"),)


# --- contradictions -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("n.txt", "Foo\n!Foo", "line 2", "'Foo' is also a term (line 1)"),
        ("n.txt", "!Foo\n\nFoo", "line 1", "'Foo' is also a term (line 3)"),
        ("n.csv", "term,never\nFoo,\n,Bar;Foo", "line 3", "'Foo' is also a term (line 2)"),
        ("n.txt", "A\nFoo | !Foo", "line 2", "'Foo' is never right for itself"),
        ("n.csv", "term,never\nFoo,Foo", "line 2", "'Foo' is never right for itself"),
        ("n.txt", "Foo | !Bar\nBar", "line 1", "is a term itself (line 2)"),
        ("n.txt", "[0-1]\nFoo | !Bar\n[]\nBar", "line 2", "is a term itself (line 4)"),
        ("n.csv", "term,never,languages\nFoo,Bar,en\nBar,,en;de", "line 2", "itself (line 3)"),
        ("n.csv", "term,never,languages\nFoo,Bar,en\nBar,,", "line 2", "itself (line 3)"),
        ("n.csv", "term,never,languages\nFoo,Bar,\nBar,,en", "line 2", "itself (line 3)"),
        # capitals do not count
        ("n.txt", "Foo\n!foo", "line 2", "the anti-term 'foo' is also a term, 'Foo' (line 1)"),
        ("n.txt", "!FOO\nFoo", "line 1", "the anti-term 'FOO' is also a term, 'Foo' (line 2)"),
        ("n.txt", "Foo\nfoo\n!foo", "line 3", "the anti-term 'foo' is also a term (line 2)"),
        ("n.csv", "term,never\nFoo,\n,Bar;fOO", "line 3", "'fOO' is also a term, 'Foo' (line 2)"),
        ("n.txt", "Geoffrey | !Jeffrey\njeffrey", "line 1", "a term itself, 'jeffrey' (line 2)"),
        ("n.txt", "jeffrey\nA\nGeoffrey | !Jeffrey", "line 3", "itself, 'jeffrey' (line 1)"),
        ("n.txt", "iPhone\niphone | !iPhone", "line 2", "is a term itself (line 1)"),
        ("n.txt", "[0-1]\niPhone | !iphone\n[2-3]\niphone", "line 2", "a term itself (line 4)"),
        # of one term
        ("n.txt", "Foo | Bar; !Bar", "line 1", "right for 'Foo', and 'Bar' is an alias of it"),
        ("n.txt", "Foo | BAR; !Bar", "line 1", "right for 'Foo', and 'BAR' is an alias of it"),
        ("n.txt", "Foo | Bar\nA\nFoo | !bar", "line 3", "and 'Bar' is an alias of it"),
        ("n.txt", "iPhone | iphone; !iphone", "line 1", "and 'iphone' is an alias of it"),
    ],
)
def test_a_glossary_that_contradicts_itself_is_refused(name, text, where, what):
    with pytest.raises(GlossaryError) as error:
        parse_glossary(text.encode(), name)
    assert error.value.found.startswith(f"{name}, {where}: ")
    assert what in error.value.found
    assert error.value.remedy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("n.txt", "[0-1]\nFoo | !Bar\n[2-3]\nBar"),
        ("n.csv", "term,never,languages\nFoo,Bar,en\nBar,,de"),
        ("n.txt", "iPhone | !IPhone\nfoo | !Foo"),
        ("n.txt", "Foo | !Bar\n!Bar"),
        ("n.txt", "Foo | Bar\nBar"),
        ("n.txt", "iPhone | !iphone"),
        ("n.txt", "iPhone | IPhone; !iphone"),
        ("n.txt", "iPhone\nIPHONE | !iphone"),
        ("n.txt", "[0-1]\nFoo | !Bar\n[2-3]\nbar"),
        ("n.txt", "C#\n!C"),
    ],
)
def test_what_only_looks_like_a_contradiction_is_taken(name, text):
    assert parse_glossary(text.encode(), name).terms


# --- errors ----------------------------------------------------------------------

LONG = "x" * (LONGEST_TERM + 1)


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("n.txt", "Foo\n| alias\n", 2, "the term is empty"),
        ("n.txt", "Foo |\n", 1, "nothing follows '|'"),
        ("n.txt", "# c\n\nFoo | a | b\n", 3, "more than one '|'"),
        ("n.txt", f"Foo\n{LONG}", 2, "201 characters"),
        ("n.txt", "Foo | a; !\n", 1, "nothing follows '!'"),
        ("n.txt", "Foo\n!\n", 2, "nothing follows '!'"),
        ("n.txt", "!Foo | a\n", 1, "an anti-term with a '|'"),
        ("n.txt", f"!{LONG}", 1, "201 characters"),
        ("n.txt", f"Foo | {LONG}", 1, "201 characters"),
        ("n.txt", "Foo | !!a", 1, "'!a' begins with '!'"),
        ("n.txt", "Foo\n[The harbour]\n", 2, "'[The harbour]' does not begin with two times"),
        ("n.txt", "[-]\n", 1, "does not begin with two times"),
        ("n.txt", "[12:30]\n", 1, "does not begin with two times"),
        ("n.txt", "[0:00-12:30The harbour]\n", 1, "does not begin with two times"),
        ("n.txt", "[0:00-12:30\n", 1, "does not end with ']'"),
        ("n.txt", "[0:00-12:30] The harbour\n", 1, "does not end with ']'"),
        ("n.txt", "[0:00-1:2:3:4]\n", 1, "'1:2:3:4' is not a time"),
        ("n.txt", "[2:00-1:00]\n", 1, "'1:00' is not after the start '2:00'"),
        ("n.txt", "a\x07b\n", 1, "U+0007 is no part of a text"),
        ("n.csv", "Foo\nBar\n", 1, "no column 'term'"),
        ("N.CSV", "Foo\nBar\n", 1, "no column 'term'"),
        ("n.csv", "term\n!Foo\n", 2, "'!Foo' begins with '!'"),
        ("n.csv", "term,aliases\nFoo,!a\n", 2, "'!a' begins with '!'"),
        ("n.csv", "term,never\nFoo,!a\n", 2, "'!a' begins with '!'"),
        (
            "n.csv",
            "term,never,weight\n,a,2\n",
            2,
            "a row of anti-terms, which hold everywhere, has",
        ),
        ("n.csv", "term,never,start\n,a,0:10\n", 2, "start '0:10'"),
        ("n.csv", "term,languages\nFoo,en;xx\n", 2, "unknown language 'xx'"),
        ("n.csv", "term,languages\nFoo,auto\n", 2, "unknown language 'auto'"),
        ("n.csv", "term,inflect\nFoo,maybe\n", 2, "inflect 'maybe' is neither yes nor no"),
        ("n.tsv", "# c\nname\tweight\n", 2, "no column 'term'"),
        ("n.csv", "term,colour\nFoo,red\n", 1, "unknown column 'colour'"),
        ("n.csv", "term,weight,Weight\n", 1, "'weight' stands twice"),
        ("n.csv", "term,weight\nFoo,1,2\n", 2, "3 cells"),
        ("n.csv", "term\nFoo\nSmith, John\n", 3, "2 cells"),
        ("n.csv", "term,weight\n\n# c\n ,1\n", 4, "the term is empty"),
        ("n.csv", "term,weight\nFoo,heavy\n", 2, "weight 'heavy'"),
        ("n.csv", "term,weight\nFoo,0\n", 2, "weight '0'"),
        ("n.csv", "term,weight\nFoo,-1\n", 2, "weight '-1'"),
        ("n.csv", "term,weight\nFoo,nan\n", 2, "weight 'nan'"),
        ("n.csv", "term,weight\nFoo,inf\n", 2, "weight 'inf'"),
        ("n.csv", "term,start\nFoo,noon\n", 2, "'noon' is not a time"),
        ("n.csv", "term,start\nFoo,-5\n", 2, "'-5' is not a time"),
        ("n.csv", "term,start\nFoo,1:2:3:4\n", 2, "is not a time"),
        ("n.csv", f"term,start\nFoo,{'9' * 400}\n", 2, "is not a time"),
        ("n.csv", f"term,start\nFoo,{'9' * 5000}:00:00\n", 2, "is not a time"),
        ("n.csv", "term,start\nFoo,0:90\n", 2, "'0:90' has 90 seconds behind a colon"),
        ("n.csv", "term,end\nFoo,5:60.0\n", 2, "'5:60.0' has 60.0 seconds behind a colon"),
        ("n.csv", "term,start\nFoo,1:60:00\n", 2, "'1:60:00' has 60 minutes behind a colon"),
        ("n.txt", "[0:00-5:99]\n", 1, "'5:99' has 99 seconds behind a colon"),
        ("n.txt", "Foo\n12:30-25:00\n", 2, "'12:30-25:00' is a time, not a term"),
        ("n.txt", "12:30 \u2013 25:00 The harbour\n", 1, "The harbour' is a time, not a term"),
        ("n.txt", "12:30-\n", 1, "'12:30-' is a time, not a term"),
        ("n.txt", "-1:02:30.5\n", 1, "'-1:02:30.5' is a time, not a term"),
        ("n.csv", "term,start,end\nFoo,20,10\n", 2, "'10' is not after the start '20'"),
        ("n.csv", "term,start,end\nFoo,20,20\n", 2, "is not after"),
        ("n.csv", 'term,weight\nFoo,"1"x\n', 2, "expected after"),
        ("n.csv", 'term,weight\nBar,1\n"Foo,1\n', 3, "unexpected end of data"),
    ],
)
def test_errors_name_file_line_and_what_was_found(name, text, line, what):
    with pytest.raises(GlossaryError) as error:
        parse_glossary(text.encode(), name)
    assert error.value.found.startswith(f"{name}, line {line}: ")
    assert what in error.value.found
    assert error.value.remedy


def test_other_encodings_are_refused_with_the_line():
    with pytest.raises(GlossaryError, match=r"^n\.txt, line 2: byte 0xfc is not UTF-8"):
        parse_glossary("Foo\nMüller\n".encode("latin-1"), "n.txt")
    with pytest.raises(GlossaryError, match=r"^n\.txt, line 1: byte 0xff is not UTF-8"):
        parse_glossary("Foo\n".encode("utf-16"), "n.txt")
    with pytest.raises(GlossaryError, match=r"^n\.txt is not a text file"):
        parse_glossary("Foo\n".encode("utf-16-le"), "n.txt")


def test_a_dictionary_is_no_glossary(monkeypatch):
    monkeypatch.setattr(glossary, "MOST_TERMS", 3)
    assert len(lines("A\nB\nA\nC\nB\n!d\n!e\n!f")) == 3
    with pytest.raises(GlossaryError, match=r"^names\.txt, line 4: more than 3 terms"):
        lines("A\nB\nC\nD\nE")
    with pytest.raises(GlossaryError, match=r"^names\.txt, line 5: more than 3 terms"):
        lines("A\n!B\n!C\n!D\n!E")


def test_a_film_is_no_glossary(monkeypatch):
    monkeypatch.setattr(glossary, "LARGEST_FILE", 2**20)
    assert len(lines("A" + "\n" * (2**20 - 1))) == 1
    with pytest.raises(GlossaryError, match=r"^names\.txt is larger than 1 MiB"):
        lines("A" + "\n" * 2**20)


def test_many_rows_of_one_term_are_joined_in_time_that_grows_with_them_only():
    rows = "".join(f"Foo,{at},{at + 1}\n" for at in range(20_000))
    assert len(table("term,start,end\n" + rows)[0].ranges) == 20_000


ODD = ["term", "never", "start", "Foo", "1:0", "9", "-1", "é", "nan", " ", "\ufeff", "\u2028", "[]"]
MARKS = [",", "\t", ";", "|", "#", '"', "\n", "\r\n", "!", "[", "]", "-", ":", "{", "}", "&", "*"]
PIECES = st.lists(st.sampled_from(ODD + MARKS) | st.text(max_size=3), max_size=30).map("".join)
ENDINGS = ["txt", "csv", "tsv", "json", "yaml", "yml", *(end[1:] for end in glossary.SUBTITLES)]
NAMES = st.sampled_from(ENDINGS).map("n.{}".format)


def parsed(data: bytes, name: str) -> Glossary | None:
    """Return the glossary, or None for a clear error."""
    try:
        return parse_glossary(data, name)
    except GlossaryError as error:
        clear = name in error.found and error.remedy
        return None if clear else pytest.fail(f"{error} does not name the file, or no remedy")


@given(PIECES, NAMES)
def test_any_text_is_a_glossary_or_a_clear_error(text, name):
    found = parsed(text.encode("utf-8", "surrogatepass"), name) or Glossary()
    spellings = [text for term in found.terms for text in (term.text, *term.aliases, *term.never)]
    assert all(text and text == " ".join(text.split()) for text in [*spellings, *found.never])
    assert len({term.text.lower() for term in found.terms}) == len(found.terms)
    unwanted = {text.casefold() for text in found.never}
    assert not {term.text.casefold() for term in found.terms} & unwanted


@given(st.binary(max_size=60), NAMES)
def test_any_bytes_are_a_glossary_or_a_clear_error(data, name):
    parsed(data, name)


WORDS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8).map(composed)
TERMS = st.builds(
    Term,
    text=WORDS,
    # Two words, so that none is its own term.
    aliases=st.lists(WORDS.map("a {}".format), max_size=2, unique=True).map(tuple),
    ranges=st.sampled_from([(), (seconds(0, 9),), (seconds(75.5, 3600),)]),
)


@given(st.lists(TERMS, min_size=1, max_size=6, unique_by=lambda term: term.text.lower()))
def test_what_is_written_as_lines_is_read(terms):
    headers = {(): "[]", (seconds(0, 9),): "[0-9 A]", (seconds(75.5, 3600),): "[1:15.5-1:00:00]"}
    text = "".join(
        f"{headers[term.ranges]}\n{term.text}{' | ' if term.aliases else ''}{';'.join(term.aliases)}\n"
        for term in terms
    )
    # A first line of cells one of which is `term` makes a table; a header of a scene is none.
    assert lines(text) == tuple(terms)
