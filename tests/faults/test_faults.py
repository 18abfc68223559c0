"""The short form of the fault suite: a sample of every kind of scenario.

`python -m tests.faults` plays all of them and prints the table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.harness import Tally, adopt_orphans
from tests.faults.scenarios import all_scenarios
from tests.faults.stage import Scenario, Stage


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder for all processes of pytest-xdist together."""
    adopt_orphans()
    base = tmp_path_factory.getbasetemp()
    return (base if worker_id == "master" else base.parent) / "faults"


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(s, id=s.name, marks=[pytest.mark.needs_model] if s.needs_model else [])
        for s in all_scenarios()
        if s.short
    ],
)
def test_promises_are_kept(scenario: Scenario, root: Path) -> None:
    stage = Stage(root=root, tally=Tally())
    scenario.play(stage)
    assert not stage.tally.broken, "\n".join(stage.tally.broken)
