"""Reading a glossary: bytes in, terms out. The file itself is read elsewhere.

The file's ending says which form it has:

* `.json`, `.yaml`, `.yml`: objects (`glossary_objects.py`);
* subtitles, `.srt` and others: the names in them (`glossary_subtitles.py`);
* any other: a table if its first line is a table's header (`glossary_tables.py`),
  else lines (`glossary_lines.py`).

Each form yields entries; here they are joined, and checked against one another
(`glossary_checks.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from longscribe.core.bias.glossary_cells import FOREVER, LONGEST_TERM, Entry, Place
from longscribe.core.bias.glossary_checks import Joined, refuse_contradictions
from longscribe.core.bias.glossary_lines import line_entries
from longscribe.core.bias.glossary_tables import COLUMNS, delimiter_of, table_entries
from longscribe.core.composed import composed, composed_term
from longscribe.errors import GlossaryError
from longscribe.types import Glossary, Term

__all__ = ["COLUMNS", "FOREVER", "LARGEST_FILE", "LONGEST_TERM", "MOST_TERMS", "parse_glossary"]

MOST_TERMS = 100_000
"""Of terms, and of anti-terms. More is a dictionary, not a glossary."""
LARGEST_FILE = 64 * 2**20
"""Bytes. A larger file is no glossary."""
SUBTITLES = {
    ".srt": "srt",
    ".vtt": "vtt",
    ".ass": "ass",
    ".ssa": "ssa",
    ".sub": "microdvd",
    ".ttml": "ttml",
    ".sami": "sami",
    ".smi": "sami",
}
"""Ending → form of subtitles, as pysubs2 calls it."""

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_T = TypeVar("_T")


def parse_glossary(data: bytes, name: str, *, may_be_empty: bool = False) -> Glossary:
    """Return the glossary written in a file.

    Args:
        data: what is in the file.
        name: of the file, for its form and for messages.
        may_be_empty: whether it need not hold a term yet, as a file of learnt terms.

    Raises:
        GlossaryError: with file and line or entry, what was found and what was expected.
    """
    if len(data) > LARGEST_FILE:
        raise GlossaryError(
            f"{name} is larger than {LARGEST_FILE >> 20} MiB.", "Is it really a glossary?"
        )
    ending = name.lower()[name.rfind(".") :] if "." in name else ""
    text = _decoded(data, name, utf16=ending in SUBTITLES)
    glossary = _joined(_entries(text, name, ending))
    if not (glossary.terms or glossary.never or may_be_empty):
        # The run would be one without a glossary, and nobody would know.
        raise GlossaryError(
            f"{name} holds no terms." if text.strip() else f"{name} is empty.",
            "Write the terms into it, or leave out the glossary.",
        )
    return glossary


def _entries(text: str, name: str, ending: str) -> Iterable[Entry]:
    # Imported where they are wanted: their libraries take longer to load than most lists to read.
    if ending in SUBTITLES:
        from longscribe.core.bias.glossary_subtitles import subtitle_entries  # noqa: PLC0415

        return subtitle_entries(text, name, SUBTITLES[ending])
    if ending in {".json", ".yaml", ".yml"}:
        from longscribe.core.bias.glossary_objects import object_entries  # noqa: PLC0415
        from longscribe.core.bias.glossary_trees import json_tree, yaml_tree  # noqa: PLC0415

        tree = json_tree(text, name) if ending == ".json" else yaml_tree(text, name)
        return object_entries(tree, name)
    lines = text.splitlines()
    delimiter = delimiter_of(lines, name)
    return table_entries(lines, name, delimiter) if delimiter else line_entries(lines, name)


def _decoded(data: bytes, name: str, *, utf16: bool) -> str:
    is_utf16 = utf16 and data.startswith(_UTF16_MARKS)
    encoding = "utf-16" if is_utf16 else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if is_utf16:
            raise GlossaryError(
                f"{name} begins as UTF-16 and is none (byte {error.start}).",
                "Save the file as UTF-8.",
            ) from None
        line = data[: error.start].count(b"\n") + 1
        raise Place(name=name, where=f"line {line}").wrong(
            f"byte 0x{data[error.start]:02x} is not UTF-8", "Save the file as UTF-8."
        ) from None
    if "\x00" in text:
        raise GlossaryError(f"{name} is not a text file.", "A glossary is text; save it as UTF-8.")
    return composed(text)


# --- joining -----------------------------------------------------------------


def _joined(entries: Iterable[Entry]) -> Glossary:
    """Join the entries of one term, in the order of their first."""
    found: dict[str, list[Entry]] = {}
    never: dict[str, Entry] = {}
    for entry in map(_composed, entries):
        if entry.term is not None:
            # Not `casefold`, which takes *Maße* and *Masse* for one.
            found.setdefault(entry.term.text.lower(), []).append(entry)
        for word in entry.never:
            never.setdefault(word, entry)
        if max(len(found), len(never)) > MOST_TERMS:
            raise entry.place.wrong(
                f"more than {MOST_TERMS:,} terms", "Leave out what isn't said in this recording."
            )
    joined = [
        Joined(term=_one([each.term for each in same if each.term]), entries=tuple(same))
        for same in found.values()
    ]
    refuse_contradictions(joined, never)
    return Glossary(terms=tuple(each.term for each in joined), never=tuple(never))


def _composed(entry: Entry) -> Entry:
    """Return an entry in composed characters: escapes in JSON and YAML hid what was not."""
    term = None if entry.term is None else composed_term(entry.term)
    return replace(entry, term=term, never=tuple(map(composed, entry.never)))


def _one(rows: list[Term]) -> Term:
    """Return the term that several entries of one text describe, spelt as the first has it.

    What limits it is lifted by an entry without that limit; the heaviest weight counts.
    """
    if len(rows) == 1:
        return rows[0]
    everywhere = any(not row.ranges for row in rows)
    always = any(not row.languages for row in rows)
    return Term(
        text=rows[0].text,
        aliases=tuple(
            alias for alias in _once(row.aliases for row in rows) if alias != rows[0].text
        ),
        never=_once(row.never for row in rows),
        weight=max(row.weight for row in rows),
        ranges=() if everywhere else _once(row.ranges for row in rows),
        languages=() if always else _once(row.languages for row in rows),
        inflect=all(row.inflect for row in rows),
        note=next((row.note for row in rows if row.note), ""),
    )


def _once(parts: Iterable[tuple[_T, ...]]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(parts)))
