"""Quality as a fault: output that can't be what was said, and which hearing to keep.

A window that fails a check is decoded again without its prompt and with another
search; the best hearing is kept, and the result says so. What people really say twice,
or twelve times, is no fault: a text that compresses well is doubted only where its words
could not have been spoken in their time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from longscribe.core.phrases import compression_ratio, segments_of
from longscribe.types import SAMPLE_RATE, Segment, WindowResult, Word, to_samples

REPETITIVE = 2.4
"""zlib compression ratio over which text repeats itself (openai/whisper, transcribe.py)."""
REPETITIVE_LENGTH = 60
"""Characters. Shorter text says nothing by its compression ratio."""
FASTEST = 30.0
"""Characters a second of speech. Auctioneers reach about 25; English is spoken at about 15."""
FASTEST_REPEATED = 22.0
"""Characters a second of a text that repeats itself: over this, it was not all said. Of 20 chapters
read aloud none reaches it in any window, nor do the refrains of a fast reading of Dickens (19)."""
FASTEST_LENGTH = 40
"""Characters. A short phrase in speech that the detector clipped is no evidence."""
INSTANT = to_samples(0.02)
"""A word this short has no time of its own: one frame of the decoder's attention."""
PILE = 5
"""Words without time, one after another: alignment found no sound for them, as in a loop."""
MUCH_SPEECH = 2 * SAMPLE_RATE
"""With this much speech there must be words."""
LITTLE_SPEECH = 1.0
"""Seconds. A list of terms in less speech than this is an echo of the prompt."""
ECHO_SHARE = 0.8
"""Of the words, in little speech."""
ECHO_RUN = 3
"""Terms one after another just as the prompt lists them, which is no order that people say
names in. In any length of speech, a text that is mostly such runs is an echo."""


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
    if any(piles(result)):
        return "words piled on one instant"
    if _repeats(text) and len(text) > FASTEST_REPEATED * max(speech, 0.1):
        return "the text repeats itself"
    if len(text) >= FASTEST_LENGTH and len(text) > FASTEST * max(speech, 0.1):
        return f"{len(text)} characters in {speech:.1f} s of speech"
    return "an echo of the prompt" if _is_echo(result) else None


def _repeats(text: str) -> bool:
    return len(text) >= REPETITIVE_LENGTH and compression_ratio(text) > REPETITIVE


def piles(result: WindowResult) -> Iterator[tuple[Word, ...]]:
    """Yield the runs of words in a window that have no time of their own."""
    words = [word for segment in result.segments for word in segment.words]
    for instant, run in groupby(words, lambda word: word.end - word.start <= INSTANT):
        piled = tuple(run)
        if instant and len(piled) >= PILE:
            yield piled


def without_piles(result: WindowResult) -> WindowResult:
    """Return a window without the words that a loop piled on one instant; a remark says so."""
    looped = {id(word) for pile in piles(result) for word in pile}
    if not looped:
        return result
    segments: list[Segment] = []
    for segment in result.segments:
        words = tuple(word for word in segment.words if id(word) not in looped)
        segments += segments_of(words, segment) if len(words) < len(segment.words) else [segment]
    remark = f"{len(looped)} words piled on one instant were taken out as a loop"
    return replace(result, segments=tuple(segments), remarks=(*result.remarks, remark))


def _is_echo(result: WindowResult) -> bool:
    """Tell whether a window's text is taken from its prompt."""
    said = _words("".join(segment.text for segment in result.segments))
    terms = result.prompt.terms
    little = result.window.speech < LITTLE_SPEECH * SAMPLE_RATE
    if little and _echo_share(said, terms) >= ECHO_SHARE:
        return True
    return 2 * _listed(said, terms) > len(said)


def _echo_share(said: Sequence[str], terms: Sequence[str]) -> float:
    """Return the share of what was said that is words of `terms`, if there are several."""
    given = {word for term in terms for word in _words(term)}
    return sum(word in given for word in said) / len(said) if len(said) > 2 else 0.0


def _listed(said: Sequence[str], terms: Sequence[str]) -> int:
    """Return how many words stand in runs of terms as the prompt lists them: the best last.

    After the last comes the first, since a prompt may be filled by repeating its terms.
    """
    spellings = list(dict.fromkeys(filter(None, (tuple(_words(term)) for term in terms))))
    order = {spelling: number for number, spelling in enumerate(reversed(spellings))}
    if len(order) < ECHO_RUN:
        return 0
    listed = in_run = length = 0
    last: int | None = None
    for number, words in _parts(said, order):
        if number is None or last is None or number != (last + 1) % len(order):
            listed += in_run if length >= ECHO_RUN else 0
            in_run = length = 0
        last = number
        if number is not None:
            in_run, length = in_run + words, length + 1
    return listed + (in_run if length >= ECHO_RUN else 0)


def _parts(
    said: Sequence[str], order: Mapping[tuple[str, ...], int]
) -> Iterator[tuple[int | None, int]]:
    """Yield for each term, or word that begins none: the term's number, how many words it has."""
    longest = max(map(len, order))
    at = 0
    while at < len(said):
        lengths = range(min(longest, len(said) - at), 0, -1)
        fitting = (n for n in lengths if tuple(said[at : at + n]) in order)
        words = next(fitting, 0)
        yield (order[tuple(said[at : at + words])], words) if words else (None, 1)
        at += words or 1


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def other_hearings(*, prompted: bool) -> tuple[Hearing, ...]:
    """Return how to decode a window again, in order."""
    return (PLAIN, GREEDY, UNREPEATING) if prompted else (GREEDY, UNREPEATING)


def best_hearing(hearings: Sequence[WindowResult]) -> int:
    """Return the index of the hearing to keep: one without complaint, else the surest text.

    An empty hearing of much speech is bad, since it hides what was said; an echo of the prompt
    is worse, since it also says what was not.
    """
    for index, hearing in enumerate(hearings):
        if complaint(hearing) is None:
            return index

    def merit(index: int) -> tuple[bool, bool, bool, float]:
        hearing = hearings[index]
        sure = hearing.segments[0].average_logprob if hearing.segments else 0.0
        echo = _is_echo(hearing)
        return not echo, bool(hearing.segments), not any(piles(hearing)), sure

    return max(range(len(hearings)), key=merit)
