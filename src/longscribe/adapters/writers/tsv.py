"""Tab-separated values (`.tsv`), as openai/whisper writes them.

A header, then `start`, `end` (integer milliseconds) and `text` of each segment
and each gap. White space in the text is single spaces; nothing is quoted.
"""

from __future__ import annotations

from typing import TextIO

from longscribe.core.cues import gap_text, in_order, one_line, to_ms
from longscribe.ports import TranscriptView
from longscribe.types import Gap


class TsvWriter:
    """Writes one row a segment."""

    extension = "tsv"

    def write(self, view: TranscriptView, out: TextIO) -> None:
        out.write("start\tend\ttext\n")
        for item in in_order(view.segments(), view.gaps()):
            if isinstance(item, Gap):
                span, text = item.span, gap_text(item)
            else:
                span, text = item.span, one_line(item.text)
            if text:
                out.write(f"{to_ms(span.start)}\t{to_ms(span.end)}\t{text}\n")
