"""Hangs, clocks and stops: what counts as a hang, how soon it is noticed, and what does not count."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial

import psutil

from tests.faults.harness import Running, faulty, run, stop_for
from tests.faults.plans import Fault, notes
from tests.faults.stage import Calm, Scenario, Stage

JOB = Calm()
SLOW_WINDOW = 2.2
"""Seconds; 2.5 times this is over the floor, and a look each half second adds little."""
PATIENT = ("--deadline", "4")
STOPPED_SECONDS = 7.0
"""Longer than the deadline."""
HANGS = ("hang", "hang holding the GIL", "hang ignoring SIGTERM", "stop")


def scenarios() -> Iterator[Scenario]:
    for kind in HANGS:
        yield Scenario(
            name=f"{kind}: noticed in time", play=partial(_noticed, kind), short=kind == "hang"
        )
        yield Scenario(
            name=f"{kind}, and the supervisor is killed",
            play=partial(_supervisor_killed, kind),
            short=kind == "hang holding the GIL",
        )
    for direction in ("back", "forward"):
        yield Scenario(name=f"the clock goes {direction}", play=partial(_clock, direction))
    yield Scenario(name="the machine sleeps", play=_sleeping, short=True)
    yield Scenario(name="the supervisor is stopped", play=partial(_stopped, "supervisor"))
    yield Scenario(name="everything is stopped", play=partial(_stopped, "all"), short=True)
    yield Scenario(name="a worker is stopped from outside", play=_worker_stopped)
    yield Scenario(name="slower and slower", play=_slower)
    yield Scenario(name="slow within the deadline", play=_slow)
    yield Scenario(name="two supervisors", play=_two, short=True)


def _noticed(kind: str, stage: Stage) -> None:
    """A hang is noticed within three times the expected time of its batch."""
    name = f"{kind}: noticed in time"
    job = stage.job(JOB, "--deadline", "0.5")
    report = run(job, Fault(kind=kind, phase="middle", chunk=1), window_seconds=SLOW_WINDOW)
    stage.settle(name, report, stage.calm(JOB))
    if not report.hangs:
        stage.complain(name, "it was not measured")


def _supervisor_killed(kind: str, stage: Stage) -> None:
    """The worker that hangs does not outlive its supervisor."""
    name = f"{kind}, and the supervisor is killed"
    job = stage.job(JOB, "--deadline", "300")
    running = Running(job, faulty(job, Fault(kind=kind, phase="middle", chunk=1)))
    _wait(running, lambda: any(note.name.startswith(kind) for note in notes(running.plan.scratch)))
    time.sleep(0.3)
    running.kill()
    report = running.finish()
    stage.struck("SIGKILL of the supervisor")
    for struck, count in report.injected.items():
        stage.struck(struck, count)
    if report.orphans:
        stage.complain(name, f"{report.orphans} orphans")
    stage.settle(name, run(job), stage.calm(JOB))


def _clock(direction: str, stage: Stage) -> None:
    """The time of day may jump: it is only noted."""
    report = run(stage.job(JOB), clock=direction)
    stage.struck(f"clock set {direction}")
    stage.settle(f"the clock goes {direction}", report, stage.calm(JOB))


def _sleeping(stage: Stage) -> None:
    """An hour passes between any two looks at the monotonic clock, and nothing is killed for it."""
    name = "the machine sleeps"
    report = run(stage.job(JOB, "--deadline", "300"), sleep_seconds=3600.0)
    stage.struck("machine sleeps")
    stage.settle(name, report, stage.calm(JOB))
    if report.put_down:
        stage.complain(name, f"{report.put_down} workers were put down")


def _stopped(who: str, stage: Stage) -> None:
    """Stopped for longer than the deadline, the supervisor does not blame its workers."""
    name = f"{who} stopped"
    job = stage.job(JOB, *PATIENT)
    running = Running(job, faulty(job, window_seconds=0.7))
    _wait(running, (job.out / f"{job.media.stem}.srt").exists)
    pids = [running.process.pid]
    if who == "all":
        children = psutil.Process(running.process.pid).children(recursive=True)
        pids += [child.pid for child in children]
    stop_for(pids, STOPPED_SECONDS)
    report = running.finish()
    stage.struck(f"SIGSTOP of {who}")
    stage.settle(name, report, stage.calm(JOB))
    if report.put_down or report.journal.failures:
        stage.complain(name, f"failures {dict(report.journal.failures)}")


def _worker_stopped(stage: Stage) -> None:
    """A stopped worker is a hang: it is replaced, and SIGKILL reaches it."""
    name = "a worker is stopped from outside"
    job = stage.job(JOB)
    running = Running(job, faulty(job, window_seconds=0.5))
    _wait(running, (job.out / f"{job.media.stem}.srt").exists)
    for process in psutil.Process(running.process.pid).children(recursive=True):
        if "longscribe.worker.recognizer" in process.cmdline():
            os.kill(process.pid, signal.SIGSTOP)
    report = running.finish()
    stage.struck("SIGSTOP of a worker")
    stage.settle(name, report, stage.calm(JOB))
    if not report.journal.failures["hang"]:
        stage.complain(name, f"failures {dict(report.journal.failures)}")


def _slower(stage: Stage) -> None:
    """A worker that takes longer and longer makes progress: it is let be."""
    name = "slower and slower"
    job = stage.job(JOB, "--deadline", "1")
    report = run(job, window_seconds=0.4, slower=1.35)
    stage.struck("very slow")
    stage.settle(name, report, stage.calm(JOB))
    if report.put_down:
        stage.complain(name, f"{report.put_down} workers were put down")


def _slow(stage: Stage) -> None:
    """So is one that is slow from the beginning, however short the floor of the deadline is."""
    name = "slow within the deadline"
    report = run(stage.job(JOB, "--deadline", "0.1"), window_seconds=2.0)
    stage.struck("very slow")
    stage.settle(name, report, stage.calm(JOB))
    if report.put_down:
        stage.complain(name, f"{report.put_down} workers were put down")


def _two(stage: Stage) -> None:
    """The second says who holds the job, at once; the first is not disturbed."""
    name = "two supervisors"
    job = stage.job(JOB, "--deadline", "60")
    first = Running(job, faulty(job, window_seconds=0.6))
    _wait(first, (job.path / "job.db").exists)
    second = run(job)
    report = first.finish()
    stage.struck("second supervisor")
    if second.status != 1 or f"process {first.process.pid} on " not in second.error_line:
        stage.complain(name, f"the second: status {second.status}: {second.error}")
    stage.settle(name, report, stage.calm(JOB))


def _wait(running: Running, happened: Callable[[], object]) -> None:
    """Return once it has happened, or the run has ended."""
    while not happened() and running.process.poll() is None:
        time.sleep(0.02)
