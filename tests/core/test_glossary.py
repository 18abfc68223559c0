"""Reading a glossary: both forms, every error with its file and line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.core.bias.glossary import FOREVER, LONGEST_TERM, parse_glossary
from longscribe.errors import GlossaryError
from longscribe.types import Glossary, Span, Term, to_samples


def lines(text: str) -> tuple[Term, ...]:
    return parse_glossary(text.encode(), "names.txt").terms


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


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\ufeff"])
def test_an_empty_glossary_has_no_terms(text):
    assert lines(text) == ()
    assert table(text) == ()


def test_a_comma_is_part_of_a_term_in_the_line_form():
    assert [term.text for term in lines("Smith, John\nterm\nAcme; Inc")] == [
        "Smith, John",
        "term",
        "Acme; Inc",
    ]


def test_inner_white_space_is_made_single():
    assert lines("New \t York")[0].text == "New York"


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


def test_a_table_of_one_column_is_a_table_only_by_its_ending():
    assert table('term\nFoo\n"Smith, John"\n') == (Term(text="Foo"), Term(text="Smith, John"))
    assert table("term\nSmith, John\n", "names.tsv") == (Term(text="Smith, John"),)
    assert [term.text for term in table("term\nFoo\n", "names.txt")] == ["term", "Foo"]


def test_comments_and_blank_rows_are_left_out_of_a_table():
    assert table("# head\n\nterm,weight\n# mid\n\nFoo,2\n,\n") == (Term(text="Foo", weight=2.0),)


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [("75", 75), ("75.5", 75.5), ("1:15", 75), ("1:15.5", 75.5), ("1:02:03.25", 3723.25), ("0", 0)],
)
def test_times(cell, wanted):
    (term,) = table(f"term,start\nFoo,{cell}\n")
    assert term.ranges == (Span(start=to_samples(wanted), end=FOREVER),)


def test_a_range_may_lack_its_start():
    assert table("term,end\nFoo,1:00\n")[0].ranges == (seconds(0, 60),)


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


# --- errors ----------------------------------------------------------------------

LONG = "x" * (LONGEST_TERM + 1)


@pytest.mark.parametrize(
    ("name", "text", "line", "what"),
    [
        ("n.txt", "Foo\n| alias\n", 2, "the term is empty"),
        ("n.txt", "Foo |\n", 1, "nothing follows '|'"),
        ("n.txt", "# c\n\nFoo | a | b\n", 3, "more than one '|'"),
        ("n.txt", f"Foo\n{LONG}", 2, "201 characters"),
        ("n.csv", "Foo\nBar\n", 1, "no column 'term'"),
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


ODD = ["term", "weight", "start", "Foo", "1:0", "9", "-1", "é", "nan", " ", "\ufeff", "\u2028"]
MARKS = [",", "\t", ";", "|", "#", '"', "\n", "\r\n"]
PIECES = st.lists(st.sampled_from(ODD + MARKS) | st.text(max_size=3), max_size=30).map("".join)
NAMES = st.sampled_from(["n.txt", "n.csv", "n.tsv"])


def parsed(data: bytes, name: str) -> Glossary | None:
    """Return the glossary, or None for a clear error."""
    try:
        return parse_glossary(data, name)
    except GlossaryError as error:
        return None if name in error.found else pytest.fail(f"{error} does not name the file")


@given(PIECES, NAMES)
def test_any_text_is_a_glossary_or_a_clear_error(text, name):
    found = parsed(text.encode("utf-8", "surrogatepass"), name)
    terms = found.terms if found else ()
    assert all(term.text and term.text == term.text.strip() for term in terms)
    assert len({term.text for term in terms}) == len(terms)


@given(st.binary(max_size=60), NAMES)
def test_any_bytes_are_a_glossary_or_a_clear_error(data, name):
    parsed(data, name)
