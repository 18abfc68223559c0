"""What a row's results are worth: the figures of a line of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.long_form_parts import stretches
from bench.long_form_parts.recordings import Recording
from bench.long_form_parts.results import Result
from bench.long_form_parts.rows import Row
from bench.long_form_parts.scoring import (
    Run,
    Score,
    dropped_by_all,
    normal_words,
    score,
    word_error_rate,
)
from bench.long_form_parts.stretches import Span

WORDLESS = "wordless"
"""Kind of the ledger for speech without words."""
GAP, TEXT = "gap", "text"
PROBLEMS = (WORDLESS, GAP)

SpeechOf = Callable[[Recording], Sequence[Span]]
"""Tells where there is speech in a recording."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A result with its score."""

    recording: Recording
    result: Result
    score: Score
    shared: tuple[Run, ...]
    """Dropped runs that the peers which are held up as measure drop too."""
    unlisted: tuple[Span, ...]
    """Stretches of speech without a word that stand in no ledger; of results with word times."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the table. Of the recordings in which somebody speaks, if nothing else is said."""

    row: Row
    scored: tuple[Scored, ...]
    invented: tuple[str, ...] | None
    """Words written where nobody speaks; None where that was not tried."""
    ledger: bool
    """Whether its ledger knows speech without words."""

    @property
    def wer(self) -> float:
        """Errors per hundred words."""
        return word_error_rate([each.score for each in self.scored])

    def count(self, name: str) -> int:
        """Return a count of all scores together, such as `deletions`."""
        return sum(getattr(each.score, name) for each in self.scored)

    @property
    def longest(self) -> int:
        """Words in the longest stretch of missing words."""
        return max(each.score.longest for each in self.scored)

    @property
    def runs(self) -> int:
        """Dropped runs of four and more words."""
        return sum(len(each.score.runs) for each in self.scored)

    @property
    def words_in_runs(self) -> int:
        """Words in these runs."""
        return sum(end - start for each in self.scored for start, end in each.score.runs)

    @property
    def shared(self) -> int:
        """Runs among them that the measure drops too."""
        return sum(len(each.shared) for each in self.scored)

    @property
    def wordless(self) -> float:
        """Seconds of speech without words, by its own ledger."""
        return sum(stretches.total(each.result.listed(WORDLESS)) for each in self.scored)

    @property
    def gaps(self) -> float:
        """Seconds of declared gaps."""
        return sum(stretches.total(each.result.listed(GAP)) for each in self.scored)

    @property
    def speech(self) -> float:
        """Seconds of speech, by its own ledger."""
        return sum(stretches.total(each.result.listed(TEXT, WORDLESS, GAP)) for each in self.scored)

    @property
    def word_times(self) -> bool:
        """Whether the tool told when each word is said."""
        return all(each.result.words for each in self.scored)

    @property
    def unlisted(self) -> float:
        """Seconds of speech without a word that stand in no ledger."""
        return sum(stretches.total(each.unlisted) for each in self.scored)

    def sum(self, name: str) -> float:
        """Return a figure of all results together, such as `seconds`."""
        return float(sum(getattr(each.result, name) for each in self.scored))

    @property
    def peak(self) -> int:
        """Most memory of the process tree in any recording, in bytes."""
        return max(each.result.peak for each in self.scored)


def line_of(
    row: Row,
    results: Sequence[tuple[Recording, Result]],
    measure: Sequence[dict[str, Score]],
    speech_of: SpeechOf,
    *,
    ledger: bool,
) -> Line:
    """Return a row's line.

    Args:
        row: which tool.
        results: of each recording, also those without speech.
        measure: for each peer that is held up as measure, its scores by recording.
        speech_of: where there is speech in a recording.
        ledger: whether the row's ledger knows speech without words.
    """
    scored, invented, tried = [], list[str](), False
    for recording, result in results:
        if not recording.spoken:
            invented += normal_words(result.text)
            tried = True
            continue
        mine = score(recording.text, result.text)
        found = stretches.without_words(speech_of(recording), result.words) if result.words else []
        scored.append(
            Scored(
                recording=recording,
                result=result,
                score=mine,
                shared=tuple(dropped_by_all(mine, [each[recording.name] for each in measure])),
                unlisted=tuple(stretches.less(found, result.listed(*PROBLEMS))),
            )
        )
    told = tuple(invented) if tried else None
    return Line(row=row, scored=tuple(scored), invented=told, ledger=ledger)
