"""Glossaries for a recording: its true terms, names that nobody says, and times or none."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .recordings import NON_SPEECH, WRONG_TIME, Line, Recording

Times = Literal["none", "noisy", "oracle"]
Range = tuple[float, float]

MARGIN = 5.0
"""Seconds that exact times reach over their scene."""
JITTER = 60.0
"""Most seconds by which noisy times are off."""
WRONG_SCENE = 0.2
"""Share of noisy times that are those of the scene before or after."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A term and when it is listed for; no ranges mean any time."""

    term: str
    ranges: tuple[Range, ...] = ()


def glossary_for(
    recording: Recording, distractors: int, times: Times, rng: random.Random | None = None
) -> list[Entry]:
    """Return the true terms of `recording` and as many others, half near and half random, mixed.

    A longer list holds the shorter ones. Terms that are listed for the wrong time have their wrong
    time whenever there are times; without times the reference's clock is not looked at.
    """
    rng = rng or random.Random(f"{recording.seed}|glossary")
    others = _others(recording, distractors)
    order = [term.text for term in recording.terms] + list(others)
    rng.shuffle(order)
    if times == "none":
        return [Entry(term=text) for text in order]
    kinds = {term.text: term for term in recording.terms}
    speech = [i for i, b in enumerate(recording.blocks) if b.stratum not in NON_SPEECH]
    entries = []
    for text in order:
        term = kinds.get(text)
        blocks = term.listed_for if term else (rng.choice(speech),)
        exact = times == "oracle" or (term is not None and term.kind == WRONG_TIME)
        ranges = tuple(
            _around(recording, block) if exact else _noisy(recording, block, rng)
            for block in blocks
        )
        entries.append(Entry(term=text, ranges=ranges))
    return entries


def spoken_lines_glossary(recording: Recording) -> list[Entry]:
    """Return the spoken terms, each for exactly the lines in which it is spoken."""
    ranges: dict[str, list[Range]] = {}
    for line in recording.lines:
        for term in line.terms:
            ranges.setdefault(term, []).append((line.start, line.end))
    return [Entry(term=term, ranges=tuple(when)) for term, when in ranges.items()]


def _others(recording: Recording, count: int) -> Sequence[str]:
    near, others = recording.near_others, recording.random_others
    if count > 2 * min(len(near), len(others)):
        raise ValueError(f"{recording.name} has no {count} other names")
    return (*near[: count // 2], *others[: count - count // 2])


def _around(recording: Recording, block: int) -> Range:
    start, end = recording.blocks[block].start, recording.blocks[block].end
    return max(0.0, start - MARGIN), min(recording.duration, end + MARGIN)


def _noisy(recording: Recording, block: int, rng: random.Random) -> Range:
    """Return the time of a neighbour for one in five, else the time, both ends off."""
    if rng.random() < WRONG_SCENE:
        speech = [i for i, b in enumerate(recording.blocks) if b.stratum not in NON_SPEECH]
        place = speech.index(block)
        neighbours = [speech[i] for i in (place - 1, place + 1) if 0 <= i < len(speech)]
        return _around(recording, rng.choice(neighbours))
    start, end = _around(recording, block)
    start = min(max(0.0, start + rng.uniform(-JITTER, JITTER)), recording.duration - 20)
    end = max(min(recording.duration, end + rng.uniform(-JITTER, JITTER)), start + 10)
    return start, end


def write_csv(entries: Sequence[Entry], path: Path) -> Path:
    """Write a glossary as Longscribe reads it; a row for each range."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("term", "aliases", "weight", "start", "end"))
        for entry in entries:
            for start, end in entry.ranges or (("", ""),):
                times = (f"{start:.2f}", f"{end:.2f}") if entry.ranges else ("", "")
                table.writerow((entry.term, "", "", *times))
    return path


def read_terms(path: Path) -> list[str]:
    """Return the terms of a glossary that `write_csv` wrote, each once."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(dict.fromkeys(row["term"] for row in csv.DictReader(file)))


def lines_of(recording: Recording, stratum: str) -> list[Line]:
    """Return the lines of a stratum."""
    return [line for line in recording.lines if line.stratum == stratum]
