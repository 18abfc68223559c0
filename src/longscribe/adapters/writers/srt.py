r"""SubRip (`.srt`).

The format has no escape, yet readers take `<b>`, `{\an8}`, `\N` and `-->` for
markup, and drop or act on it. Speech is none of these. So an invisible word
joiner (U+2060) goes between the characters that would make them: players show
the text as it was heard.

pysubs2 does not write these files: it holds a whole file in memory, takes `{…}`
and `\N` in the text for its own tags, and clamps times past 100 hours. The
tests read the files back with it.
"""

from __future__ import annotations

import re
from typing import TextIO

from longscribe.adapters.writers.timestamps import clock
from longscribe.core.cues import cues_of
from longscribe.ports import TranscriptView

_MARKUP = re.compile(
    r"<(?=\s*/?\s*[A-Za-z])"  # <i>, </font>
    r"|\{(?=\\|[A-Za-z]:)"  # {\an8}, MicroDVD's {y:i}
    r"|\\(?=[Nnh])"  # line breaks and hard spaces of SubStation
    r"|--(?=>)"
    r"|\d\d?:\d\d?:\d\d?(?=[.,]\d)"  # two of these make a line of times for lenient readers
)
_JOINER = "\u2060"


class SrtWriter:
    """Writes subtitles as SubRip."""

    extension = "srt"

    def write(self, view: TranscriptView, out: TextIO) -> None:
        for number, cue in enumerate(cues_of(view), 1):
            start, end = clock(cue.start_ms, ","), clock(cue.end_ms, ",")
            out.write(f"{number}\n{start} --> {end}\n{_literal(cue.text)}\n\n")


def _literal(text: str) -> str:
    return _MARKUP.sub(rf"\g<0>{_JOINER}", text)
