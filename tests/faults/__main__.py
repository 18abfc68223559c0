"""The fault suite: `python -m tests.faults` plays every scenario and prints a table.

Exits 0 only if every promise was kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.faults.harness import Tally, adopt_orphans
from tests.faults.scenarios import all_scenarios
from tests.faults.stage import Scenario, Stage

WANTED_FAULTS = 1000
LATEST_NOTICE = 3.0
"""A hang is noticed within so many times the expected time of its batch."""
REPORT_SECONDS = 20.0
MEMORY_DISK = Path("/dev/shm")


def main() -> int:
    given = _arguments()
    console = Console(highlight=False, soft_wrap=True)
    chosen = [s for s in all_scenarios() if (s.short or not given.quick) and given.only in s.name]
    if given.list:
        for scenario in chosen:
            console.print(escape(scenario.name))
        return 0
    adopt_orphans()
    base = MEMORY_DISK if MEMORY_DISK.is_dir() else None
    root = Path(tempfile.mkdtemp(prefix="longscribe-faults-", dir=base))
    stage = Stage(root=root)
    began = time.monotonic()
    try:
        _play_all(chosen, stage, console, given.jobs)
    finally:
        if not given.keep:
            shutil.rmtree(root, ignore_errors=True)
    tally = stage.tally
    whole = not given.quick and not given.only
    console.print(_table(tally))
    console.print(f"{len(chosen)} scenarios in {(time.monotonic() - began) / 60:.1f} min.")
    found = _shortcomings(tally, whole=whole)
    for sentence in found[len(tally.broken) :]:
        console.print(f"[bold red]Broken:[/] {escape(sentence)}")
    return 1 if found else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=(__doc__ or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--quick", action="store_true", help="the sample that `make test` runs")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="scenarios with TEXT in the name"
    )
    parser.add_argument("--jobs", type=int, default=3, help="scenarios played at the same time")
    parser.add_argument("--keep", action="store_true", help="keep what the runs left behind")
    parser.add_argument("--list", action="store_true", help="say which scenarios there are")
    return parser.parse_args()


def _play_all(chosen: list[Scenario], stage: Stage, console: Console, jobs: int) -> None:
    told, shown = time.monotonic(), 0
    with ThreadPoolExecutor(jobs) as pool:
        playing = {pool.submit(_play, scenario, stage): scenario for scenario in chosen}
        for number, future in enumerate(as_completed(playing), start=1):
            future.result()
            for sentence in stage.tally.broken[shown:]:
                shown += 1
                console.print(f"[bold red]Broken:[/] {escape(sentence)}")
            if time.monotonic() - told > REPORT_SECONDS or number == len(chosen):
                told = time.monotonic()
                tally = stage.tally
                console.print(
                    f"{number} of {len(chosen)} scenarios, {tally.injected.total()} faults, "
                    f"{len(tally.broken)} promises broken"
                )


def _play(scenario: Scenario, stage: Stage) -> None:
    began = time.monotonic()
    try:
        scenario.play(stage)
    except Exception:  # noqa: BLE001 - one bad scenario must not hide the others
        stage.complain(scenario.name, traceback.format_exc(limit=-4))
    stage.seconds[scenario.name] = time.monotonic() - began


def _table(tally: Tally) -> Table:
    table = Table(title="The fault suite", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for kind, count in sorted(tally.injected.items()):
        table.add_row(kind, str(count))
    table.add_section()
    table.add_row("faults injected", str(tally.injected.total()))
    table.add_row("jobs finished", f"{tally.finished} of {tally.jobs}")
    table.add_row("chunks lost", str(tally.lost_chunks))
    table.add_row("seconds lost outside declared gaps", f"{tally.lost_seconds:.1f}")
    table.add_row("words of other audio", str(tally.other_words))
    table.add_row("finished chunks decoded twice", str(tally.decoded_twice))
    table.add_row(
        f"latest notice of a hang, by the expected time of its batch ({tally.hangs} hangs)",
        f"{tally.worst_hang:.2f}",
    )
    table.add_row("orphans", str(tally.orphans))
    table.add_row("files of others among the outputs, each time looked at", str(tally.foreign))
    table.add_row("foreign files changed", str(tally.foreign_changed))
    table.add_row("promises broken", str(len(tally.broken)))
    return table


def _shortcomings(tally: Tally, *, whole: bool) -> list[str]:
    found = list(tally.broken)
    if whole and tally.injected.total() < WANTED_FAULTS:
        found.append(f"{tally.injected.total()} faults were injected, wanted {WANTED_FAULTS}")
    if tally.worst_hang > LATEST_NOTICE:
        found.append(f"a hang was noticed after {tally.worst_hang:.2f} times its batch's time")
    return found


if __name__ == "__main__":
    sys.exit(main())
