"""Reading a glossary: text in, terms out. The file itself is read elsewhere.

Two forms, told apart by the file's ending or by the header of the table:

* lines: `term` or `term | alias; alias`, one a line;
* a table (`.csv`, `.tsv`) with the columns `term`, `aliases`, `weight`, `start`,
  `end`, of which only `term` is needed, in any order. `start` and `end` (seconds
  or `[h:]m:s`) limit the term to a part of the media; a term may have several rows.

Lines that begin with `#` are comments. UTF-8, with or without a byte order mark.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from longscribe.errors import GlossaryError
from longscribe.types import Glossary, Span, Term, to_samples

COLUMNS = ("term", "aliases", "weight", "start", "end")
LONGEST_TERM = 200
"""Characters. A longer line is a sentence or a wrong file, not a term."""
FOREVER = to_samples(10 * 366 * 24 * 3600)
"""Where a range without an end ends."""

_CLOCK = re.compile(r"(?:(?:(\d{1,5}):)?(\d{1,2}):)?(\d{1,8}(?:\.\d{1,9})?)")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where we are, for messages."""

    name: str
    line: int

    def wrong(self, what: str, remedy: str) -> GlossaryError:
        return GlossaryError(f"{self.name}, line {self.line}: {what}.", remedy)


def parse_glossary(data: bytes, name: str) -> Glossary:
    """Return the glossary written in `data`; `name` is the file's name, for its form and messages.

    Raises:
        GlossaryError: with file and line, what was found and what was expected.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _Place(name=name, line=line).wrong(
            f"byte 0x{data[error.start]:02x} is not UTF-8", "Save the glossary as UTF-8."
        ) from None
    if "\x00" in text:
        raise GlossaryError(f"{name} is not a text file.", "A glossary has one term a line.")
    lines = text.splitlines()
    delimiter = _delimiter(lines, name)
    terms = _table(lines, name, delimiter) if delimiter else _lines(lines, name)
    return Glossary(terms=_merged(terms))


def _is_noise(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _delimiter(lines: list[str], name: str) -> str | None:
    """Return the table's delimiter, or None for the simple form."""
    header = next((line for line in lines if not _is_noise(line)), "")
    if header.strip().strip('"').lower() == "term":
        return {".csv": ",", ".tsv": "\t"}.get(name.lower()[-4:])
    for delimiter in ("\t", ",", ";"):
        cells = [cell.strip().strip('"').lower() for cell in header.split(delimiter)]
        if "term" in cells and len(cells) > 1:
            return delimiter
    if name.lower().endswith((".csv", ".tsv")) and header:
        line = lines.index(header) + 1
        raise _Place(name=name, line=line).wrong(
            f"the table begins with {header.strip()[:60]!r} and has no column 'term'",
            f"Begin it with a header such as: {','.join(COLUMNS)}",
        )
    return None


def _lines(lines: list[str], name: str) -> Iterator[Term]:
    for number, line in enumerate(lines, start=1):
        if _is_noise(line):
            continue
        place = _Place(name=name, line=number)
        text, bar, rest = line.partition("|")
        if "|" in rest:
            raise place.wrong(
                "more than one '|'", "Write: term | alias; alias (aliases are parted by ';')."
            )
        if bar and not rest.strip():
            raise place.wrong(
                "nothing follows '|'", "Write: term | alias; alias, or the term alone."
            )
        yield Term(text=_term_text(text, place), aliases=_aliases(rest))


def _table(lines: list[str], name: str, delimiter: str) -> Iterator[Term]:
    # Comments are blanked, not dropped, so that the reader's line numbers stay those of the file.
    rows = csv.reader(
        ("" if _is_noise(line) else line for line in lines), delimiter=delimiter, strict=True
    )
    columns: dict[str, int] | None = None
    try:
        for row in rows:
            place = _Place(name=name, line=rows.line_num)
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _columns(row, place)
            else:
                yield _row(row, columns, place)
    except csv.Error as error:
        raise _Place(name=name, line=rows.line_num).wrong(str(error), "Check the quotes.") from None


def _columns(header: list[str], place: _Place) -> dict[str, int]:
    names = [cell.strip().lower() for cell in header]
    for cell in names:
        if cell not in COLUMNS:
            raise place.wrong(f"unknown column {cell!r}", f"Known are: {', '.join(COLUMNS)}.")
        if names.count(cell) > 1:
            raise place.wrong(f"column {cell!r} stands twice", "Name each column once.")
    return {cell: index for index, cell in enumerate(names)}


def _row(row: list[str], columns: dict[str, int], place: _Place) -> Term:
    if len(row) > len(columns):
        raise place.wrong(
            f"{len(row)} cells, but the header names {len(columns)} columns",
            "Put cells that hold the delimiter in double quotes.",
        )
    cells = {
        name: row[index].strip() if index < len(row) else "" for name, index in columns.items()
    }
    return Term(
        text=_term_text(cells["term"], place),
        aliases=_aliases(cells.get("aliases", "")),
        weight=_weight(cells.get("weight", ""), place),
        ranges=_ranges(cells.get("start", ""), cells.get("end", ""), place),
    )


def _term_text(text: str, place: _Place) -> str:
    text = " ".join(text.split())
    if not text:
        raise place.wrong("the term is empty", "Write the term first.")
    if len(text) > LONGEST_TERM:
        raise place.wrong(
            f"a term of {len(text)} characters (at most {LONGEST_TERM})",
            "Give names, not sentences.",
        )
    return text


def _aliases(cell: str) -> tuple[str, ...]:
    found = (" ".join(alias.split()) for alias in cell.split(";"))
    return tuple(dict.fromkeys(alias for alias in found if alias))


def _weight(cell: str, place: _Place) -> float:
    if not cell:
        return Term.weight
    try:
        weight = float(cell)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise place.wrong(f"weight {cell!r} is not a number over 0", "Leave it empty for 1.")
    return weight


def _ranges(start: str, end: str, place: _Place) -> tuple[Span, ...]:
    if not start and not end:
        return ()
    begin = _time(start, place) if start else 0
    stop = _time(end, place) if end else FOREVER
    if stop <= begin:
        raise place.wrong(f"the end {end!r} is not after the start {start!r}", "Swap them?")
    return (Span(start=begin, end=stop),)


def _time(cell: str, place: _Place) -> int:
    match = _CLOCK.fullmatch(cell)
    if match is None:
        raise place.wrong(f"{cell!r} is not a time", "Write seconds (75.5) or [h:]m:s (1:15.5).")
    hours, minutes, seconds = match.groups()
    return to_samples(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds))


def _merged(terms: Iterator[Term]) -> tuple[Term, ...]:
    """Join the rows of one term, in the order of their first row.

    A row without a range makes the term valid everywhere; the heaviest weight counts.
    """
    merged: dict[str, Term] = {}
    for term in terms:
        known = merged.get(term.text)
        if known is None:
            merged[term.text] = term
            continue
        everywhere = not known.ranges or not term.ranges
        merged[term.text] = replace(
            known,
            aliases=tuple(dict.fromkeys(known.aliases + term.aliases)),
            weight=max(known.weight, term.weight),
            ranges=() if everywhere else known.ranges + term.ranges,
        )
    return tuple(merged.values())
