"""WebVTT (`.vtt`), as https://www.w3.org/TR/webvtt1/ defines it.

Cue text is escaped, so nothing that was said can become a tag or an arrow.
pysubs2 does not write these files: it does not escape, and see `srt.py`.
"""

from __future__ import annotations

from typing import TextIO

from longscribe.adapters.writers.timestamps import clock
from longscribe.core.cues import cues_of
from longscribe.ports import TranscriptView

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class VttWriter:
    """Writes subtitles as WebVTT."""

    extension = "vtt"

    def write(self, view: TranscriptView, out: TextIO) -> None:
        out.write("WEBVTT\n\n")
        for cue in cues_of(view):
            start, end = clock(cue.start_ms, "."), clock(cue.end_ms, ".")
            out.write(f"{start} --> {end}\n{cue.text.translate(_ESCAPES)}\n\n")
