"""Text from elsewhere, made fit to be shown: it says what it holds and commands nothing.

File names, titles of tracks, messages of engines and what was heard may hold anything,
also what a terminal obeys: ESC and the C1 controls begin sequences that recolour, retitle,
move or type; a line break fakes a line of ours; the signs that turn the direction of
writing make `gpj.exe` of `exe.jpg`. All of these are shown as Python writes them.
"""

from __future__ import annotations

import re

_COMMANDS = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # directions of writing, old format controls
    "\u2028\u2029\ufff9-\ufffb\U000e0000-\U000e007f"  # separators, annotations, tags
)
_IN_LINES = re.compile(f"[{_COMMANDS}]")
_IN_A_LINE = re.compile(f"[{_COMMANDS}\t\n]")


def visible(text: str) -> str:
    r"""Return `text` on one line, each control character as an escape such as `\x1b` or `\n`."""
    return _IN_A_LINE.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Return `text` likewise, but with its line breaks and tabs as they are."""
    return _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
