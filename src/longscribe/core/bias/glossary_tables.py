"""The form of tables: CSV or TSV with a header, of whose columns only `term` is needed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from longscribe.core.bias.glossary_cells import (
    Entry,
    Place,
    is_noise,
    languages,
    refuse_mark,
    spellings,
    term_entry,
    term_text,
    tidied,
    time_range,
    weight,
    yes_or_no,
)
from longscribe.types import Term

COLUMNS = ("term", "aliases", "never", "weight", "start", "end", "languages", "inflect", "note")

_EXAMPLE = "term,aliases,weight,start,end"


def delimiter_of(lines: list[str], name: str) -> str | None:
    """Return the table's delimiter, or None if `lines` are no table."""
    header = next(filter(_may_be_header, lines), "")
    if header.strip().strip('"').lower() == "term":
        return {".csv": ",", ".tsv": "\t"}.get(name.lower()[-4:])
    for delimiter in ("\t", ",", ";"):
        cells = [cell.strip().strip('"').lower() for cell in header.split(delimiter)]
        if "term" in cells and len(cells) > 1:
            return delimiter
    if name.lower().endswith((".csv", ".tsv")) and header:
        line = lines.index(header) + 1
        raise Place(name=name, where=f"line {line}").wrong(
            f"the table begins with {header.strip()[:60]!r} and has no column 'term'",
            f"Begin it with a header such as: {_EXAMPLE}",
        )
    return None


def _may_be_header(line: str) -> bool:
    # Above a table there are no terms: whatever begins with `#` is a comment.
    return bool(line.strip()) and not line.lstrip().startswith("#")


@dataclass(kw_only=True)
class _Lines:
    """The lines of a table as the reader of CSV needs them, its comments blanked.

    They are blanked, not dropped, so that the reader's line numbers stay those of the file.
    """

    lines: Iterator[str]
    is_above: bool = True
    """Whether the header is still to come."""
    begins: bool = True
    """Whether the next line begins a row. Within quotes one goes on, and nothing is a comment."""

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        if self.begins:
            is_comment = not _may_be_header(line) if self.is_above else is_noise(line)
            line = "" if is_comment else line
            self.begins = False
        return line + "\n"  # within quotes, it parts words


def table_entries(lines: list[str], name: str, delimiter: str) -> Iterator[Entry]:
    """Yield what each row says. `lines` are all of the file's, for their numbers."""
    source = _Lines(lines=iter(lines))
    rows = csv.reader(source, delimiter=delimiter, strict=True)
    columns: dict[str, int] | None = None
    try:
        for row in rows:
            source.begins = True
            place = Place(name=name, where=f"line {rows.line_num}")
            if not any(cell.strip() for cell in row):
                continue
            if columns is None:
                columns = _columns(row, place)
                source.is_above = False
            else:
                yield _row(row, columns, place)
    except csv.Error as error:
        raise Place(name=name, where=f"line {rows.line_num}").wrong(
            str(error), "Check the quotes."
        ) from None


def _columns(header: list[str], place: Place) -> dict[str, int]:
    names = [cell.strip().lower() for cell in header]
    for cell in names:
        if cell not in COLUMNS:
            raise place.wrong(f"unknown column {cell!r}", f"Known are: {', '.join(COLUMNS)}.")
        if names.count(cell) > 1:
            raise place.wrong(f"column {cell!r} stands twice", "Name each column once.")
    return {cell: index for index, cell in enumerate(names)}


def _row(row: list[str], columns: dict[str, int], place: Place) -> Entry:
    if len(row) > len(columns):
        raise place.wrong(
            f"{len(row)} cells, but the header names {len(columns)} columns",
            "Put cells that hold the delimiter in double quotes.",
        )
    cells = dict.fromkeys(COLUMNS, "") | {
        name: row[index].strip() for name, index in columns.items() if index < len(row)
    }
    never = spellings(cells["never"].split(";"), place)
    if never and not cells["term"]:
        return _anti_terms(never, cells, place)
    refuse_mark(cells["term"], place)
    return term_entry(
        Term(
            text=term_text(cells["term"], place),
            aliases=spellings(cells["aliases"].split(";"), place),
            never=never,
            weight=weight(cells["weight"], place),
            ranges=time_range(cells["start"], cells["end"], place),
            languages=languages([cells["languages"]], place),
            inflect=yes_or_no(cells["inflect"], place),
            note=tidied(cells["note"], place),
        ),
        place,
    )


def _anti_terms(never: tuple[str, ...], cells: dict[str, str], place: Place) -> Entry:
    for name, cell in cells.items():
        if cell and name not in {"never", "note"}:
            raise place.wrong(
                f"a row of anti-terms, which hold everywhere, has {name} {cell[:60]!r}",
                "Name the term, or empty the cell.",
            )
    return Entry(place=place, never=never)
