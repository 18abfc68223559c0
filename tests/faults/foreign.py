"""Files that are not the job's own: whatever happens to a job, they stay as they are.

A file of a person lies in the place of one output before the job begins, and another is
made of an output between its runs. Then the job goes wrong in some way, and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path

from longscribe.core.ownership import aside_names
from tests.faults.harness import Job, Report, run
from tests.faults.kills import KILLS, SMALL
from tests.faults.plans import Fault
from tests.faults.stage import Scenario, Stage

STEP = 4
"""Every so-manieth write is struck at."""
ACTIONS = ("kill", "kill-all", "ENOSPC", "EIO")
CRASHES = ("segfault", "exit 0", "hang", "garbage on the pipe")
BY_HAND = "by hand: {name}\n"


def scenarios() -> Iterator[Scenario]:
    for number, at in enumerate(range(1, KILLS["supervisor"] + 1, STEP)):
        action = ACTIONS[number % len(ACTIONS)]
        yield Scenario(
            name=f"foreign files, {action} at write {at}",
            play=partial(_struck, action, at),
            short=at in (41, 69),
        )
    for kind, phase in product(CRASHES, ("first", "answer")):
        yield Scenario(
            name=f"foreign files, {kind} in a worker ({phase})",
            play=partial(_crashed, kind, phase),
        )
    yield Scenario(name="foreign files, two jobs at once", play=_two_jobs, short=True)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    content: bytes
    mode: int
    time: int
    inode: int


def _seen(path: Path) -> _Seen | None:
    try:
        found = path.stat()
        return _Seen(
            content=path.read_bytes(),
            mode=found.st_mode,
            time=found.st_mtime_ns,
            inode=found.st_ino,
        )
    except OSError:
        return None


@dataclass(kw_only=True)
class Planted:
    """Files of a person among those of a job."""

    job: Job
    files: dict[Path, _Seen | None] = field(default_factory=dict)
    ours: dict[str, bytes] = field(default_factory=dict)
    """Extension → the job's content of a file before it was edited."""

    def plant(self, name: str, mode: int = 0o640) -> None:
        """Put a file there that was made by hand."""
        self.job.out.mkdir(parents=True, exist_ok=True)
        path = self.job.out / name
        path.write_text(BY_HAND.format(name=name), encoding="utf-8")
        path.chmod(mode)
        self.files[path] = _seen(path)

    def edit(self, extension: str) -> None:
        """Correct an output in place, as an editor does; do nothing if there is none."""
        path = self.job.out / f"{self.job.media.stem}.{extension}"
        if path.is_file() and path not in self.files:
            self.ours[extension] = path.read_bytes()
            path.write_bytes(self.ours[extension] + b"corrected\n")
            self.files[path] = _seen(path)

    @property
    def changed(self) -> list[Path]:
        return [path for path, before in self.files.items() if _seen(path) != before]

    def outputs(self) -> Mapping[str, bytes]:
        """Return what the job wrote, wherever it went; what it did not write again, as it was."""
        found = dict(self.ours)
        for extension in ("srt", "json"):
            for name in aside_names(self.job.media.stem, extension):
                path = self.job.out / name
                if path.is_file() and path not in self.files:
                    found[extension] = path.read_bytes()
                    break
        return found


def _around(name: str, stage: Stage, first: Callable[[Job], Report]) -> None:
    """Plant files, let a run go wrong, edit what it left, and go on."""
    planted = Planted(job=stage.job(SMALL))
    stem = planted.job.media.stem
    for file in (f"{stem}.srt", f"{stem}.new.json", f"{stem}.txt", "notes.srt"):
        planted.plant(file)
    first(planted.job)
    planted.edit("json")
    report = run(planted.job)
    _settle(name, stage, planted, report)
    # Once more on the finished job: nothing is left to do, and nothing gathers.
    names = {path.name for path in planted.job.out.iterdir()}
    _settle(name, stage, planted, run(planted.job))
    more = {path.name for path in planted.job.out.iterdir()} - names
    if more:
        stage.complain(name, f"another run left more files: {sorted(more)}")


def _settle(name: str, stage: Stage, planted: Planted, report: Report) -> None:
    stage.foreign(name, len(planted.files), planted.changed)
    if report.status != 0:
        stage.complain(name, f"status {report.status}: {report.error}")
        return
    stage.settle(name, replace(report, outputs=planted.outputs()), stage.calm(SMALL))


def _struck(action: str, at: int, stage: Stage) -> None:
    name = f"foreign files, {action} at write {at}"

    def first(job: Job) -> Report:
        report = run(job, at=at, action=action)
        if any(note.name == "sabotage" for note in report.notes):
            stage.struck("a fault among foreign files")
        return report

    _around(name, stage, first)


def _crashed(kind: str, phase: str, stage: Stage) -> None:
    name = f"foreign files, {kind} in a worker ({phase})"
    stage.struck("a fault among foreign files")
    _around(name, stage, lambda job: run(job, Fault(kind=kind, phase=phase, chunk=1)))


def _two_jobs(stage: Stage) -> None:
    """Each job's outputs are foreign to the other, which comes upon them in one place."""
    name = "foreign files, two jobs at once"
    job = stage.job(SMALL, "--no-word-timestamps")
    stage.struck("two jobs with one place")
    one = run(job)
    planted = Planted(job=stage.job(SMALL, "--job-dir", str(job.out / "two")))
    planted.job = replace(planted.job, folder=job.folder)
    for extension in ("srt", "json"):
        path = job.out / f"{job.media.stem}.{extension}"
        planted.files[path] = _seen(path)
    report = run(planted.job)
    if one.status != 0 or report.status != 0:
        stage.complain(name, f"status {one.status}, {report.status}: {one.error}{report.error}")
    stage.foreign(name, len(planted.files), planted.changed)
    calm = stage.calm(SMALL)
    for extension, content in planted.outputs().items():
        # Some formats may say the same with and without word times: then there is one file.
        if content != calm.outputs[extension]:
            stage.complain(name, f"the second job's {extension} differs from the calm run's")
