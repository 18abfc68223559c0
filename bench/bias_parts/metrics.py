"""Scores: what became of each word, each term and each line of a recording.

Words are compared as `demo/score.py` compares them. The whole hypothesis is aligned with the whole
reference by the fewest edits; among alignments with equally many, words that look alike go
together, so that a misheard name lies at its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rapidfuzz.distance import Indel
from rapidfuzz.process import cdist

from demo.score import words_of

from .recordings import NON_SPEECH, Line, Recording

EDIT = 1_000_000
"""Cost of an edit; unlike substitutions cost a little more, never as much as an edit together."""


@dataclass(frozen=True, kw_only=True)
class HeardWord:
    """A word of a hypothesis; `start` and `end` in seconds, if known."""

    text: str
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, kw_only=True)
class FalseTerm:
    """A glossary term that was written where it was not said."""

    term: str
    stratum: str
    said: str
    """What the reference has there; empty for an insertion."""
    line: int


@dataclass(kw_only=True)
class Score:
    """Counts for one recording."""

    recording: str
    words: int = 0
    errors: int = 0
    ordinary: int = 0
    ordinary_errors: int = 0
    term_words: int = 0
    term_errors: int = 0
    mentions: int = 0
    hits: int = 0
    false_terms: list[FalseTerm] = field(default_factory=list)
    line_errors: list[int] = field(default_factory=list)
    """By line: substitutions, deletions, and the insertions that are nearest to it."""
    line_words: list[int] = field(default_factory=list)
    line_hits: list[int] = field(default_factory=list)
    line_ordinary_errors: list[int] = field(default_factory=list)
    missed: list[tuple[str, str]] = field(default_factory=list)
    """Terms that were not written, with what was."""

    @property
    def written(self) -> int:
        """Terms that the hypothesis holds, right and wrong."""
        return self.hits + len(self.false_terms)


# --- alignment ---------------------------------------------------------------


def align(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Return pairs of indices, None for nothing: an insertion or a deletion."""
    if not reference or not heard:
        return [(i, None) for i in range(len(reference))] + [(None, j) for j in range(len(heard))]
    costs = _substitution_costs(reference, heard)
    columns = np.arange(len(heard) + 1, dtype=np.int64) * EDIT
    table = np.empty((len(reference) + 1, len(heard) + 1), np.int64)
    table[0] = columns
    for i in range(len(reference)):
        row = table[i] + EDIT  # deleted
        row[1:] = np.minimum(row[1:], table[i, :-1] + costs[i])
        # Inserted: the cheapest of all places to the left, a running minimum.
        table[i + 1] = np.minimum.accumulate(row - columns) + columns
    return _path(table, costs)


def _substitution_costs(reference: Sequence[str], heard: Sequence[str]) -> np.ndarray:
    """Return a matrix: 0 for the same word, else an edit and a little for unlikeness."""
    rows, row_of = np.unique(np.array(reference, dtype=object), return_inverse=True)
    columns, column_of = np.unique(np.array(heard, dtype=object), return_inverse=True)
    unlike = cdist(list(rows), list(columns), scorer=Indel.normalized_distance, dtype=np.float32)
    costs = np.where(unlike == 0, 0, EDIT + np.rint(unlike * 100)).astype(np.int64)
    return costs[row_of][:, column_of]


def _path(table: np.ndarray, costs: np.ndarray) -> list[tuple[int | None, int | None]]:
    i, j = table.shape[0] - 1, table.shape[1] - 1
    pairs: list[tuple[int | None, int | None]] = []
    while i or j:
        if i and j and table[i, j] == table[i - 1, j - 1] + costs[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif j and table[i, j] == table[i, j - 1] + EDIT:
            j -= 1
            pairs.append((None, j))
        else:
            i -= 1
            pairs.append((i, None))
    return pairs[::-1]


def bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return `words` without the possessive at their end."""
    return tuple(words[:-1]) + tuple(word.removesuffix("'s") for word in words[-1:])


def occurrences(words: Sequence[str], terms: Iterable[str]) -> list[tuple[int, int, str]]:
    """Return start, end and term wherever a term stands in `words`, the longest first."""
    spelt = {tuple(words_of(term)): term for term in terms}
    lengths = sorted({len(term) for term in spelt}, reverse=True)
    found, start = [], 0
    while start < len(words):
        for length in lengths:
            here = words[start : start + length]
            term = spelt.get(tuple(here)) or spelt.get(bare(here))
            if term is not None and len(here) == length:
                found.append((start, start + length, term))
                start += length
                break
        else:
            start += 1
    return found


# --- scoring -----------------------------------------------------------------


@dataclass
class _Reference:
    """The words of a recording, and which of them are terms."""

    words: list[str]
    line_of: list[int]
    mentions: list[tuple[int, int, str]]


def _reference(lines: Sequence[Line]) -> _Reference:
    reference = _Reference([], [], [])
    for number, line in enumerate(lines):
        words = words_of(line.text)
        found = occurrences(words, line.terms)
        if sorted(term for _, _, term in found) != sorted(line.terms):
            raise ValueError(f"the terms {line.terms} are not all in {line.text!r}")
        base = len(reference.words)
        reference.mentions += [(base + start, base + end, term) for start, end, term in found]
        reference.words += words
        reference.line_of += [number] * len(words)
    return reference


def score(recording: Recording, heard: Sequence[HeardWord], glossary: Iterable[str]) -> Score:
    """Compare `heard` with what is said in `recording`; `glossary` tells which words are terms."""
    lines = recording.lines
    reference = _reference(lines)
    words, times = _flat(heard)
    pairs = align(reference.words, words)
    both = _Aligned(
        reference=reference,
        words=words,
        pairs=pairs,
        line_of_heard=_lines_of_heard(reference, pairs, times, lines),
        terms=occurrences(words, glossary),
    )
    result = Score(
        recording=recording.name,
        line_words=[reference.line_of.count(number) for number in range(len(lines))],
        line_errors=[0] * len(lines),
        line_ordinary_errors=[0] * len(lines),
        line_hits=[0] * len(lines),
    )
    _score_words(result, both)
    _score_terms(result, both, lines)
    return result


@dataclass(frozen=True, kw_only=True)
class _Aligned:
    """A hypothesis beside its reference."""

    reference: _Reference
    words: list[str]
    pairs: list[tuple[int | None, int | None]]
    line_of_heard: list[int]
    terms: list[tuple[int, int, str]]
    """Glossary terms in the hypothesis."""


def _score_words(result: Score, both: _Aligned) -> None:
    reference = both.reference
    in_mention = {i for start, end, _ in reference.mentions for i in range(start, end)}
    last_of_mention = {end - 1 for _, end, _ in reference.mentions}
    in_term = {j for start, end, _ in both.terms for j in range(start, end)}
    result.words = len(reference.words)
    result.term_words = len(in_mention)
    result.ordinary = result.words - result.term_words
    for i, j in both.pairs:
        said = "" if i is None else reference.words[i]
        written = "" if j is None else both.words[j]
        if said == written:
            continue
        line = both.line_of_heard[j or 0] if i is None else reference.line_of[i]
        result.errors += 1
        result.line_errors[line] += 1
        if (j in in_term) if i is None else (i in in_mention):
            # A possessive is forgiven at the end of a term.
            forgiven = i in last_of_mention and bare([said]) == bare([written])
            result.term_errors += not forgiven
        else:
            result.ordinary_errors += 1
            result.line_ordinary_errors[line] += 1


def _flat(heard: Sequence[HeardWord]) -> tuple[list[str], list[float | None]]:
    words: list[str] = []
    times: list[float | None] = []
    for each in heard:
        for word in words_of(each.text):
            words.append(word)
            known = each.start is not None and each.end is not None
            times.append((each.start + each.end) / 2 if known else None)  # type: ignore[operator]
    return words, times


def _lines_of_heard(
    reference: _Reference,
    pairs: Sequence[tuple[int | None, int | None]],
    times: Sequence[float | None],
    lines: Sequence[Line],
) -> list[int]:
    """Return for each heard word its line: that of the word it is aligned with, or, for what was
    inserted, the nearest in time of the lines between its neighbours'."""
    result = [0] * len(times)
    after = [len(lines) - 1] * (len(pairs) + 1)
    for place in range(len(pairs) - 1, -1, -1):
        i = pairs[place][0]
        after[place] = after[place + 1] if i is None else reference.line_of[i]
    before = 0
    for place, (i, j) in enumerate(pairs):
        if i is not None:
            before = reference.line_of[i]
        if j is None:
            continue
        if i is not None:
            result[j] = before
            continue
        between = range(before, after[place] + 1)
        at = times[j]
        result[j] = before if at is None else min(between, key=lambda n: _gap(lines[n], at))
    return result


def _gap(line: Line, at: float) -> float:
    return max(line.start - at, at - line.end, 0.0)


def _score_terms(result: Score, both: _Aligned, lines: Sequence[Line]) -> None:
    reference, words = both.reference, both.words
    places = _places(reference.words, words, both.pairs)
    hits: set[tuple[int, int]] = set()
    for start, end, term in reference.mentions:
        aligned = [j for i in range(start, end) for j in places[i]]
        here = range(aligned[0], aligned[-1] + 1) if aligned else range(0)
        heard = [words[j] for j in here]
        result.mentions += 1
        if heard and bare(heard) == bare(reference.words[start:end]):
            result.hits += 1
            result.line_hits[reference.line_of[start]] += 1
            hits.add((here[0], here[-1] + 1))
        else:
            result.missed.append((term, " ".join(heard)))
    said_at = {j: i for i, j in both.pairs if i is not None and j is not None}
    for start, end, term in both.terms:
        if (start, end) in hits:
            continue
        said = [reference.words[said_at[j]] for j in range(start, end) if j in said_at]
        number = both.line_of_heard[start]
        result.false_terms.append(
            FalseTerm(term=term, stratum=lines[number].stratum, said=" ".join(said), line=number)
        )


def _places(
    reference: Sequence[str], words: Sequence[str], pairs: Sequence[tuple[int | None, int | None]]
) -> list[list[int]]:
    """Return for each word of the reference the heard words at its place: the aligned one, and what
    was inserted behind a misheard word, or else before one (*Mary Gold* for *Marygold*)."""
    places: list[list[int]] = [[] for _ in reference]
    wrong = [True] * len(reference)
    for i, j in pairs:
        if i is not None and j is not None:
            places[i] = [j]
            wrong[i] = reference[i] != words[j]
    before = -1
    for i, j in pairs:
        if i is not None:
            before = i
            continue
        assert j is not None
        if before >= 0 and wrong[before]:
            places[before].append(j)
        elif before + 1 < len(places) and wrong[before + 1]:
            places[before + 1].insert(len(places[before + 1]) - 1, j)
    return [sorted(each) for each in places]


def hours(recording: Recording, strata: Iterable[str]) -> float:
    """Return how long the lines of some strata are."""
    wanted = set(strata)
    return sum(line.end - line.start for line in recording.lines if line.stratum in wanted) / 3600


def worse(
    recording: Recording, mine: Score, unbiased: Score, windows: Sequence[tuple[float, float]]
) -> tuple[int, int, int, int]:
    """Return how many windows have more word errors than unbiased, of how many; the same of lines.

    A line belongs to the window that holds its middle, or else to the nearest.
    """
    sums: dict[int, int] = {}
    lines_worse = 0
    for number, line in enumerate(recording.lines):
        rise = mine.line_errors[number] - unbiased.line_errors[number]
        lines_worse += rise > 0
        middle = (line.start + line.end) / 2
        window = min(
            range(len(windows)),
            key=lambda n: max(windows[n][0] - middle, middle - windows[n][1], 0.0),
        )
        sums[window] = sums.get(window, 0) + rise
    return sum(rise > 0 for rise in sums.values()), len(windows), lines_worse, len(recording.lines)


def non_speech_false_terms(result: Score) -> int:
    """Return how many terms were written where nobody speaks."""
    return sum(each.stratum in NON_SPEECH for each in result.false_terms)
