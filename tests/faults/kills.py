"""SIGKILL at every write of the supervisor and the reader, and at random instants."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.faults.harness import Report, run
from tests.faults.stage import PLAIN, Calm, Scenario, Stage

SMALL = Calm(seconds=100, options=(*PLAIN, "-f", "srt", "-f", "json"))
"""Two chunks and two formats: every kind of write, none more often than needed."""
KILLS = {"supervisor": 89, "reader": 12}
"""Writes of such a job that are killed at; the scenario checks that there are no more."""
SHORT_STEP = 19
"""The short form takes every so-manieth."""


def scenarios() -> Iterator[Scenario]:
    for writer, count in KILLS.items():
        yield Scenario(name=f"the {writer}'s writes are counted", play=partial(_counted, writer))
        for at in range(1, count + 1):
            yield Scenario(
                name=f"killed at write {at} of the {writer}",
                play=partial(_killed, writer, at),
                short=at % SHORT_STEP == 5,
            )


def _counted(writer: str, stage: Stage) -> None:
    """See that the scenarios below meet every write."""
    report = run(stage.job(SMALL), writer=writer)
    found = len(report.counted)
    if found > KILLS[writer]:
        stage.complain("kills", f"{found} writes of the {writer}, killed at {KILLS[writer]}")
    stage.settle("the count", report, stage.calm(SMALL))


def _killed(writer: str, at: int, stage: Stage) -> None:
    name = f"killed at write {at} of the {writer}"
    job = stage.job(SMALL)
    action = "kill" if at % 2 else "kill-all"
    killed = run(job, at=at, writer=writer, action=action if writer == "supervisor" else "kill")
    if killed.status == 0:
        return  # a run with fewer writes than the longest
    stage.struck("SIGKILL at a write")
    check_killed(name, killed, stage)
    stage.settle(name, run(job), stage.calm(SMALL))


def check_killed(name: str, killed: Report, stage: Stage) -> None:
    """Check what a killed program leaves: no process, no half file."""
    if killed.status != -9:
        stage.complain(name, f"status {killed.status} instead of SIGKILL: {killed.error}")
    if killed.orphans:
        stage.complain(name, f"{killed.orphans} orphans")
    for extension, content in killed.outputs.items():
        ending = b"}\n" if extension == "json" else b"\n"
        # Subtitles of nothing are an empty file.
        whole = content.endswith(ending) or (extension == "srt" and not content)
        if not whole:
            stage.complain(name, f"half a {extension} was left")
