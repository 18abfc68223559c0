"""Recognizers that lose words: what they drop is found again, or the run is not complete."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.faults.harness import Job, Report, run
from tests.faults.stage import PLAIN, SMALL, Scenario, Stage

RECOGNIZERS = "tests.faults.droppers"
FOUND_AGAIN = "decoded again apart from the rest"


def scenarios() -> Iterator[Scenario]:
    yield Scenario(name="words at the end of every window lost", play=_ends, short=True)
    yield Scenario(name="a clause of whole windows lost", play=_clauses, short=True)


def _calm(stage: Stage) -> Report:
    """Return the run of a recognizer that loses nothing."""
    return stage.calm_run("calm-words", lambda folder: _job(stage, "load_whole", folder))[0]


def _job(stage: Stage, factory: str, folder: Any = None) -> Job:
    return Job(
        folder=folder or stage.folder(),
        media=stage.speech(SMALL),
        options=PLAIN,
        recognizer=f"{RECOGNIZERS}:{factory}",
    )


def _ends(stage: Stage) -> None:
    """Nothing finds these words, so the ledger has to list them and the run must not be complete."""
    name = "words at the end of every window lost"
    calm, report = _calm(stage), run(_job(stage, "load_dropping_ends"))
    stage.struck("words dropped")
    for complaint in (*_calm_complaints(calm), *_ends_complaints(report, calm)):
        stage.complain(name, complaint)


def _ends_complaints(report: Report, calm: Report) -> Iterator[str]:
    if report.status != 3:
        yield f"exit status {report.status}, expected 3: {report.error}"
        return
    document, finished = report.document, _finished(report)
    if document["complete"] or not finished["loses_words"] or not finished["wordless"]:
        yield f"taken for complete: {finished}"
    if "loses words" not in report.error:
        yield f"nobody is told: {report.error}"
    missing = _missing(report, calm)
    if not missing:
        yield "nothing was dropped, so nothing is shown"
    listed = _wordless(document)
    silent = [
        word
        for clause in _clauses_of(missing)
        for word in clause
        if len(clause) > 1 and not any(a < _middle(word) < b for a, b in _beside(listed))
    ]
    if silent:
        yield f"dropped and not listed: {silent}, listed {listed}"
    windows = document["windows"]
    bare = [w for w in windows if not any(a < w["end"] and b > w["end"] - 6 for a, b in listed)]
    if bare:
        yield f"windows whose end is not listed: {[(w['start'], w['end']) for w in bare]}"
    total = sum(document["coverage"]["samples"].values())
    if total != round(document["duration"] * 16_000):
        yield f"the ledger has {total} samples of {document['duration']} s"
    if document["gaps"]:
        yield f"gaps: {document['gaps']}"


def _clauses(stage: Stage) -> None:
    """The words that a window lacks are there when the place is decoded apart."""
    name = "a clause of whole windows lost"
    calm, report = _calm(stage), run(_job(stage, "load_dropping_clauses"))
    stage.struck("words dropped")
    for complaint in _clauses_complaints(report, calm):
        stage.complain(name, complaint)


def _clauses_complaints(report: Report, calm: Report) -> Iterator[str]:
    if report.status != 0:
        yield f"exit status {report.status}, expected 0: {report.error}"
        return
    remarks = [remark for w in report.document["windows"] for remark in w["remarks"]]
    if not any(FOUND_AGAIN in remark for remark in remarks):
        yield "nothing was dropped, so nothing is shown"
    if missing := _missing(report, calm):
        yield f"still missing: {missing}"
    if report.document["text"] != calm.document["text"]:
        yield "the text differs from the calm run's"
    yield from _calm_complaints(report)


def _calm_complaints(report: Report) -> Iterator[str]:
    document, finished = report.document, _finished(report)
    if not document["complete"] or finished["loses_words"] or finished["wordless"]:
        yield f"not complete: {finished}, {_wordless(document)}"


def _finished(report: Report) -> dict[str, Any]:
    return dict([e for e in report.journal.events if e["type"] == "run_finished"][-1])


def _missing(report: Report, calm: Report) -> list[dict[str, Any]]:
    """Return the words of the calm run that this one lacks."""
    kept = {(word["word"], word["start"]) for word in _words(report)}
    return [word for word in _words(calm) if (word["word"], word["start"]) not in kept]


def _clauses_of(words: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return words that follow each other together; one alone is less than a second of speech."""
    clauses: list[list[dict[str, Any]]] = []
    for word in words:
        if clauses and word["start"] - clauses[-1][-1]["end"] < 0.5:
            clauses[-1].append(word)
        else:
            clauses.append([word])
    return clauses


def _words(report: Report) -> list[dict[str, Any]]:
    return [word for segment in report.document["segments"] for word in segment["words"]]


def _middle(word: dict[str, Any]) -> float:
    return float(word["start"] + word["end"]) / 2


def _wordless(document: dict[str, Any]) -> list[tuple[float, float]]:
    entries = document["coverage"]["entries"]
    return [(e["start"], e["end"]) for e in entries if e["kind"] == "wordless"]


def _beside(listed: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the stretches and the margins that belong to the words around them."""
    return [(start - 0.5, end + 0.5) for start, end in listed]
