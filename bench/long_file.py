"""Does memory grow with the file, and how soon is there something to read?

    python bench/long_file.py --minutes 10 60

Makes media of these lengths from the demo's sample, transcribes each with
Longscribe and with its peer (faster-whisper's `BatchedInferencePipeline`: same
model, batch size, beam and word times), each in a process of its own, and prints
for each file the peak memory of the whole process tree, when the first subtitle
was on disk and how much of the file had been read by then, and the speed.

Exits 1 if Longscribe's peak for the longest file is more than 10 % above that
for the shortest, if a tenth of the longest had been read before the first
subtitle was on disk, or if a run failed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from _common import MEBIBYTE, ROOT, SAMPLE_RATE, Run, make_long_file, memory_kind, run_sampled
from rich.console import Console
from rich.table import Table

MOST_GROWTH = 1.10
"""Peak memory for the longest file against the shortest."""
MOST_READ = 0.10
"""Share of the file read when the first subtitle is on disk."""
LEAST_SHOWN = 20
"""Smallest process shown for itself, in MiB."""
BYTES_PER_SECOND = 2 * SAMPLE_RATE

_CUE = re.compile(r"([\d:,]+) --> ([\d:,]+)[^\n]*\n(?!\[not transcribed)")
_SPOKEN = re.compile(r"[A-Za-z']+")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One file, to be transcribed by one tool."""

    tool: str
    minutes: float
    media: Path
    folder: Path
    """Fresh; everything the tool writes goes there."""

    @property
    def subtitles(self) -> Path:
        return self.folder / f"{self.media.stem}.srt"


@dataclass(kw_only=True)
class FirstCue:
    """Watches for the first subtitle on disk; kept once it is there."""

    subtitles: Path
    read_so_far: Callable[[], float]
    """Seconds of media the tool has read by now."""
    seconds: float | None = None
    """From the start of the run."""
    covers: float = 0.0
    """Seconds of media the subtitles on disk covered then."""
    read: float = 0.0
    """Seconds of media read by then, at most: asked after the subtitle was seen."""

    def __call__(self, seconds: float) -> None:
        if self.seconds is not None:
            return
        try:
            cues = _CUE.findall(self.subtitles.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        if cues:
            self.read = self.read_so_far()
            self.seconds, self.covers = seconds, _seconds(cues[-1][1])


@dataclass(frozen=True, kw_only=True)
class Outcome:
    case: Case
    run: Run
    first: FirstCue
    words: int = field(default=0)
    """Words in the subtitles: a tool that skips speech would look fast."""


def _seconds(stamp: str) -> float:
    """Return an SRT time (`00:01:02,345`) in seconds."""
    hours, minutes, rest = stamp.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest.replace(",", "."))


# --- the two tools -----------------------------------------------------------


def longscribe(case: Case, given: argparse.Namespace) -> tuple[list[str], Callable[[], float]]:
    """Return Longscribe's command for `case`, and how to ask how much it has read."""
    spool = case.folder / f"{case.media.stem}.longscribe" / "audio.s16"

    def read_so_far() -> float:
        # The spool is removed when the job is done: everything has been read then.
        size = spool.stat().st_size if spool.exists() else case.minutes * 60 * BYTES_PER_SECOND
        return size / BYTES_PER_SECOND

    command = [sys.executable, "-m", "longscribe", "transcribe", str(case.media)]
    command += ["--model", str(given.model), "--device", "cpu", "--compute-type", "int8"]
    command += ["--batch-size", str(given.batch_size), "--beam-size", str(given.beam_size)]
    command += ["--language", "en", "--chunking", "on", "--output-dir", str(case.folder)]
    return command, read_so_far


def faster_whisper(case: Case, given: argparse.Namespace) -> tuple[list[str], Callable[[], float]]:
    """Return the peer's command for `case`, and how to ask how much it has read."""
    command = [sys.executable, str(Path(__file__).resolve()), "--peer", str(case.media)]
    command += ["--model", str(given.model), "--folder", str(case.folder)]
    command += ["--batch-size", str(given.batch_size), "--beam-size", str(given.beam_size)]
    # It decodes the whole file to memory before anything else.
    return command, lambda: case.minutes * 60


TOOLS = {"longscribe": longscribe, "faster-whisper": faster_whisper}


def be_the_peer(given: argparse.Namespace) -> None:
    """Transcribe one file with faster-whisper, writing each subtitle as soon as it is there."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel  # noqa: PLC0415

    model = WhisperModel(str(given.model), device="cpu", compute_type="int8")
    segments, _ = BatchedInferencePipeline(model).transcribe(
        str(given.peer),
        language="en",
        batch_size=given.batch_size,
        beam_size=given.beam_size,
        without_timestamps=False,
        word_timestamps=True,
    )
    path = given.folder / f"{given.peer.stem}.srt"
    with path.open("w", encoding="utf-8", buffering=1) as file:
        for number, segment in enumerate(segments, start=1):
            times = f"{_stamp(segment.start)} --> {_stamp(segment.end)}"
            file.write(f"{number}\n{times}\n{segment.text.strip()}\n\n")


def _stamp(seconds: float) -> str:
    """Return `seconds` as an SRT time."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"


# --- running and showing -----------------------------------------------------


def measure(case: Case, given: argparse.Namespace) -> Outcome:
    """Transcribe `case` in a fresh folder and return what was seen."""
    case.folder.mkdir(parents=True)
    command, read_so_far = TOOLS[case.tool](case, given)
    first = FirstCue(subtitles=case.subtitles, read_so_far=read_so_far)
    log = case.folder / "log.txt"
    run = run_sampled(command, log=log, interval=given.interval, watch=first)
    words = 0
    if case.subtitles.exists():
        lines = case.subtitles.read_text(encoding="utf-8").splitlines()
        words = sum(len(_SPOKEN.findall(line)) for line in lines if " --> " not in line)
    return Outcome(case=case, run=run, first=first, words=words)


def table(outcomes: list[Outcome]) -> Table:
    rows = Table(title="Long files", title_justify="left")
    for heading in (
        "tool",
        "media",
        f"peak memory\n({memory_kind()})",
        "of it own\n(no file)",
        "each process\nat its highest",
        "time",
        "speed",
        "first subtitle\non disk after",
        "subtitles then\nreached",
        "read by then\n(at most)",
        "words",
    ):
        rows.add_column(heading, justify="left" if heading == "tool" else "right")
    for outcome in outcomes:
        rows.add_row(*_cells(outcome))
    return rows


def _cells(outcome: Outcome) -> tuple[str, ...]:
    run, first, media = outcome.run, outcome.first, outcome.case.minutes * 60
    shown = first.seconds is not None
    return (
        outcome.case.tool if run.status == 0 else f"{outcome.case.tool} (status {run.status})",
        f"{outcome.case.minutes:g} min",
        f"{run.peak.total / MEBIBYTE:.0f} MiB",
        f"{run.peak.own / MEBIBYTE:.0f} MiB",
        _each(run),
        f"{run.seconds:.1f} s",
        f"{media / run.seconds:.1f} x",
        f"{first.seconds:.1f} s" if shown else "never",
        f"{first.covers:.0f} s" if shown else "-",
        f"{first.read:.0f} s ({first.read / media:.1%})" if shown else "-",
        str(outcome.words),
    )


def _each(run: Run) -> str:
    """Return the highest resident sets, in MiB; small helpers are left out."""
    sizes = sorted((round(size / MEBIBYTE) for size in run.peak.highest.values()), reverse=True)
    return " + ".join(str(size) for size in sizes if size >= LEAST_SHOWN)


def growth(outcomes: list[Outcome], tool: str) -> dict[str, float]:
    """Return the peaks of the longest file against those of the shortest.

    The whole tree at one moment is what counts. It can differ although no process
    grew: for a short file the reader may be done before the decoder is at its
    highest. The sum of each process's own highest tells the two apart.
    """
    mine = sorted(
        (each for each in outcomes if each.case.tool == tool), key=lambda each: each.case.minutes
    )
    low, high = mine[0].run.peak, mine[-1].run.peak
    return {
        "the tree at one moment": high.total / low.total,
        "of it own": high.own / low.own,
        "each process at its highest, summed": sum(high.highest.values())
        / sum(low.highest.values()),
    }


def shortcomings(outcomes: list[Outcome]) -> list[str]:
    """Return what is not as it should be, as sentences."""
    found = [
        f"{each.case.tool} ended with status {each.run.status} on {each.case.media.name}, "
        f"see {each.case.folder / 'log.txt'} (kept with --keep)"
        for each in outcomes
        if each.run.status
    ]
    mine = [each for each in outcomes if each.case.tool == "longscribe"]
    if not mine:
        return found
    longest = max(mine, key=lambda each: each.case.minutes)
    ratio = growth(outcomes, "longscribe")["the tree at one moment"]
    if ratio > MOST_GROWTH:
        found.append(f"memory grew {ratio:.2f} times with the file, wanted at most {MOST_GROWTH}")
    share = longest.first.read / (longest.case.minutes * 60)
    if longest.first.seconds is None or share >= MOST_READ:
        found.append(
            f"{share:.1%} was read before the first subtitle, wanted under {MOST_READ:.0%}"
        )
    return found


def bench(given: argparse.Namespace, folder: Path, console: Console) -> int:
    outcomes = []
    for minutes in sorted(given.minutes):
        media = folder / f"sample-{minutes:g}min.flac"
        console.print(f"making {media.name} …")
        make_long_file(media, minutes)
        for tool in given.tools:
            console.print(f"{tool} on {media.name} …")
            case = Case(tool=tool, minutes=minutes, media=media, folder=folder / tool / media.stem)
            outcomes.append(measure(case, given))
    console.print(table(outcomes))
    for tool in given.tools:
        ratios = ", ".join(f"{name} {ratio:.2f}" for name, ratio in growth(outcomes, tool).items())
        console.print(f"{tool}: memory for the longest file against the shortest: {ratios}")
    kind = "each shared page counted once" if memory_kind() == "PSS" else "shared pages left out"
    console.print(f"Memory is the {memory_kind()} of all processes together, {kind}.")
    found = shortcomings(outcomes)
    for sentence in found:
        console.print(f"Not as it should be: {sentence}.", style="bold red", soft_wrap=True)
    return 1 if found else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60], metavar="N")
    parser.add_argument("--model", type=Path, default=ROOT / "demo" / "model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--interval", type=float, default=0.1, help="seconds between readings")
    parser.add_argument("--keep", action="store_true", help="keep the media and the outputs")
    parser.add_argument("--peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.model = given.model.resolve()
    if given.peer:
        be_the_peer(given)
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    folder = Path(tempfile.mkdtemp(prefix="longscribe-bench-"))
    try:
        return bench(given, folder, console)
    finally:
        if given.keep:
            console.print(f"kept: {folder}", soft_wrap=True)
        else:
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
