"""Decoding again where the detector hears speech and the text has no word.

Cheap and bounded: only the stretches that hold no word are decoded, in three ways each,
and the words that the recognizer is surest of are put in their place. What all three
leave without words is declared in the ledger (`core/wordless.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from longscribe.config import DecodeSettings
from longscribe.core.coverage import said_in
from longscribe.core.phrases import segments_of
from longscribe.core.quality import complaint
from longscribe.core.wordless import LEAST_PROBABILITY, Found, fitted, wordless
from longscribe.ports import Recognizer, WindowAudio
from longscribe.types import SAMPLE_RATE, Span, Window, WindowBias, WindowResult, Word, to_samples

if TYPE_CHECKING:
    from longscribe.ports import Pcm

REACH = to_samples(0.3)
"""How far a second decode reaches to both sides of a stretch, so that no word is cut."""
CONTEXT = to_samples(1.0)
MOST_STRETCHES = 24
"""Stretches of a chunk that are decoded again: more of them are no dropped clauses but audio that
holds no words, and each costs three decodes."""
LONGEST = 29 * SAMPLE_RATE
"""Audio of a second decode: the most that fits into a window with some room."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to decode a stretch again."""

    audio: Callable[[Span, Window], Span]
    """From the stretch and the window it lies in to the audio to decode."""
    beam_size: int | None
    """None: as asked."""


def _apart(stretch: Span, _: Window) -> Span:
    return Span(start=max(0, stretch.start - REACH), end=stretch.end + REACH)


def _onwards(stretch: Span, window: Window) -> Span:
    return Span(start=max(0, stretch.start - REACH), end=max(stretch.end + REACH, window.span.end))


def _in_context(stretch: Span, _: Window) -> Span:
    return Span(start=max(0, stretch.start - CONTEXT), end=stretch.end + CONTEXT)


WAYS = (
    Way(audio=_apart, beam_size=None),
    Way(audio=_onwards, beam_size=1),
    Way(audio=_in_context, beam_size=1),
)
"""On the clauses that Whisper dropped in 88 minutes of read speech no way found all, and for each
clause one did (docs/decisions/0020)."""


@dataclass(frozen=True, kw_only=True)
class _Lack:
    """A stretch of speech without words, and the window whose text lacks them."""

    stretch: Span
    member: WindowAudio


class SecondDecoder:
    """Decodes speech without words again.

    Args:
        recognizer: with its model loaded.
        audio: gives the samples of a part of the recording.
        bounds: the audio that may be decoded: what the chunk's result is keyed by.
    """

    def __init__(self, recognizer: Recognizer, audio: Callable[[Span], Pcm], bounds: Span) -> None:
        self._recognizer = recognizer
        self._audio = audio
        self._bounds = bounds

    def fill(
        self,
        results: Mapping[int, WindowResult],
        members: Sequence[WindowAudio],
        settings: DecodeSettings,
    ) -> Iterator[WindowResult]:
        """Yield each window whose text gained words, with a remark; those that gained none too."""
        lacks = _lacks(results, members)[:MOST_STRETCHES]
        heard = [self._decode(way, lacks, settings) for way in WAYS] if lacks else []
        now = dict(results)
        for number, lack in enumerate(lacks):
            result = now[lack.member.window.index]
            hearings = [way[number] for way in heard if number in way]
            now[result.window.index] = _filled(result, lack.stretch, hearings)
            yield now[result.window.index]

    def _decode(
        self, way: Way, lacks: Sequence[_Lack], settings: DecodeSettings
    ) -> dict[int, WindowResult]:
        """Decode every stretch in one way; return what was heard, by the stretch's number."""
        members = []
        for number, lack in enumerate(lacks):
            wanted = way.audio(lack.stretch, lack.member.window).clipped(self._bounds)
            span = replace(wanted, end=min(wanted.end, wanted.start + LONGEST))
            window = Window(index=number, span=span, owns=span, speech=lack.stretch.length)
            bias = WindowBias(bias_window_id=lack.member.bias.bias_window_id, terms=())
            members.append(WindowAudio(window=window, bias=bias, pcm=self._audio(span)))
        settings = replace(
            settings, initial_prompt="", beam_size=way.beam_size or settings.beam_size
        )
        chunk_id = 0  # nothing of these results but their words is kept
        return {
            result.window.index: result
            for batch in self._recognizer.decode(members, settings, chunk_id)
            for result in batch
        }


def _lacks(results: Mapping[int, WindowResult], members: Sequence[WindowAudio]) -> list[_Lack]:
    """Return the speech without words of a chunk, each with the window that owns its middle."""
    speech = [span for member in members for span in member.window.voiced]
    said = [one for result in results.values() for one in said_in(result)]
    return [
        _Lack(stretch=stretch, member=member)
        for stretch in wordless(speech, said)
        for member in members
        if member.window.owns.start <= stretch.middle < member.window.owns.end
    ]


def _filled(result: WindowResult, stretch: Span, hearings: Sequence[WindowResult]) -> WindowResult:
    """Return a window with the words that the surest hearing has for a stretch, and a remark."""
    words = [word for segment in result.segments for word in segment.words]
    found = [
        each
        for hearing in hearings
        if complaint(hearing) is None and (each := fitted(words, stretch, _words(hearing)))
    ]
    best = max(found, key=lambda each: each.probability, default=None)
    lacking = f"no words in {stretch.length / SAMPLE_RATE:.1f} s of speech"
    if best is None or best.probability < LEAST_PROBABILITY:
        return replace(result, remarks=(*result.remarks, f"{lacking}: none found by other decodes"))
    return replace(
        _with_words(result, best, hearings),
        remarks=(*result.remarks, f"{lacking}: decoded again apart from the rest"),
    )


def _with_words(
    result: WindowResult, found: Found, hearings: Sequence[WindowResult]
) -> WindowResult:
    template = (*result.segments, *(one for each in hearings for one in each.segments))[0]
    like = replace(
        template,
        chunk_id=result.chunk_id,
        window=result.window.index,
        bias_window_id=result.bias_window_id,
        bias_terms=result.prompt.terms,
    )
    return replace(result, segments=segments_of(found.words, like))


def _words(result: WindowResult) -> list[Word]:
    return [word for segment in result.segments for word in segment.words]
