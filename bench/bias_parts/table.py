"""Figures of a row over recordings, with bootstrap intervals, and the tables they stand in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .metrics import Score, hours, non_speech_false_terms
from .recordings import NEAR, NON_SPEECH, PLAIN, TERM, WRONG_TIME, Recording

RESAMPLES = 2_000
SEED = 20_241


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A row's result for one recording."""

    recording: Recording
    score: Score
    seconds: float
    base_seconds: float
    cpu_seconds: float
    base_cpu_seconds: float
    windows_worse: int
    windows: int
    lines_worse: int
    lines: int


Part = Callable[[Scored], tuple[float, float]]
"""Numerator and denominator for one recording; a figure is the ratio of their sums."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A column."""

    heading: str
    part: Part
    percent: bool = True
    digits: int = 1

    def show(self, value: float) -> str:
        if np.isnan(value):
            return "-"
        return f"{100 * value:.{self.digits}f}" if self.percent else f"{value:.{self.digits}f}"


def _count(wanted: Sequence[str]) -> Part:
    def part(each: Scored) -> tuple[float, float]:
        found = sum(false.stratum in wanted for false in each.score.false_terms)
        return found, hours(each.recording, wanted)

    return part


WER = Figure(heading="WER %", part=lambda s: (s.score.errors, s.score.words))
U = Figure(heading="U %", part=lambda s: (s.score.ordinary_errors, s.score.ordinary), digits=2)
B = Figure(heading="B %", part=lambda s: (s.score.term_errors, s.score.term_words))
RECALL = Figure(
    heading="recall", part=lambda s: (s.score.hits, s.score.mentions), percent=False, digits=3
)
PRECISION = Figure(
    heading="precision", part=lambda s: (s.score.hits, s.score.written), percent=False, digits=3
)
F = Figure(
    heading="F",
    part=lambda s: (2 * s.score.hits, s.score.written + s.score.mentions),
    percent=False,
    digits=3,
)
FALSE = Figure(
    heading="false terms/h",
    part=lambda s: (len(s.score.false_terms), s.recording.duration / 3600),
    percent=False,
)
FALSE_PLAIN = Figure(heading="… in plain speech/h", part=_count((PLAIN,)), percent=False)
FALSE_NEAR = Figure(heading="… in near-homophone lines/h", part=_count((NEAR,)), percent=False)
FALSE_QUIET = Figure(
    heading="… in non-speech",
    part=lambda s: (non_speech_false_terms(s.score), 1),
    percent=False,
    digits=0,
)
WINDOWS_WORSE = Figure(heading="windows worse %", part=lambda s: (s.windows_worse, s.windows))
LINES_WORSE = Figure(heading="lines worse %", part=lambda s: (s.lines_worse, s.lines))
COST = Figure(
    heading="cost, times", part=lambda s: (s.seconds, s.base_seconds), percent=False, digits=2
)

CPU = Figure(
    heading="CPU, times",
    part=lambda s: (s.cpu_seconds, s.base_cpu_seconds),
    percent=False,
    digits=2,
)

WORDS = (WER, U, B, WINDOWS_WORSE, LINES_WORSE, COST, CPU)
TERMS = (RECALL, PRECISION, F, FALSE, FALSE_PLAIN, FALSE_NEAR, FALSE_QUIET)
SHORT = (
    WER,
    U,
    B,
    RECALL,
    PRECISION,
    FALSE_PLAIN,
    FALSE_NEAR,
    FALSE_QUIET,
    WINDOWS_WORSE,
    COST,
    CPU,
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def value(figure: Figure, rows: Sequence[Scored]) -> float:
    """Return the figure over all recordings. False terms in non-speech are a sum."""
    top, bottom = np.array([figure.part(each) for each in rows], dtype=float).sum(axis=0)
    if figure is FALSE_QUIET:
        return float(top)
    return float(top / bottom) if bottom else float("nan")


def estimate(
    figure: Figure, rows: Sequence[Scored], base: Sequence[Scored] | None = None
) -> Estimate:
    """Return the figure, or its difference to that of `base`, with an interval: 2,000 resamples
    of the recordings."""
    parts = [
        np.array([figure.part(each) for each in some], dtype=float) for some in (rows, base or ())
    ]
    drawn = np.random.default_rng(SEED).integers(0, len(rows), (RESAMPLES, len(rows)))
    values = _ratio(parts[0][drawn].sum(axis=1))
    point = value(figure, rows)
    if base is not None:
        values = values - _ratio(parts[1][drawn].sum(axis=1))
        point -= value(figure, base)
    values = values[~np.isnan(values)]
    if not values.size:
        return Estimate(value=point, low=float("nan"), high=float("nan"))
    low, high = np.percentile(values, (2.5, 97.5))
    return Estimate(value=point, low=float(low), high=float(high))


def _ratio(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan)


def cell(figure: Figure, rows: Sequence[Scored], *, interval: bool) -> str:
    """Return a figure as it is shown, with its interval in brackets."""
    if figure is FALSE_QUIET:
        return figure.show(value(figure, rows))
    if not interval or len(rows) < 2:
        return figure.show(value(figure, rows))
    found = estimate(figure, rows)
    return f"{figure.show(found.value)} ({figure.show(found.low)} to {figure.show(found.high)})"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = ["| " + " | ".join(headings) + " |", "|---" * len(headings) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


# --- strata ------------------------------------------------------------------

STRATA = (
    ("term spoken", (TERM,)),
    ("term listed for the wrong time", (WRONG_TIME,)),
    ("near-homophone spoken, term absent", (NEAR,)),
    ("speech without terms", (PLAIN,)),
    ("silence, noise, hum, music", NON_SPEECH),
)


def strata_row(wanted: Sequence[str], rows: Sequence[Scored]) -> tuple[str, ...]:
    """Return the cells of a stratum: minutes, words, errors, terms right, false terms."""
    words = errors = right = mentions = false = 0
    for each in rows:
        mine = [n for n, line in enumerate(each.recording.lines) if line.stratum in wanted]
        words += sum(each.score.line_words[n] for n in mine)
        errors += sum(each.score.line_errors[n] for n in mine)
        right += sum(each.score.line_hits[n] for n in mine)
        mentions += sum(len(each.recording.lines[n].terms) for n in mine)
        false += sum(f.stratum in wanted for f in each.score.false_terms)
    time = sum(hours(each.recording, wanted) for each in rows)
    return (
        f"{60 * time:.1f}",
        f"{100 * errors / words:.1f}" if words else f"{errors} words",
        f"{right} of {mentions}" if mentions else "-",
        f"{false} ({false / time:.1f}/h)" if time else "-",
    )


def strata(rows: Sequence[Scored]) -> str:
    """Return the table of strata of a row."""
    headings = ["", "minutes", "word error %", "terms right", "false terms"]
    return markdown(headings, [(name, *strata_row(wanted, rows)) for name, wanted in STRATA])
