"""`longscribe bias-report`: what became of the glossary. It only reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from longscribe.adapters.writers.json_writer import proposal_record
from longscribe.api import bias_report
from longscribe.cli.progress import clock
from longscribe.cli.terminal import Terminal, print_plain, results, shown
from longscribe.config import BiasMode
from longscribe.core.bias.report import (
    AntiTermFound,
    BiasReport,
    GlossaryState,
    PlacedProposal,
    TermUse,
)
from longscribe.types import Proposal, to_seconds

SCHEMA = 1
"""Of the JSON; raised when a field changes its meaning or goes."""
NEAR = 0.01
"""Probability from which a rejected term is worth a look. The JSON has all."""
MOST_TIMES = 5
"""On the screen, of one term."""
MOST_NAMES = 50
"""On the screen, of terms that never occur and of anti-terms that do."""

_STATES = {
    GlossaryState.CHANGED: "It has changed since the run; this report is made with it as it is.",
    GlossaryState.GONE: "It can't be read any more, so terms that never occur are not known.",
}
_STATES_WITH_COPY = {
    GlossaryState.CHANGED: "It has changed since the run; this report is made with it as it was.",
    GlossaryState.GONE: "It can't be read any more; this report is made with the job's own copy.",
}


def print_bias_report(job: Path, *, as_json: bool) -> None:
    """Print what became of the glossary: as tables, or as one JSON document.

    Raises:
        JobError: there is no job in that folder, or it was never started.
    """
    report = bias_report(job)
    if as_json:
        print_plain(json.dumps(_document(report), ensure_ascii=False, indent=1))
    else:
        _print_tables(report, results())


# --- for programs ------------------------------------------------------------


def _document(report: BiasReport) -> dict[str, object]:
    subject = report.subject
    return {
        "schema": SCHEMA,
        "media": subject.media,
        "bias": subject.mode,
        "glossary": subject.path or None,
        "glossary_state": subject.state,
        "extra_terms": subject.extra_terms,
        "complete": subject.complete,
        "windows": report.windows,
        "terms": [_term(use) for use in report.terms],
        "accepted": [_proposal(each) for each in report.accepted],
        "rejected": [_proposal(each) for each in report.rejected],
        "absent": report.absent,
        "anti_terms": [_anti_term(found) for found in report.anti_terms],
    }


def _term(use: TermUse) -> dict[str, object]:
    return {
        "term": use.term,
        "offered": use.offered,
        "first": None if use.first is None else to_seconds(use.first),
        "last": None if use.last is None else to_seconds(use.last),
        "proposed": use.proposed,
        "replaced": use.replaced,
        "in_text": [to_seconds(place) for place in use.places],
    }


def _proposal(placed: PlacedProposal) -> dict[str, object]:
    where = {"chunk_id": placed.chunk_id, "window": placed.window}
    return {**where, **proposal_record(placed.proposal)}


def _anti_term(found: AntiTermFound) -> dict[str, object]:
    return {
        "text": found.text,
        "instead": found.instead,
        "start": to_seconds(found.start),
        "end": to_seconds(found.end),
    }


# --- for people --------------------------------------------------------------


def _print_tables(report: BiasReport, console: Terminal) -> None:
    subject = report.subject
    console.print(f"[bold]{shown(subject.media)}[/bold]: {_kind(report)}")
    notes = _STATES_WITH_COPY if subject.own_copy else _STATES
    if note := notes.get(subject.state):
        console.print(f"[yellow]{note}[/yellow]")
    if not subject.complete:
        console.print("The latest run is not done; this is what there is so far.")
    if subject.state is GlossaryState.NONE:
        return
    _print_accepted([each.proposal for each in report.accepted], subject.mode, console)
    _print_rejected([each.proposal for each in report.rejected], console)
    _print_anti_terms(report.anti_terms, console)
    _print_terms(report.terms, subject.mode, console)
    if report.absent:
        never = "Never in the text" if subject.complete else "Not in the text so far"
        names = ", ".join(report.absent[:MOST_NAMES])
        more = _more(len(report.absent))
        console.print(f"{never}: {shown(names)}{more and f' {more}'}", soft_wrap=True)


def _kind(report: BiasReport) -> str:
    subject = report.subject
    if subject.state is GlossaryState.NONE:
        return "the latest run had no glossary."
    names = [f"glossary {Path(subject.path).name}"] if subject.path else []
    if subject.extra_terms:
        names.append(_count(len(subject.extra_terms), "learnt term"))
    name = " and ".join(names)
    mode = {
        BiasMode.OFF: "not used (--bias off)",
        BiasMode.PROMPT: "given to the decoder (--bias prompt)",
        BiasMode.VERIFY: "verified (--bias verify)",
    }[subject.mode]
    return f"{shown(name)}, {mode}, {_count(report.windows, 'window')} of speech"


def _print_accepted(accepted: Sequence[Proposal], mode: BiasMode, console: Terminal) -> None:
    if mode is not BiasMode.VERIFY:
        return
    if not accepted:
        console.print("\nNothing was replaced.")
        return
    _print_proposals("Replaced", "written", accepted, console)


def _print_rejected(rejected: Sequence[Proposal], console: Terminal) -> None:
    near = [each for each in rejected if each.evidence.probability >= NEAR]
    for reason in dict.fromkeys(each.reason for each in near):
        of_reason = [each for each in near if each.reason == reason]
        _print_proposals(f"Left as heard: {reason}", "not written", of_reason, console)
    if len(near) < len(rejected):
        console.print(f"And {len(rejected) - len(near)} with less than {NEAR:.0%}; --json has all.")


def _print_proposals(
    title: str, how: str, proposals: Sequence[Proposal], console: Terminal
) -> None:
    table = _table(title, "at", "heard", how)
    for name in ("sure", "needed", "audio", "sound", "again"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in proposals:
        evidence = each.evidence
        table.add_row(
            clock(each.start),
            shown(each.heard),
            shown(each.written),
            f"{evidence.probability:.0%}",
            f"{evidence.threshold:.0%}",
            "" if evidence.acoustic is None else f"{evidence.acoustic:+.1f}",
            f"{evidence.sound:.2f}",
            "yes" if evidence.second_pass else "",
        )
    console.print(table)


def _print_anti_terms(found: Sequence[AntiTermFound], console: Terminal) -> None:
    if not found:
        return
    places: dict[tuple[str, str], list[AntiTermFound]] = {}
    for each in found:
        places.setdefault((each.text.casefold(), each.instead or ""), []).append(each)
    table = _table("In the text, though the glossary says never", "text", "instead", "found")
    for (_, instead), of_text in [*places.items()][:MOST_NAMES]:
        times = _times([each.start for each in of_text])
        table.add_row(shown(of_text[0].text), shown(instead), times)
    console.print(table)
    if more := _more(len(places)):
        console.print(more)


def _print_terms(terms: Sequence[TermUse], mode: BiasMode, console: Terminal) -> None:
    if not terms:
        return
    verified = ("written",) if mode is BiasMode.VERIFY else ()
    table = _table("Terms", "term", "offered to", "from", "to", *verified, "in the text")
    for use in terms:
        written = (f"{use.replaced}x" if use.replaced else "",) if verified else ()
        table.add_row(
            shown(use.term),
            _count(use.offered, "window") if use.offered else "",
            "" if use.first is None else clock(use.first),
            "" if use.last is None else clock(use.last),
            *written,
            _times(use.places),
        )
    console.print(table)


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _more(names: int) -> str:
    """Return what is said in the place of the names that are not shown."""
    hidden = names - MOST_NAMES
    return f"… and {hidden:,} more; --json has all." if hidden > 0 else ""


def _times(places: Sequence[int]) -> str:
    if not places:
        return ""
    more = f" … {len(places) - MOST_TIMES} more" if len(places) > MOST_TIMES else ""
    times = ", ".join(clock(place) for place in places[:MOST_TIMES])
    return f"{len(places)}x: {times}{more}"


def _table(title: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, no_wrap=name in {"at", "from", "to"})
    return table
