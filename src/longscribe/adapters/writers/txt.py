"""Plain text (`.txt`): one segment a line, as openai/whisper writes it, and one line a gap."""

from __future__ import annotations

from typing import TextIO

from longscribe.core.cues import gap_text, in_order, one_line
from longscribe.ports import TranscriptView
from longscribe.types import Gap


class TxtWriter:
    """Writes the text to be read by a person."""

    extension = "txt"

    def write(self, view: TranscriptView, out: TextIO) -> None:
        for item in in_order(view.segments(), view.gaps()):
            text = gap_text(item) if isinstance(item, Gap) else one_line(item.text)
            if text:
                out.write(text + "\n")
