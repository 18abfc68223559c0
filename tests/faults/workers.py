"""Workers and the reader that go wrong in every way, in every phase, at every place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

from tests.faults.harness import run, unexpected_failures
from tests.faults.plans import ALWAYS, Fault
from tests.faults.recognizers import EXPECTED, FAULTS, memory_group
from tests.faults.stage import LONG, Calm, Scenario, Stage

CHUNKS = 20
PHASES = ("first", "middle", "answer")
JOBS = 24
"""For each number of workers."""
CELLS = 12
"""Faults planned for the middle chunks of a job; the others stay calm."""
TOUCHY = ("exit 0 later", "answer twice", "leak")
"""Kinds that strike whatever comes next, so that no chunk is doomed by them."""
MANY = Calm(seconds=LONG)
FEW = Calm()


def kinds() -> list[str]:
    """Return the kinds of faults that can be brought about on this machine."""
    group = memory_group()
    if group is not None:
        group.rmdir()
    return [kind for kind in FAULTS if group or kind != "allocate until killed"]


def scenarios() -> Iterator[Scenario]:
    for workers, number in product((1, 3), range(JOBS)):
        yield Scenario(
            name=f"{workers} worker(s), mixed faults {number}",
            play=partial(_mixed, workers, number),
            short=(workers, number) in {(1, 3), (3, 8)},
        )
    for kind in kinds():
        harmless = EXPECTED.get(kind) is None
        yield Scenario(
            name=f"{kind} while loading", play=partial(_loading, kind), short=kind == "exit 0"
        )
        if not harmless:
            yield Scenario(
                name=f"{kind} while loading a replacement", play=partial(_reloading, kind)
            )
    for kind in ("segfault", "exit 0", "hang holding the GIL", "garbage on the pipe"):
        yield Scenario(
            name=f"{kind} at every loading",
            play=partial(_never_loading, kind),
            short=kind == "segfault",
        )
    for kind in ("segfault", "raise", "exit 0", "hang", "garbage on the pipe"):
        yield Scenario(name=f"{kind} while telling the language", play=partial(_language, kind))
    for kind in ("segfault", "abort", "exit 0", "hang", "garbage on the pipe", "half a message"):
        yield Scenario(
            name=f"{kind} in the reader", play=partial(_reading, kind), short=kind == "abort"
        )


def mixed_faults(number: int) -> tuple[list[Fault], list[int]]:
    """Return the faults of one job, and the chunks they doom."""
    names = kinds()
    cells = list(product(names, PHASES, (1, ALWAYS)))
    # Steps without a common divisor with the number of cells walk through all of them.
    middle = [cells[(number * CELLS + i) * 7 % len(cells)] for i in range(CELLS)]
    first = (names[number % len(names)], PHASES[number % 3], 1 if number % 2 else ALWAYS)
    last = (names[(number + 7) % len(names)], PHASES[(number + 1) % 3], ALWAYS if number % 2 else 1)
    places = [0, *(1 + i * (CHUNKS - 2) // CELLS for i in range(CELLS)), CHUNKS - 1]
    faults = []
    for chunk, (kind, phase, times) in zip(places, [first, *middle, last], strict=True):
        once = times == 1 or kind in TOUCHY or EXPECTED.get(kind) is None
        when = "answer" if kind == "answer twice" else phase
        if kind == "answer early" and when == "answer":
            when = "middle"  # at the end it would be in time
        faults.append(Fault(kind=kind, phase=when, chunk=chunk, times=1 if once else ALWAYS))
    doomed = [fault.chunk for fault in faults if fault.times == ALWAYS and fault.chunk is not None]
    return faults, doomed


def _mixed(workers: int, number: int, stage: Stage) -> None:
    name = f"{workers} worker(s), mixed faults {number}"
    faults, doomed = mixed_faults(number)
    report = run(stage.job(MANY, "--workers", str(workers)), *faults)
    stage.settle(name, report, stage.calm(MANY), gaps=doomed)
    for sentence in unexpected_failures(report):
        stage.complain(name, sentence)


def _loading(kind: str, stage: Stage) -> None:
    """Once is bad luck, unless it is an exception: that would be raised again."""
    name = f"{kind} while loading"
    job = stage.job(FEW)
    report = run(job, Fault(kind=kind, phase="load"), load_deadline=3.0)
    if EXPECTED.get(kind) in ("error", "oom") and kind != "allocate until killed":
        stage.struck(kind)
        if report.status != 1 or not report.error_line:
            stage.complain(name, f"status {report.status}: {report.error}")
        report = run(job)
    stage.settle(name, report, stage.calm(FEW))


def _reloading(kind: str, stage: Stage) -> None:
    """The first worker dies in a chunk, the one that replaces it while it loads."""
    name = f"{kind} while loading a replacement"
    job = stage.job(FEW)
    death = Fault(kind="segfault", phase="middle", chunk=1)
    report = run(job, death, Fault(kind=kind, phase="load", after=1), load_deadline=3.0)
    if report.status == 1 and report.last_line.startswith("error: "):
        for fault, count in report.injected.items():
            stage.struck(fault, count)
        report = run(job)
    stage.settle(name, report, stage.calm(FEW))


def _never_loading(kind: str, stage: Stage) -> None:
    """A worker that can't start halts the job with one line, instead of looping."""
    name = f"{kind} at every loading"
    job = stage.job(FEW)
    fault = Fault(kind=kind, phase="load", times=ALWAYS)
    report = run(job, fault, load_deadline=2.0)
    for struck, count in report.injected.items():
        stage.struck(struck, count)
    if report.status != 1 or "can't start" not in report.error_line:
        stage.complain(name, f"status {report.status}: {report.error}")
    if report.orphans:
        stage.complain(name, f"{report.orphans} orphans")
    stage.settle(name, run(job), stage.calm(FEW))


def _language(kind: str, stage: Stage) -> None:
    name = f"{kind} while telling the language"
    job = stage.job(FEW, "--language", "auto")
    report = run(job, Fault(kind=kind, phase="language"), first_deadline=3.0)
    stage.settle(name, report, stage.calm(FEW))


def _reading(kind: str, stage: Stage) -> None:
    """A reader that dies once starts again; one that always dies leaves a declared gap."""
    name = f"{kind} in the reader"
    once = run(stage.job(FEW), Fault(kind=kind, phase="read", chunk=9), load_deadline=3.0)
    stage.settle(name, once, stage.calm(FEW))
    job = stage.job(FEW)
    always = run(job, Fault(kind=kind, phase="read", chunk=9, times=ALWAYS), load_deadline=3.0)
    for struck, count in always.injected.items():
        stage.struck(struck, count)
    if always.status != 3 or not always.document["gaps"]:
        stage.complain(name, f"always: status {always.status}: {always.error}")
    stage.settle(f"{name}, cured", run(job), stage.calm(FEW))
