"""Chaos: the demo once in peace and once under attack, and the proof that the outputs are equal.

Transcribes the sample, then transcribes it again in another folder while a saboteur
kills (SIGKILL, SIGSEGV), stops (SIGSTOP) and starves the workers, and once kills the
whole program, which is then started again with the same command. Exits 0 only if
every output file is byte-identical to the one of the calm run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

DEMO = Path(__file__).resolve().parent
SAMPLE = DEMO / "sample.flac"
FORMATS = ("srt", "vtt", "json", "txt", "tsv")
WORKER = "longscribe.worker.recognizer"
READER = "longscribe.worker.reader"
DEADLINE = "6"
"""Seconds. Small, so that a stopped worker is noticed soon."""
PAUSE = 0.05
"""Seconds between two looks of the saboteur."""
STARVING_SECONDS = 4.0
HOGS = 3
"""Processes that take the CPU from a starving worker."""


# --- what is done to it ---------------------------------------------------------


def _send(number: signal.Signals) -> Callable[[psutil.Process], None]:
    return lambda process: process.send_signal(number)


def _starve(worker: psutil.Process) -> None:
    """Leave the worker next to nothing of the CPU for a while."""
    worker.nice(19)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(HOGS)]
    time.sleep(STARVING_SECONDS)
    for hog in hogs:
        hog.kill()
        hog.wait()


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One thing the saboteur does."""

    told: str
    chunk: int
    """While this chunk is being decoded."""
    strike: Callable[[psutil.Process], None]
    victim: str = WORKER
    """Module of the process, or empty for the whole program."""


# No chunk is hit twice by what counts against it: after a second failure it would be
# decoded with other settings, and the outputs would rightly say so.
# And none is stopped in the first batch of a run, whose time nobody can know yet.
ATTACKS = (
    Attack(told="starved the worker of the CPU", chunk=0, strike=_starve),
    Attack(told="SIGKILL to the worker", chunk=0, strike=_send(signal.SIGKILL)),
    Attack(told="SIGSTOP to the worker", chunk=1, strike=_send(signal.SIGSTOP)),
    Attack(told="SIGKILL to the whole program", chunk=2, strike=_send(signal.SIGKILL), victim=""),
    Attack(told="SIGSEGV to the worker", chunk=2, strike=_send(signal.SIGSEGV)),
    Attack(told="SIGABRT to the worker", chunk=3, strike=_send(signal.SIGABRT)),
)


@dataclass(kw_only=True)
class Saboteur:
    """Watches the job's journal and strikes when a chunk is being decoded."""

    job: Path
    done: list[tuple[str, float]] = field(default_factory=list)
    """What was done, and when, in seconds from the start."""
    _began: float = field(default_factory=time.monotonic)
    _left: list[Attack] = field(default_factory=lambda: list(ATTACKS))

    def watch(self, program: subprocess.Popen[bytes]) -> None:
        """Strike at a running program until it ends."""
        struck_at: tuple[int, int] | None = None
        while program.poll() is None:
            attempt = decoding(self.job)
            if attempt is not None and attempt != struck_at and self._strike(program, attempt[0]):
                # Starving fails nothing, so the same attempt may be hit again.
                struck_at = None if "starved" in self.done[-1][0] else attempt
            time.sleep(PAUSE)

    def _strike(self, program: subprocess.Popen[bytes], chunk: int) -> bool:
        """Do the next thing that is meant for a chunk; tell whether there was one."""
        attack = next((attack for attack in self._left if attack.chunk == chunk), None)
        if attack is None:
            return False
        try:
            family = psutil.Process(program.pid)
            victims = [family] if not attack.victim else list(_children(family, attack.victim))
            if not victims:
                return False
            attack.strike(victims[0])
        except psutil.NoSuchProcess:
            return False
        self._left.remove(attack)
        told = f"{attack.told} ({victims[0].pid}) in chunk {chunk}"
        self.done.append((told, time.monotonic() - self._began))
        return True


def _children(family: psutil.Process, module: str) -> Iterator[psutil.Process]:
    for child in family.children():
        if module in child.cmdline():
            yield child


# --- what the journal says ------------------------------------------------------


def read_events(job: Path) -> list[dict[str, Any]]:
    """Return the events of a job, also while it runs."""
    try:
        with sqlite3.connect(f"{(job / 'job.db').as_uri()}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT body FROM event ORDER BY seq").fetchall()
        db.close()
    except sqlite3.OperationalError:
        return []
    return [json.loads(body) for (body,) in rows]


def decoding(job: Path) -> tuple[int, int] | None:
    """Return the chunk that is being decoded, and the number of the attempt over all runs."""
    events = read_events(job)
    started = [event for event in events if event["type"] == "attempt_started"]
    over = ("attempt_failed", "chunk_finished", "run_started", "run_finished")
    for event in reversed(events):
        if event["type"] == "attempt_started":
            return event["attempt"]["chunk_id"], len(started)
        if event["type"] in over:
            return None
    return None


# --- the two runs ---------------------------------------------------------------


def command(folder: Path) -> list[str]:
    given = [sys.executable, "-m", "longscribe", "transcribe", str(SAMPLE), "--quiet"]
    given += ["--model", str(DEMO / "model"), "--device", "cpu", "--compute-type", "int8"]
    given += ["--language", "en", "--chunking", "on", "--chunk-duration", "60", "--workers", "1"]
    given += ["--glossary", str(DEMO / "glossary.txt"), "--output-dir", str(folder)]
    return [*given, "--deadline", DEADLINE, "--retry-delay", "0.2", "--batch-size", "1"]


def run_calmly(folder: Path) -> int:
    return subprocess.run(command(folder), check=False).returncode


def run_under_attack(folder: Path, console: Console) -> tuple[int, Saboteur]:
    """Run the command, and again for as long as it is killed; return its last status."""
    saboteur = Saboteur(job=folder / f"{SAMPLE.stem}.longscribe")
    shown = 0
    while True:
        program = subprocess.Popen(command(folder))
        watcher = threading.Thread(target=saboteur.watch, args=(program,))
        watcher.start()
        while program.poll() is None:
            shown = _show_new(saboteur, shown, console)
            time.sleep(PAUSE)
        watcher.join()
        shown = _show_new(saboteur, shown, console)
        if program.returncode != -signal.SIGKILL:
            return program.returncode, saboteur
        console.print("        the same command again …", style="dim")


def _show_new(saboteur: Saboteur, shown: int, console: Console) -> int:
    for told, seconds in saboteur.done[shown:]:
        console.print(f"[cyan]{seconds:5.1f} s[/] [bold red]✗[/] {told}")
        shown += 1
    return shown


# --- the proof ------------------------------------------------------------------


def compared(calm: Path, attacked: Path) -> tuple[Table, bool]:
    """Return a table of the outputs, and whether they are all equal, byte by byte."""
    table = Table(title="The outputs, byte by byte", title_justify="left")
    for heading in ("file", "calm", "under attack", ""):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    equal = True
    for extension in FORMATS:
        name = f"{SAMPLE.stem}.{extension}"
        one, other = ((folder / name).read_bytes() for folder in (calm, attacked))
        equal = equal and one == other
        verdict = "[bold green]identical[/]" if one == other else "[bold red]DIFFERENT[/]"
        table.add_row(name, f"{len(one):,} bytes", f"{len(other):,} bytes", verdict)
    return table, equal


def account(events: Sequence[dict[str, Any]]) -> str:
    """Return what the journal noted of the attack, as a sentence."""
    kinds = Counter(e["failure"]["kind"] for e in events if e["type"] == "attempt_failed")
    finished = Counter(event["chunk_id"] for event in events if event["type"] == "chunk_finished")
    runs = sum(event["type"] == "run_started" for event in events)
    noted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    twice = [chunk for chunk, count in finished.items() if count > 1]
    return (
        f"The journal noted {runs} runs and these failed attempts: {noted or 'none'}. "
        f"{len(finished)} chunks were finished, {len(twice)} of them twice."
    )


def left_behind(folder: Path) -> list[int]:
    """Return processes of the attacked job that still live."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if str(folder) in line and process.pid != os.getpid():
            found.append(process.pid)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--output-dir", type=Path, default=DEMO / "out", help="default: demo/out")
    given = parser.parse_args()
    console = Console(highlight=False)
    calm, attacked = given.output_dir / "calm", given.output_dir / "chaos"
    for folder in (calm, attacked):
        shutil.rmtree(folder, ignore_errors=True)
    console.print("Transcribing the sample in peace …")
    if status := run_calmly(calm):
        console.print(f"[bold red]chaos:[/] the calm run ended with status {status}")
        return 1
    console.print("Transcribing it again, with a saboteur at work …")
    status, saboteur = run_under_attack(attacked, console)
    if status:
        console.print(f"[bold red]chaos:[/] the attacked run ended with status {status}")
        return 1
    return conclude(calm, attacked, saboteur, console)


def conclude(calm: Path, attacked: Path, saboteur: Saboteur, console: Console) -> int:
    """Print the proof; return 0 if it holds."""
    table, equal = compared(calm, attacked)
    console.print()
    console.print(table)
    console.print(account(read_events(saboteur.job)))
    found = []
    if not equal:
        found.append("the outputs differ")
    if missing := len(ATTACKS) - len(saboteur.done):
        found.append(f"the saboteur found no moment for {missing} of his {len(ATTACKS)} attacks")
    if left := left_behind(attacked):
        found.append(f"processes were left behind: {left}")
    for sentence in found:
        console.print(f"[bold red]Not as it should be:[/] {sentence}.")
    if not found:
        console.print(
            f"[bold green]✓[/] {len(saboteur.done)} attacks, nothing lost, nothing decoded twice."
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
