"""Word error rate, and stretches of speech that are missing in a text.

Both texts pass openai/whisper's English normalizer (spelling, numbers, contractions). A *dropped
run* is a stretch of consecutive words of the reference that the alignment deletes, with nothing
in their place.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
from whisper_normalizer.english import EnglishTextNormalizer

LEAST_RUN = 4
"""Words in the shortest dropped run that is counted: shorter ones are slips, not clauses."""

Run = tuple[int, int]
"""First word of the reference that is dropped, and the first after it that is not."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """What became of the words of a reference."""

    reference: tuple[str, ...]
    substitutions: int
    deletions: int
    insertions: int
    dropped: tuple[Run, ...]
    """All stretches of missing words, however short, in their order."""

    @property
    def words(self) -> int:
        """Words of the reference."""
        return len(self.reference)

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def runs(self) -> tuple[Run, ...]:
        """Dropped runs of `LEAST_RUN` words and more."""
        return tuple(run for run in self.dropped if run[1] - run[0] >= LEAST_RUN)

    @property
    def longest(self) -> int:
        """Words in the longest stretch of missing words."""
        return max((end - start for start, end in self.dropped), default=0)

    def said(self, run: Run) -> str:
        """Return the words of a run."""
        return " ".join(self.reference[slice(*run)])


def normal_words(text: str) -> list[str]:
    """Return the words of a text as they are compared."""
    return str(_normalizer()(text)).split()


@functools.cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def score(reference: str, hypothesis: str) -> Score:
    """Return what became of the words of `reference` in `hypothesis`.

    Raises:
        ValueError: the reference holds no words.
    """
    said, heard = normal_words(reference), normal_words(hypothesis)
    counts = {"substitute": 0, "delete": 0, "insert": 0}
    dropped = []
    for part in jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]:
        if part.type == "equal":
            continue
        start, end = part.ref_start_idx, part.ref_end_idx
        if part.type == "insert":
            counts[part.type] += part.hyp_end_idx - part.hyp_start_idx
            continue
        counts[part.type] += end - start
        if part.type == "delete":
            dropped.append((start, end))
    return Score(
        reference=tuple(said),
        substitutions=counts["substitute"],
        deletions=counts["delete"],
        insertions=counts["insert"],
        dropped=tuple(dropped),
    )


def word_error_rate(scores: Sequence[Score]) -> float:
    """Return errors per hundred words of all recordings together."""
    return 100 * sum(each.errors for each in scores) / sum(each.words for each in scores)


def drops_too(run: Run, other: Score) -> bool:
    """Say whether another text of the same recording lacks this run of words as well.

    It must lack a run of `LEAST_RUN` words there, and not hold as many of these words in a row:
    of a clause that is missing here, four words that stand there were to be heard.
    """
    missing = {at for start, end in other.dropped for at in range(start, end)}
    held = longest = 0
    for at in range(*run):
        held = 0 if at in missing else held + 1
        longest = max(longest, held)
    touches = any(start < run[1] and run[0] < end for start, end in other.runs)
    return touches and longest < LEAST_RUN


def dropped_by_all(mine: Score, others: Sequence[Score]) -> list[Run]:
    """Return those of my dropped runs that every other text lacks too; none without others."""
    return [run for run in mine.runs if others and all(drops_too(run, each) for each in others)]
