"""The report on a glossary as people see it: long lists stay short."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from longscribe.cli.bias_reporting import MOST_NAMES, MOST_TIMES, _print_tables
from longscribe.config import BiasMode
from longscribe.core.bias.report import BiasReport, GlossaryState, Subject, report_on
from longscribe.types import Glossary, Term
from tests.views import spoken, view_of


def reported(text: str, glossary: Glossary, *, complete: bool = True) -> BiasReport:
    subject = Subject(
        media="film.mkv", mode=BiasMode.VERIFY, path="names.txt", state=GlossaryState.SAME,
        extra_terms=(), complete=complete, glossary=glossary,
    )  # fmt: skip
    return report_on(view_of(spoken(0, text)).windows(), subject)


def shown(report: BiasReport) -> str:
    screen = io.StringIO()
    _print_tables(report, Console(file=screen, width=100, highlight=False))
    return screen.getvalue()


def names(number: int) -> Glossary:
    return Glossary(terms=tuple(Term(text=f"Name{n}") for n in range(number)))


def test_a_long_list_of_terms_that_never_occur_is_cut_short():
    (line,) = [line for line in shown(reported("So.", names(3000))).splitlines() if "Never" in line]
    assert line.startswith("Never in the text: Name0, Name1, ")
    assert line.endswith(f"Name{MOST_NAMES - 1} … and {3000 - MOST_NAMES:,} more; --json has all.")
    assert len(line) < 1000


@pytest.mark.parametrize("complete", [True, False])
def test_a_short_list_is_whole(complete):
    text = shown(reported("So.", names(MOST_NAMES), complete=complete))
    assert f"Name{MOST_NAMES - 1}\n" in text
    assert "more" not in text


def test_an_anti_term_has_one_row_however_often_it_was_said():
    report = reported("the " * 1000 + "The Shaun", Glossary(never=("the", "Shaun")))
    assert len(report.anti_terms) == 1002
    rows = [line.split() for line in shown(report).splitlines()]
    (the,) = [row for row in rows if row[:1] == ["the"]]
    assert the[1] == "1001x:"
    assert the[-2:] == [f"{1001 - MOST_TIMES}", "more"]
    (shaun,) = [row for row in rows if row[:1] == ["Shaun"]]
    assert shaun[1] == "1x:"


def test_what_should_stand_there_instead_is_named():
    right = Term(text="Geoffrey", never=("Jeffrey",))
    report = reported("jeffrey and Jeffrey", Glossary(terms=(right,), never=("and",)))
    rows = [line.split() for line in shown(report).splitlines()]
    assert ["jeffrey", "Geoffrey", "2x:"] in [row[:3] for row in rows]


def test_many_anti_terms_are_cut_short_too():
    words = [f"word{n}" for n in range(MOST_NAMES + 3)]
    text = shown(reported(" ".join(words), Glossary(never=tuple(words))))
    assert "… and 3 more; --json has all." in text
    assert f"word{MOST_NAMES - 1}" in text
    assert f"word{MOST_NAMES} " not in text


def test_brackets_are_shown_as_they_are():
    report = reported("So [b]bold.", Glossary(never=("[b]bold",)))
    assert "[b]bold" in shown(replace(report, absent=("[i]Name",)))
