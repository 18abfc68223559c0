"""The table, and all that is behind it as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench._common import MEBIBYTE, memory_kind
from bench.bias_parts.table import markdown
from bench.long_form_parts.figures import GAP, WORDLESS, Line, Scored
from bench.long_form_parts.scoring import LEAST_RUN

NOTHING = "-"


def _wordless(line: Line) -> str:
    if not line.ledger:
        return NOTHING
    share = 100 * line.wordless / line.speech if line.speech else 0.0
    gaps = f", {line.gaps:.1f} s of gaps" if line.gaps else ""
    return f"{line.wordless:.1f} s ({share:.2f} %){gaps}"


COLUMNS: tuple[tuple[str, Callable[[Line], str]], ...] = (
    ("WER %", lambda line: f"{line.wer:.2f}"),
    ("substituted", lambda line: str(line.count("substitutions"))),
    ("missing", lambda line: str(line.count("deletions"))),
    ("inserted", lambda line: str(line.count("insertions"))),
    ("longest dropped run", lambda line: str(line.longest)),
    (
        f"dropped runs of {LEAST_RUN}+ (words)",
        lambda line: f"{line.runs} ({line.words_in_runs})" if line.runs else "0",
    ),
    ("of them dropped by both measures", lambda line: str(line.shared)),
    ("speech without words, listed", _wordless),
    ("not listed", lambda line: f"{line.unlisted:.1f} s" if line.word_times else NOTHING),
    (
        "invented words in non-speech",
        lambda line: NOTHING if line.invented is None else str(len(line.invented)),
    ),
    ("wall s", lambda line: f"{line.sum('seconds'):.0f}"),
    ("CPU s", lambda line: f"{line.sum('cpu_seconds'):.0f}"),
    (f"peak MiB ({memory_kind()})", lambda line: f"{line.peak / MEBIBYTE:.0f}"),
)


def table(lines: Sequence[Line]) -> str:
    """Return the table in Markdown."""
    headings = ["", *(heading for heading, _ in COLUMNS)]
    rows = [[line.row.label, *(show(line) for _, show in COLUMNS)] for line in lines]
    return markdown(headings, rows)


def details(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return what is behind the table: each row with each recording."""
    return [
        {
            "row": line.row.key,
            "label": line.row.label,
            "wer": round(line.wer, 3),
            "invented": None if line.invented is None else " ".join(line.invented),
            "recordings": [_recording(each) for each in line.scored],
        }
        for line in lines
    ]


def _recording(scored: Scored) -> dict[str, Any]:
    found, result = scored.score, scored.result
    return {
        "name": scored.recording.name,
        "words": found.words,
        "wer": round(100 * found.errors / found.words, 3),
        "substitutions": found.substitutions,
        "deletions": found.deletions,
        "insertions": found.insertions,
        "longest_dropped_run": found.longest,
        "dropped_runs": [
            {"words": found.said(run), "shared": run in scored.shared} for run in found.runs
        ],
        "wordless": result.listed(WORDLESS),
        "gaps": result.listed(GAP),
        "unlisted": list(scored.unlisted),
        "seconds": round(result.seconds, 2),
        "cpu_seconds": round(result.cpu_seconds, 2),
        "peak_bytes": result.peak,
        "text": result.text,
    }
