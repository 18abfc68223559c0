"""The demo: transcribe the sample without and with its glossary, and compare.

Runs the real command line twice on `demo/sample.flac` with the demo model,
prints the transcript with the names marked, then the figures. Exits 0 only if
both runs succeeded and the figures are as good as they should be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from score import Name, find_names, find_words, plain, read_terms, word_error_rate

DEMO = Path(__file__).resolve().parent
SAMPLE = DEMO / "sample.flac"
GLOSSARY = DEMO / "glossary.txt"

MOST_WORDS_WRONG = 0.08
LEAST_NAMES_RIGHT = 0.85
MOST_NAMES_RIGHT_WITHOUT = 0.40
"""Above this the sample would not show what a glossary is for."""

RIGHT, WRONG, CONTRAST = "bold green", "bold red", "dim"
SIGNS = {RIGHT: "*", WRONG: "!"}
"""What stands around a name where colours cannot be seen."""


class DemoError(Exception):
    """A run did not do what it should."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One run of the command line, and how good it was."""

    transcript: dict[str, Any]
    """The JSON it wrote."""
    text: str
    names: list[Name]
    word_error_rate: float

    @property
    def right(self) -> int:
        return sum(name.right for name in self.names)

    @property
    def share_right(self) -> float:
        return self.right / len(self.names)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A name in the transcript, and what stood there without the glossary."""

    name: Name
    contrast: str
    """Empty when it is the same."""


def transcribe(folder: Path, *options: str) -> float:
    """Run the command line on the sample, outputs into `folder`; return the seconds it took.

    Raises:
        DemoError: it did not end with status 0.
    """
    # An earlier run is removed: resuming would skip the work that is to be shown.
    shutil.rmtree(folder, ignore_errors=True)
    # Chunks of a minute, so that even this short sample takes several.
    command = [sys.executable, "-m", "longscribe", "transcribe", str(SAMPLE)]
    command += ["--model", str(DEMO / "model"), "--device", "cpu", "--compute-type", "int8"]
    command += ["--language", "en", "--chunking", "on", "--chunk-duration", "60"]
    command += ["--output-dir", str(folder), *options]
    began = time.monotonic()
    status = subprocess.run(command, check=False).returncode
    if status:
        raise DemoError(f"the transcription ended with status {status}: {' '.join(command)}")
    return time.monotonic() - began


def read_run(folder: Path) -> Scored:
    """Return what a run left in `folder`, scored against the true text.

    Raises:
        DemoError: there is no transcript, or it has gaps.
    """
    path = folder / f"{SAMPLE.stem}.json"
    try:
        transcript = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DemoError(f"the transcription wrote no {path}") from None
    if transcript["gaps"]:
        raise DemoError(f"the transcript has gaps: {transcript['gaps']}")
    reference = SAMPLE.with_suffix(".txt").read_text(encoding="utf-8")
    text = "\n".join(segment["text"] for segment in transcript["segments"])
    return Scored(
        transcript=transcript,
        text=text,
        names=find_names(reference, text, read_terms(GLOSSARY)),
        word_error_rate=word_error_rate(reference, text),
    )


def heard(text: str, name: Name) -> str:
    """Return the words of `text` that stand for `name`, with their capitals."""
    text = plain(text)
    if not name.places:
        return "nothing"
    words = find_words(text)
    return text[words[name.places[0]][0] : words[name.places[-1]][1]]


def marked(words: str, style: str, *, signs: bool) -> Text:
    """Return `words` in `style`, between signs as well where there are no colours to see it by."""
    sign = SIGNS[style] if signs else ""
    return Text(f"{sign}{words}{sign}", style=style)


def marked_transcript(without: Scored, with_glossary: Scored, *, signs: bool) -> Table:
    """Return the transcript with times; behind each name what was written without the glossary."""
    ends: dict[int, Mark] = {}
    for name, before in zip(with_glossary.names, without.names, strict=True):
        if name.places:
            contrast = "" if before.right else heard(without.text, before)
            if contrast.casefold() == name.heard:
                contrast = ""
            ends[name.places[-1]] = Mark(name=name, contrast=contrast)
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 0))
    table.add_column(style="cyan", justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    first = 0
    for segment in with_glossary.transcript["segments"]:
        line = plain(segment["text"].strip())
        count = len(find_words(line))
        marks = {last - first: ends[last] for last in range(first, first + count) if last in ends}
        table.add_row(clock(segment["start"]), marked_line(line, marks, signs=signs))
        first += count
    return table


def marked_line(line: str, marks: dict[int, Mark], *, signs: bool) -> Text:
    """Return `line` with its names marked. `marks` has them by the index of their last word."""
    words = find_words(line)
    text, written = Text(), 0
    for last, mark in sorted(marks.items()):
        name = mark.name
        begin = words[max(0, last + 1 - len(name.places))][0]
        end = words[last][1]
        text.append(line[written:begin])
        text.append(marked(line[begin:end], RIGHT if name.right else WRONG, signs=signs))
        if mark.contrast:
            text.append(f" ({mark.contrast})", style=CONTRAST)
        written = end
    return text.append(line[written:])


def clock(seconds: float) -> str:
    """Return `seconds` as minutes and seconds."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def figures(without: Scored, with_glossary: Scored) -> Table:
    table = Table(title="What the glossary does", title_justify="left")
    table.add_column("")
    for heading in ("without", "with glossary", "wanted"):
        table.add_column(heading, justify="right")
    table.add_row(
        "names right",
        f"{without.right} of {len(without.names)} ({without.share_right:.0%})",
        f"{with_glossary.right} of {len(with_glossary.names)} ({with_glossary.share_right:.0%})",
        f"under {MOST_NAMES_RIGHT_WITHOUT:.0%}, at least {LEAST_NAMES_RIGHT:.0%}",
    )
    table.add_row(
        "word error rate",
        f"{without.word_error_rate:.1%}",
        f"{with_glossary.word_error_rate:.1%}",
        f"at most {MOST_WORDS_WRONG:.0%} with",
    )
    return table


def shortcomings(without: Scored, with_glossary: Scored) -> list[str]:
    """Return which figures are not as they should be, as sentences."""
    found = []
    if with_glossary.share_right < LEAST_NAMES_RIGHT:
        found.append(
            f"with the glossary {with_glossary.share_right:.1%} of the names are right, "
            f"wanted at least {LEAST_NAMES_RIGHT:.0%}"
        )
    if with_glossary.word_error_rate > MOST_WORDS_WRONG:
        found.append(
            f"with the glossary the word error rate is {with_glossary.word_error_rate:.1%}, "
            f"wanted at most {MOST_WORDS_WRONG:.0%}"
        )
    if without.share_right >= MOST_NAMES_RIGHT_WITHOUT:
        found.append(
            f"without the glossary {without.share_right:.1%} of the names are right already, "
            f"wanted under {MOST_NAMES_RIGHT_WITHOUT:.0%}"
        )
    if not any(window["prompt"]["terms"] for window in with_glossary.transcript["windows"]):
        found.append("no window was given a term of the glossary")
    return found


def show(console: Console, without: Scored, with_glossary: Scored) -> None:
    """Print the transcript and the figures."""
    windows = with_glossary.transcript["windows"]
    terms = max((len(window["prompt"]["terms"]) for window in windows), default=0)
    signs = console.color_system is None
    console.print()
    console.print(
        Text.assemble(
            ("The transcript, with the glossary. ", "bold"),
            marked("Names as the glossary spells them", RIGHT, signs=signs),
            ", ",
            marked("names that are wrong", WRONG, signs=signs),
            ", and ",
            ("(what is written without the glossary)", CONTRAST),
            ".",
        )
    )
    console.print()
    console.print(marked_transcript(without, with_glossary, signs=signs))
    console.print()
    console.print(figures(without, with_glossary))
    console.print(
        f"{len(windows)} windows were decoded, each with its own prompt of up to {terms} terms."
    )


def show_files(console: Console, folders: tuple[Path, ...]) -> None:
    """Print where the outputs are."""
    for folder in folders:
        files = sorted(path.name for path in folder.glob(f"{SAMPLE.stem}.*") if path.is_file())
        console.print(escape(f"{_short(folder)}/: {', '.join(files)}"), soft_wrap=True)


def _short(path: Path) -> Path:
    """Return `path` from where the user stands, if it lies below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--output-dir", type=Path, default=DEMO / "out", help="default: demo/out")
    parser.add_argument(
        "--again", action="store_true", help="show the last run, transcribe nothing"
    )
    given = parser.parse_args()
    console = Console(highlight=False)
    folders = (given.output_dir / "without-glossary", given.output_dir / "with-glossary")
    try:
        if not given.again:
            console.print("Transcribing the sample without a glossary …")
            transcribe(folders[0])
            console.print(f"Transcribing it with {_short(GLOSSARY)} …")
            seconds = transcribe(folders[1], "--glossary", str(GLOSSARY))
            console.print(f"The second run took {seconds:.0f} s, loading the model included.")
        without, with_glossary = (read_run(folder) for folder in folders)
    except DemoError as error:
        Console(stderr=True).print(f"[bold red]demo:[/] {escape(str(error))}", soft_wrap=True)
        return 1
    show(console, without, with_glossary)
    show_files(console, folders)
    found = shortcomings(without, with_glossary)
    for sentence in found:
        console.print(f"[bold red]Not as it should be:[/] {sentence}.", soft_wrap=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
