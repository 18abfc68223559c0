"""The form of lines: a term a line, `term | alias; !wrong`, under headers of scenes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from longscribe.core.bias.glossary_cells import (
    Entry,
    Place,
    is_noise,
    spellings,
    term_entry,
    term_text,
    time_range,
)
from longscribe.types import Span, Term

_SCENE = re.compile(r"([\d:.]*)\s*[-\u2013\u2014]\s*([\d:.]*)(?:\s+(.*))?")  # any dash will do
_CLOCK_TIME = re.compile(r"\d+:[\d:.]+")  # *1914-1918* may be meant, *12:30-25:00* is not
_EVERYWHERE = {"", "everywhere"}


def line_entries(lines: list[str], name: str) -> Iterator[Entry]:
    """Yield what each line says. `lines` are all of the file's, for their numbers."""
    scene: tuple[Span, ...] = ()
    for number, line in enumerate(lines, start=1):
        if is_noise(line):
            continue
        place = Place(name=name, where=f"line {number}")
        text = line.strip()
        if text.startswith("["):
            scene = _scene(text, place)
        elif text.startswith("!"):
            yield Entry(place=place, never=(_anti_term(text, place),))
        else:
            _refuse_times(text, place)
            yield term_entry(_term(text, scene, place), place)


def _scene(header: str, place: Place) -> tuple[Span, ...]:
    """Return the time to which a header limits the terms after it."""
    remedy = "Write [0:00-12:30] or [0:00-12:30 The harbour], and [everywhere] to end it."
    if not header.endswith("]"):
        raise place.wrong(f"the header {header[:60]!r} does not end with ']'", remedy)
    inner = header[1:-1].strip()
    if inner.lower() in _EVERYWHERE:
        return ()
    match = _SCENE.fullmatch(inner)
    ranges = time_range(match[1], match[2], place) if match else ()
    if not ranges:
        raise place.wrong(f"the header {header[:60]!r} does not begin with two times", remedy)
    return ranges


def _refuse_times(line: str, place: Place) -> None:
    """Refuse the times of a scene without their brackets."""
    match = _SCENE.fullmatch(line)
    # With a name behind, only two times are a slip: *10:30 - Late Show* is a title.
    times = [time for time in match.group(1, 2) if time] if match else []
    if not match or (match[3] and len(times) < 2):
        return
    if any(map(_CLOCK_TIME.fullmatch, times)):
        raise place.wrong(
            f"{line[:60]!r} is a time, not a term",
            f"For the header of a scene write [{line[:60]}], in brackets.",
        )


def _anti_term(line: str, place: Place) -> str:
    if "|" in line:
        raise place.wrong(
            "an anti-term with a '|'", "Write !word alone, or term | !word to have the term there."
        )
    word = line[1:].strip()
    if not word:
        raise place.wrong("nothing follows '!'", "Write !word for what is never to be written.")
    return term_text(word, place)


def _term(line: str, scene: tuple[Span, ...], place: Place) -> Term:
    text, bar, rest = line.partition("|")
    if "|" in rest:
        raise place.wrong(
            "more than one '|'", "Write: term | alias; alias (aliases are parted by ';')."
        )
    if bar and not rest.strip():
        raise place.wrong("nothing follows '|'", "Write: term | alias; alias, or the term alone.")
    cells = [cell.strip() for cell in rest.split(";")]
    if "!" in cells:
        raise place.wrong("nothing follows '!'", "Write: term | alias; !wrong spelling.")
    return Term(
        text=term_text(text, place),
        aliases=spellings((cell for cell in cells if not cell.startswith("!")), place),
        never=spellings((cell[1:] for cell in cells if cell.startswith("!")), place),
        ranges=scene,
    )
