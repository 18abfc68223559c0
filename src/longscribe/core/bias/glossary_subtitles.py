"""Subtitles as a glossary: the names in them, each for the time around its cues."""

from __future__ import annotations

import html
import re
import unicodedata
import warnings
from collections.abc import Iterator

import pysubs2

from longscribe.core.bias.glossary_cells import Entry, Place
from longscribe.core.bias.subtitle_terms import names
from longscribe.errors import GlossaryError
from longscribe.types import Cue

LATEST_MS = 10 * 366 * 24 * 3600 * 1000
"""Times past this are no times."""

_WORD_TIME = re.compile(r"<[\d:.]+>")
"""Within a cue of WebVTT. Two of them in a line look like the times of a cue."""
_ANY_ENTITY = re.compile(r"<!\s*(?:ENTITY|DOCTYPE)", re.IGNORECASE)
_BLANK_LINE = re.compile(r"\n\s*\n")


def subtitle_entries(text: str, name: str, form: str) -> Iterator[Entry]:
    """Yield an entry for each name.

    Raises:
        GlossaryError: there is no subtitle, or no name in them.
    """
    cues = subtitle_cues(text, name, form)
    found = names(cues)
    if not found:
        raise GlossaryError(
            f"{name}: no names stand out in its {len(cues)} subtitles.",
            "Names are told by capital letters within sentences; write them one a line instead.",
        )
    for term in found:
        yield Entry(place=Place(name=name, where=f"name {term.text!r}"), term=term)


def subtitle_cues(text: str, name: str, form: str) -> list[Cue]:
    """Return the spoken cues of subtitles, without markup, in the order of their times."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if form == "vtt":
        text = _WORD_TIME.sub("", text)
    if form == "ttml" and _ANY_ENTITY.search(text):
        raise GlossaryError(f"{name} declares entities of XML.", "Save it as SRT.")
    try:
        with warnings.catch_warnings(action="ignore"):  # about colours and the like
            events = pysubs2.SSAFile.from_string(text, form).get_text_events()
    except pysubs2.UnknownFPSError:
        raise GlossaryError(
            f"{name} counts its times in frames and does not say how long one is.",
            "Save it as SRT.",
        ) from None
    except Exception as error:  # noqa: BLE001 - on bad files its parsers raise whatever happens
        what = f"{type(error).__name__}: {error}"[:200]
        raise GlossaryError(
            f"{name} can't be read as subtitles ({what}).", "Save it as SRT, in UTF-8."
        ) from None
    if not events:
        raise GlossaryError(
            f"{name} holds no subtitle that can be read.", "Is its ending that of its form?"
        )
    cues = [
        Cue(
            start_ms=_clipped(event.start),
            end_ms=max(_clipped(event.start), _clipped(event.end)),
            lines=tuple(_lines(event.plaintext, form)),
        )
        for event in events
    ]
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))


def _clipped(ms: float) -> int:
    return int(min(max(ms, 0), LATEST_MS))


def _lines(text: str, form: str) -> Iterator[str]:
    if form == "vtt":
        # What follows a blank line is the next cue's name, or a note.
        text = _BLANK_LINE.split(text, maxsplit=1)[0]
    for line in unicodedata.normalize("NFC", html.unescape(text)).splitlines():
        if line.strip():
            yield line.strip()
