"""The targets, and whether Longscribe's line meets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.long_form_parts.figures import Line
from bench.long_form_parts.rows import BATCHED, BEFORE, OURS, OURS_PROMPT, OURS_VERIFY, SEQUENTIAL
from bench.long_form_parts.scoring import LEAST_RUN

MOST_MORE_WER = 0.1
"""Points above the better of the two measures."""
MOST_WORDLESS = 0.003
"""Share of speech."""
MOST_WALL = 1.15
"""Wall time against the checkout before."""
MEASURES = (SEQUENTIAL, BATCHED)
"""Rows that Longscribe is held to."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A target and what was reached."""

    met: bool | None
    """None where it can't be judged."""
    text: str

    def __str__(self) -> str:
        kind = {True: "met", False: "**missed**", None: "not judged"}[self.met]
        return f"- {kind}: {self.text}"


def verdicts(lines: Mapping[str, Line]) -> list[Verdict]:
    """Return what came of each target, given the lines by the keys of their rows."""
    mine = lines.get(OURS)
    if mine is None:
        return [Verdict(met=None, text=f"all: there is no row {OURS}")]
    measures = [lines[key] for key in MEASURES if key in lines]
    found = [_wer(mine, measures), _runs(mine, measures), _wordless(mine), _unlisted(mine)]
    found += [_invented(lines[key]) for key in (OURS, OURS_VERIFY, OURS_PROMPT) if key in lines]
    return [*found, _wall(mine, lines.get(BEFORE))]


def _all_measures(measures: list[Line]) -> str:
    """Return what is missing to judge by both measures; empty if nothing is."""
    have = {line.row.key for line in measures}
    lacking = [key for key in MEASURES if key not in have]
    return f"needs the rows {' and '.join(lacking)}" if lacking else ""


def _wer(mine: Line, measures: list[Line]) -> Verdict:
    if lacking := _all_measures(measures):
        return Verdict(met=None, text=f"WER {mine.wer:.2f} %; {lacking}")
    best = min(measures, key=lambda line: line.wer)
    return Verdict(
        # As they are shown: two figures that read alike are alike.
        met=round(mine.wer, 2) <= round(best.wer + MOST_MORE_WER, 2),
        text=f"WER {mine.wer:.2f} %, {best.row.label} {best.wer:.2f} %; "
        f"wanted: at most {MOST_MORE_WER} more",
    )


def _runs(mine: Line, measures: list[Line]) -> Verdict:
    lacking = _all_measures(measures)
    left = mine.runs - (0 if lacking else mine.shared)
    text = f"{mine.runs} dropped runs of {LEAST_RUN} words and more, {mine.shared} of them dropped "
    text += "by both measures too"
    if lacking and left:
        return Verdict(met=None, text=f"{mine.runs} dropped runs; {lacking}")
    return Verdict(met=left == 0, text=f"{text}; wanted: no other")


def _wordless(mine: Line) -> Verdict:
    if not mine.ledger:
        return Verdict(met=None, text="speech without words: the ledger does not know it")
    share = mine.wordless / mine.speech if mine.speech else 0.0
    return Verdict(
        met=share <= MOST_WORDLESS,
        text=f"{mine.wordless:.1f} s of speech without words, {share:.2%} of {mine.speech:.0f} s; "
        f"wanted: at most {MOST_WORDLESS:.1%}",
    )


def _unlisted(mine: Line) -> Verdict:
    places = [
        f"{each.recording.name} {start:.1f} to {end:.1f} s"
        for each in mine.scored
        for start, end in each.unlisted
    ]
    where = f" ({', '.join(places[:5])}{', …' if len(places) > 5 else ''})" if places else ""
    return Verdict(
        met=not places,
        text=f"{mine.unlisted:.1f} s of speech without words that the ledger does not list{where}; "
        "wanted: none",
    )


def _invented(line: Line) -> Verdict:
    if line.invented is None:
        return Verdict(met=None, text=f"{line.row.label}: non-speech was not tried")
    said = f" ({' '.join(line.invented[:12])})" if line.invented else ""
    return Verdict(
        met=not line.invented,
        text=f"{line.row.label}: {len(line.invented)} words in non-speech{said}; wanted: none",
    )


def _wall(mine: Line, before: Line | None) -> Verdict:
    seconds = mine.sum("seconds")
    if before is None:
        return Verdict(met=None, text=f"wall time {seconds:.0f} s; give --before CHECKOUT")
    ratio = seconds / before.sum("seconds")
    cpu = mine.sum("cpu_seconds") / before.sum("cpu_seconds")
    return Verdict(
        met=ratio <= MOST_WALL,
        text=f"wall time {seconds:.0f} s, {ratio:.2f} times that before (CPU {cpu:.2f} times); "
        f"wanted: at most {MOST_WALL}",
    )
