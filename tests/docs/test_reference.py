"""The reference says what the program has, no more and no less."""

from __future__ import annotations

import dataclasses
import re
import typing
from enum import Enum

import pytest
import typer.main

from longscribe import errors, job_events
from longscribe.adapters.journal.schema import VERSION, tables
from longscribe.adapters.language.commonness import LISTED
from longscribe.adapters.recognizers.inventory import ModelEntry
from longscribe.adapters.recognizers.models import ModelState
from longscribe.cli import batch, bias_reporting, doctoring, ending
from longscribe.cli.main import app
from longscribe.config import BiasMode, Options, OutputFormat
from longscribe.core.bias.glossary import COLUMNS, LONGEST_TERM
from longscribe.core.bias.report import GlossaryState, Subject, report_on
from longscribe.core.diagnosis import DiskReport, EngineReport, Findings, Problem, WantedModel
from longscribe.core.ladder import SENTENCES
from longscribe.doctor import Checkup
from longscribe.languages import LANGUAGES
from longscribe.types import Device, FailureKind, Glossary, Term
from tests.docs.pages import codes, read, rows
from tests.views import proposed, spoken, view_of, with_proposals

COMMANDS = typer.main.get_command(app).commands


def cli_options(command: str) -> set[str]:
    """Every option of a command and of those under it, as it is typed."""
    group = COMMANDS[command]
    return {
        spelling
        for one in [group, *getattr(group, "commands", {}).values()]
        for parameter in one.params
        for spelling in [*parameter.opts, *parameter.secondary_opts]
        if spelling.startswith("-")
    } | {"--help"}


def documented_options(page: str) -> dict[str, list[str]]:
    """Option → the row that describes it."""
    return {
        spelling: row
        for row in rows(read(page))
        for spelling in codes(row[0])
        if spelling.startswith("-")
    }


OPTIONS_PAGE = documented_options("docs/reference/options.md")


def test_every_option_of_transcribe_is_documented_and_none_besides() -> None:
    for_messages = {"--verbose", "-v", "--quiet", "-q", "--help"}
    assert set(OPTIONS_PAGE) == cli_options("transcribe") - for_messages
    described = documented_options("docs/reference/command-line.md")
    others = {option for name in set(COMMANDS) - {"transcribe"} for option in cli_options(name)}
    assert set(described) == for_messages | others


def test_every_command_has_its_section_and_none_besides() -> None:
    page = read("docs/reference/command-line.md")
    sections = set(re.findall(r"^## `longscribe ([\w-]+)[ `]", page, re.MULTILINE))
    assert sections == set(COMMANDS)


def test_every_setting_is_an_option() -> None:
    settings = {"--" + name.replace("_", "-") for name in Options.model_fields}
    assert settings == {name for name in OPTIONS_PAGE if re.match(r"--(?!no-)", name)}


@pytest.mark.parametrize("name", sorted(Options.model_fields))
def test_the_default_is_that_of_the_settings(name: str) -> None:
    default = Options.model_fields[name].default
    cell = OPTIONS_PAGE["--" + name.replace("_", "-")][1]
    if default in (None, ""):
        assert not codes(cell) or name == "job_dir", f"{name} has no default"
    elif default == tuple(OutputFormat):
        assert codes(cell) == ["all"]
    elif isinstance(default, float):
        assert codes(cell) == [f"{default:g}"]
    else:
        assert codes(cell) == [str(default.value if isinstance(default, Enum) else default)]


@pytest.mark.parametrize("name", sorted(Options.model_fields))
def test_the_limits_of_a_number_are_named(name: str) -> None:
    row = " ".join(OPTIONS_PAGE["--" + name.replace("_", "-")])
    for limit in Options.model_fields[name].metadata:
        for bound in ("ge", "le"):
            value = getattr(limit, bound, None)
            if value not in (None, 0):
                assert re.search(rf"\b{value:g}\b", row), f"{name}: {bound} {value:g}"


def test_the_readme_names_real_options_only() -> None:
    assert set(documented_options("README.md")) <= cli_options("transcribe")


def test_every_error_is_documented_with_its_place_in_the_tree_and_its_status() -> None:
    found = {
        codes(row[0])[0]: (codes(row[1])[0], codes(row[2])[:1], row[3])
        for row in rows(read("docs/reference/errors.md"))
        if codes(row[0])
    }
    expected = {
        slug: (
            kind.__name__,
            [] if kind is errors.LongscribeError else [kind.__mro__[1].__name__],
            str(kind.exit_status),
        )
        for slug, kind in errors.BY_SLUG.items()
    }
    assert found == expected


def test_every_exit_status_is_documented() -> None:
    statuses = {
        getattr(module, name)
        for module in (batch, ending)
        for name in vars(module)
        if name.startswith("EXIT_")
    }
    statuses |= {kind.exit_status for kind in errors.BY_SLUG.values()}
    table = {int(row[0]) for row in rows(read("docs/reference/exit-status.md")) if row[0].isdigit()}
    assert table == statuses
    statuses -= {ending.EXIT_READER_LEFT}  # of the commands that print
    line = next(line for line in read("README.md").splitlines() if line.startswith("0 complete"))
    assert {int(number) for number in re.findall(r"(?:^|· )(\d+) ", line)} == statuses


def test_the_order_of_the_worst_status_is_told() -> None:
    order = ", ".join(map(str, batch._WORST_FIRST))
    assert f"in the order {order}." in read("docs/reference/exit-status.md")


def test_every_event_is_documented_with_its_fields() -> None:
    section = read("docs/reference/events-and-journal.md").partition("## Events")[2]
    section = section.partition("## Tables")[0]
    found = {
        codes(row[0])[0]: (codes(row[1]), "Not stored" in row[2])
        for row in rows(section)
        if codes(row[0])
    }
    expected = {
        event.type: (
            [field.name for field in dataclasses.fields(event) if field.name != "type"],
            event.transient,
        )
        for event in typing.get_args(job_events.JobEvent)
    }
    assert found == expected


def test_every_table_of_the_journal_is_documented() -> None:
    section = read("docs/reference/events-and-journal.md").partition("## Tables")[2]
    found = {codes(row[0])[0] for row in rows(section) if codes(row[0])}
    made = {name for sql in tables(VERSION) for name in re.findall(r"CREATE TABLE (\w+)", sql)}
    assert found == made
    assert f"Version {VERSION} of the schema" in section


def test_every_field_of_the_bias_report_is_documented() -> None:
    page = read("docs/reference/bias-report.md")
    found = {
        section.partition("\n")[0].strip("`"): {
            name for row in rows(section) for name in codes(row[0])
        }
        for section in page.split("\n## ")[1:]
    }
    subject = Subject(
        media="film.mkv", mode=BiasMode.VERIFY, path="names.txt", state=GlossaryState.SAME,
        extra_terms=(), complete=True,
        glossary=Glossary(terms=(Term(text="Anna"),), never=("Shaun",)),
    )  # fmt: skip
    view = with_proposals(
        view_of(spoken(0, "So Anna met Shaun.")),
        proposed(0.3, 0.6, "Anna", "Ana", accepted=True),
        proposed(0.9, 1.2, "Anna", "Shaun.", accepted=False),
    )
    made = bias_reporting._document(report_on(view.windows(), subject))
    assert set(made["accepted"][0]) == set(made["rejected"][0])
    assert found == {
        "The object": set(made),
        "terms[]": set(made["terms"][0]),
        "accepted[]` and `rejected[]": set(made["accepted"][0]),
        "anti_terms[]": set(made["anti_terms"][0]),
    }
    states = next(row for row in rows(page) if codes(row[0]) == ["glossary_state"])
    assert set(codes(states[2])) == set(GlossaryState)


@pytest.mark.parametrize("page", ["docs/design/bias.md", "docs/how-to/write-a-glossary.md"])
def test_the_languages_whose_common_words_are_known_are_named(page: str) -> None:
    (names,) = re.findall(r"Arabic(?:, \w+)+ and \w+", read(page))
    found = {LANGUAGES.by_name[name.lower()] for name in re.split(r", | and ", names)}
    assert found == LISTED


def test_every_field_of_the_doctor_is_documented() -> None:
    page = read("docs/reference/doctor.md")
    found = {
        section.partition("\n")[0].strip("`"): {
            name for row in rows(section) for name in codes(row[0])
        }
        for section in page.split("\n## ")[1:]
    }
    device = Device(name="cpu", model="", memory=1, free=1, unified=True)
    engine = EngineReport(
        name="", installed=True, python="", works=True, versions=(), devices=(), trouble="", mend=""
    )
    model = ModelEntry(
        recognizer="", name="", origin="", state=ModelState.WHOLE, path=None, size=0, missing=()
    )
    findings = Findings(
        devices=(device,), engines=(engine,), chosen="", choice="", choice_mend="",
        model=WantedModel(
            name="", recognizer="", state="", missing=(), offline=False, trouble=""
        ),
        disks=(DiskReport(purpose="jobs", path="", free=1),), reading="",
    )  # fmt: skip
    problem = Problem(found="", mend="", blocking=True)
    made = doctoring._document(
        Checkup(
            findings=findings, models=(model,), variables=(), for_workers=(), problems=(problem,)
        )
    )
    lists = {name: value for name, value in made.items() if isinstance(value, list)}
    assert found == {
        "The object": set(made),
        "model": set(made["model"]),
        **{name: set(value[0]) for name, value in lists.items()},
    }


def test_every_kind_of_failure_and_every_rung_is_explained() -> None:
    page = read("docs/design/isolation.md")
    kinds = {codes(row[0])[0] for row in rows(page) if codes(row[0])}
    assert kinds == set(FailureKind)
    ladder = page.partition("## The ladder")[2].partition("\n## ")[0]
    steps = re.findall(r"^\d+\. ", ladder, re.MULTILINE)
    assert len(steps) == len(SENTENCES) + 1, "each rung, and the gap"


def test_every_column_of_a_glossary_is_documented() -> None:
    page = read("docs/reference/glossary-format.md")
    assert tuple(codes(row[0])[0] for row in rows(page) if codes(row[0])) == COLUMNS
    assert f"at most {LONGEST_TERM} characters" in page
