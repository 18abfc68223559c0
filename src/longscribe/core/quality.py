"""Quality as a fault: output that can't be what was said, and which hearing to keep.

A window that fails a check is decoded again without its prompt and with another
search; the best hearing is kept, and the result says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from longscribe.core.phrases import compression_ratio
from longscribe.types import SAMPLE_RATE, WindowResult

REPETITIVE = 2.4
"""zlib compression ratio over which text repeats itself (openai/whisper, transcribe.py)."""
REPETITIVE_LENGTH = 60
"""Characters. Shorter text says nothing by its compression ratio."""
FASTEST = 30.0
"""Characters a second of speech. Auctioneers reach about 25; English is spoken at about 15."""
FASTEST_LENGTH = 40
"""Characters. A short phrase in speech that the detector clipped is no evidence."""
MUCH_SPEECH = 2 * SAMPLE_RATE
"""With this much speech there must be words."""
LITTLE_SPEECH = 1.0
"""Seconds. A list of terms in less speech than this is an echo of the prompt."""
ECHO_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """One more way to decode a window. Every way gives the same text in every run."""

    how: str
    prompted: bool
    beam_size: int | None
    """None: as asked."""
    repetition_penalty: float
    no_repeat_ngram: int


# Not other temperatures: sampling in CTranslate2 can't be repeated (its random generators
# live as long as its threads), and a resumed job must write what an unbroken one writes.
PLAIN = Hearing(
    how="without its prompt",
    prompted=False,
    beam_size=None,
    repetition_penalty=1.0,
    no_repeat_ngram=0,
)
GREEDY = replace(PLAIN, how="without its prompt, greedily", beam_size=1)
UNREPEATING = replace(
    PLAIN,
    how="without its prompt, with repetition forbidden",
    repetition_penalty=1.1,
    no_repeat_ngram=4,
)


def complaint(result: WindowResult) -> str | None:
    """Return what is wrong with a window's output, as a clause; None if nothing is."""
    text = "".join(segment.text for segment in result.segments).strip()
    speech = result.window.speech / SAMPLE_RATE
    if not text:
        return (
            f"nothing in {speech:.0f} s of speech" if speech * SAMPLE_RATE >= MUCH_SPEECH else None
        )
    if len(text) >= REPETITIVE_LENGTH and compression_ratio(text) > REPETITIVE:
        return "the text repeats itself"
    if len(text) >= FASTEST_LENGTH and len(text) > FASTEST * max(speech, 0.1):
        return f"{len(text)} characters in {speech:.1f} s of speech"
    if speech < LITTLE_SPEECH and _echo_share(text, result.prompt.terms) >= ECHO_SHARE:
        return "an echo of the prompt"
    return None


def _echo_share(text: str, terms: Sequence[str]) -> float:
    """Return the share of the words of `text` that are words of `terms`, if there are several."""
    said = re.findall(r"\w+", text.casefold())
    given = {word for term in terms for word in re.findall(r"\w+", term.casefold())}
    return sum(word in given for word in said) / len(said) if len(said) > 2 else 0.0


def other_hearings(*, prompted: bool) -> tuple[Hearing, ...]:
    """Return how to decode a window again, in order."""
    return (PLAIN, GREEDY, UNREPEATING) if prompted else (GREEDY, UNREPEATING)


def best_hearing(hearings: Sequence[WindowResult]) -> int:
    """Return the index of the hearing to keep: one without complaint, else the surest text.

    An empty hearing of much speech is the worst, since it hides what was said.
    """
    for index, hearing in enumerate(hearings):
        if complaint(hearing) is None:
            return index

    def merit(index: int) -> tuple[bool, bool, float]:
        segments = hearings[index].segments
        text = "".join(segment.text for segment in segments)
        sure = segments[0].average_logprob if segments else 0.0
        return bool(segments), compression_ratio(text) <= REPETITIVE, sure

    return max(range(len(hearings)), key=merit)
