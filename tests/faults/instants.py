"""SIGKILL at random instants, with the real model, reader and detector."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.faults.harness import ROOT, Job, Report, Running, faulty, run
from tests.faults.kills import check_killed
from tests.faults.stage import Scenario, Stage

SECONDS = 102.0
"""Of the demo's sample; ends in a pause; two chunks."""
KILLS = 10
"""In one scenario."""
SCENARIOS = 20
OPTIONS = ("--beam-size", "1", "--compute-type", "int8", "--device", "cpu", "--cpu-threads", "1")
OPTIONS += ("--glossary", str(ROOT / "demo" / "glossary.txt"))


def scenarios() -> Iterator[Scenario]:
    for seed in range(SCENARIOS):
        yield Scenario(
            name=f"killed at random instants, seed {seed}",
            play=partial(_killed_at_random, seed, KILLS),
            needs_model=True,
        )
    yield Scenario(
        name="killed at a few random instants",
        play=partial(_killed_at_random, SCENARIOS, 3),
        short=True,
        needs_model=True,
    )


def _job(stage: Stage, folder: Path) -> Job:
    return Job(
        folder=folder,
        media=stage.excerpt(SECONDS),
        options=OPTIONS,
        recognizer="faster-whisper",
        model=str(ROOT / "demo" / "model"),
    )


def _killed_at_random(seed: int, kills: int, stage: Stage) -> None:
    """Kill the program again and again; whatever is left, it goes on and ends the same."""
    name = f"killed at random instants, seed {seed}"
    calm, seconds = stage.calm_run("calm-real", lambda folder: _job(stage, folder), real_media=True)
    dice = random.Random(seed)
    job, killed = _job(stage, stage.folder()), 0
    while killed < kills:
        report = _killed(job, dice.uniform(0.05, 1.0) * seconds)
        if report.status == 0:
            stage.settle(name, report, calm)
            job = _job(stage, stage.folder())
            continue
        killed += 1
        stage.struck("SIGKILL at a random instant")
        check_killed(name, report, stage)
    stage.settle(name, run(job, real_media=True), calm)


def _killed(job: Job, after: float) -> Report:
    running = Running(job, faulty(job, real_media=True))
    time.sleep(after)
    running.kill()
    return running.finish()
