"""Subtitle cues: from segments and gaps to what stands on the screen.

    segments ─▶ atoms ─▶ runs ─▶ drafts ─▶ cues
    gaps ───────────────────────▶

An *atom* is the smallest stretch of text that is never broken: a word, or one
character of a script written without spaces. A *run* is what is spoken without
a real pause; the cheapest way to cut it into cues (`_partition`) becomes
drafts. `_laid_out` then settles the times: never overlapping, never running
backwards, on the screen long enough. Everything is a generator, so no more
than a run (`_RUN_MS`) is held.

No word is lost, altered or moved: the cues' text is the segments' text, but
for white space. Sources for the numbers: the Netflix timed text style guides
(42 characters, two lines, 5/6 s to 7 s, break after punctuation and before
conjunctions and prepositions) and the BBC subtitle guidelines (a subtitle
stays within 1.5 s of its speech).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import accumulate, pairwise
from typing import NamedTuple

from longscribe.core.line_breaks import (
    LEANING,
    NEVER_FIRST,
    UNSPACED,
    UNSPACED_RUNS,
    bounded,
    breakable,
    by_dictionary,
    dictionary_letters,
    width,
    word_starts,
)
from longscribe.ports import TranscriptView
from longscribe.types import SAMPLE_RATE, Cue, Gap, Segment

# --- limits ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CueLimits:
    """What a cue may hold. A cue has at most two lines."""

    line_length: int
    """Characters in a line; marks that combine with a letter don't count."""
    reading_speed: int
    """Characters a second a viewer can read. Time is added to reach it, never text removed."""
    shortest_ms: int
    """A cue stays this long where the next one allows it."""
    longest_ms: int
    """No text stays longer."""


_DEFAULT = CueLimits(line_length=42, reading_speed=17, shortest_ms=833, longest_ms=7000)

LIMITS: dict[str, CueLimits] = {
    "en": replace(_DEFAULT, reading_speed=20),
    "zh": replace(_DEFAULT, line_length=16, reading_speed=9),
    "yue": replace(_DEFAULT, line_length=16, reading_speed=9),
    "ja": replace(_DEFAULT, line_length=16, reading_speed=4),
    "ko": replace(_DEFAULT, line_length=16, reading_speed=12),
    "th": replace(_DEFAULT, line_length=35),
}
"""Language → limits that differ (Netflix, as in Subtitle Edit's NetflixQualityController.cs)."""


def limits_for(language: str | None) -> CueLimits:
    """Return the limits of `language`; None or one without an entry gets the common ones."""
    return LIMITS.get(language or "", _DEFAULT)


_PAUSE_MS = 1000  # a pause that always ends a cue
_BREATH_MS = 300  # a pause where one ends well
_LINGER_MS = 1000  # how far a cue may outstay its speech to be read (the BBC bears 1.5 s)
_RUN_MS = 60_000  # a run this long ends at the next sentence, twice as long it ends anywhere
_RUN_ATOMS = 1500


# --- what every writer says in the same words -------------------------------


def gap_text(gap: Gap) -> str:
    """Return how a gap is worded in every format: `[not transcribed: 12 s, worker crashed]`."""
    reason = one_line(gap.reason)
    return f"[not transcribed: {_duration(gap.span.length)}{', ' if reason else ''}{reason}]"


def one_line(text: str) -> str:
    """Return `text` on one line: white space becomes single spaces, control characters vanish."""
    return " ".join(_UNPRINTABLE.sub("", text).split())


def to_ms(samples: int) -> int:
    """Return the millisecond nearest to `samples`."""
    return (samples * 1000 + SAMPLE_RATE // 2) // SAMPLE_RATE


def in_order(segments: Iterable[Segment], gaps: Sequence[Gap]) -> Iterator[Segment | Gap]:
    """Yield segments and gaps by start time, reading `segments` one at a time.

    A gap without length hides nothing and is left out.
    """
    return merge(segments, _real(gaps), key=_start)


def _real(gaps: Sequence[Gap]) -> list[Gap]:
    return sorted((gap for gap in gaps if gap.span.length), key=_start)


def _start(item: Segment | Gap) -> int:
    return item.span.start if isinstance(item, Gap) else item.start


def _start_ms(item: _Atom | Gap) -> int:
    return to_ms(item.span.start) if isinstance(item, Gap) else item.start


def _duration(samples: int) -> str:
    """Return a length for a person: `0.4 s`, `12 s`, `4 min 10 s`, `1 h 2 min`."""
    if samples < SAMPLE_RATE:
        return f"{max(samples / SAMPLE_RATE, 0.1):.1f} s"  # never `0.0 s`: something is missing
    minutes, seconds = divmod(round(samples / SAMPLE_RATE), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


# --- the way from segments to cues ------------------------------------------

_Small = frozenset[str]  # small words that belong to what follows them
_Draft = tuple[Cue, bool]  # a cue, and whether it is speech


def cues(
    segments: Iterable[Segment],
    gaps: Sequence[Gap],
    language: str | None,
    duration: int | None = None,
) -> Iterator[Cue]:
    """Yield the subtitles of a transcript in order, holding no more than a run of it.

    Each gap (they are disjoint) becomes one cue that spans it.

    Args:
        segments: in order.
        gaps: what is missing.
        language: code of the text's language, whatever was spoken; it chooses the limits and
            the words to break before.
        duration: of the media, in samples; no cue stays longer.
    """
    limits = limits_for(language)
    leaning = LEANING.get(language or "", frozenset())
    spoken = (atom for segment in segments for atom in _atoms(segment, limits.line_length))
    drafts = _drafts(merge(spoken, _real(gaps), key=_start_ms), limits, leaning)
    laid_out = _laid_out(drafts, limits)
    return laid_out if duration is None else _ended(laid_out, duration * 1000 // SAMPLE_RATE)


def cues_of(view: TranscriptView) -> Iterator[Cue]:
    """Yield the subtitles of a transcript."""
    return cues(view.segments(), view.gaps(), view.text_language, view.duration or None)


def _ended(laid_out: Iterable[Cue], media_ms: int) -> Iterator[Cue]:
    """Yield the cues so that none outlasts the media."""
    for cue in laid_out:
        yield replace(cue, end_ms=max(min(cue.end_ms, media_ms), cue.start_ms + 1))


def _drafts(items: Iterable[_Atom | Gap], limits: CueLimits, leaning: _Small) -> Iterator[_Draft]:
    """Yield cues as spoken; times may still touch or overlap."""
    run: list[_Atom] = []
    for item in items:
        if isinstance(item, Gap):
            yield from _cut(run, limits, leaning)
            run = []
            yield _gap_cue(item), False
        elif run and _run_ends(run, item):
            yield from _cut(run, limits, leaning)
            run = [item]
        else:
            run.append(item)
    yield from _cut(run, limits, leaning)


def _run_ends(run: list[_Atom], following: _Atom) -> bool:
    length = following.start - run[0].start
    return (
        following.start - run[-1].end >= _PAUSE_MS
        or (length >= _RUN_MS and _ends_sentence(run[-1], following))
        or length >= 2 * _RUN_MS
        or len(run) >= _RUN_ATOMS  # where a model is lost in a loop, times may stand still
    )


def _gap_cue(gap: Gap) -> Cue:
    # The wording is English whatever the language of the speech, so it gets English lines.
    head, comma, reason = gap_text(gap).partition(", ")
    lines = [head + comma + reason]
    if width(lines[0]) > _DEFAULT.line_length:
        lines = [head + ",", *textwrap.wrap(reason, _DEFAULT.line_length)]
    start = to_ms(gap.span.start)
    return Cue(start_ms=start, end_ms=max(to_ms(gap.span.end), start + 1), lines=tuple(lines))


def _cut(run: list[_Atom], limits: CueLimits, leaning: _Small) -> Iterator[_Draft]:
    """Yield the run as cues of speech."""
    inner = [_break_cost(left, right, leaning) for left, right in pairwise(run)]
    breaks = [0.0, *inner, 0.0]  # before each atom, and at the end
    for start, end in _partition(run, breaks, limits):
        begins = run[start].start
        ends = min(run[end - 1].end, begins + limits.longest_ms)
        lines = _lines(run[start:end], breaks[start:end], limits.line_length)
        yield Cue(start_ms=begins, end_ms=ends, lines=lines), True


def _laid_out(drafts: Iterable[_Draft], limits: CueLimits) -> Iterator[Cue]:
    """Yield the drafts so that they never overlap and stay long enough to be read."""
    held: Cue | None = None
    held_is_speech = False
    for cue, is_speech in drafts:
        following = cue
        if held is not None:
            boundary = max(cue.start_ms, held.end_ms)
            if held_is_speech:
                boundary = max(cue.start_ms, held.start_ms + 1, _fair(held, cue, limits))
            yield _stretched(held, boundary, limits, speech=held_is_speech)
            following = replace(cue, start_ms=boundary, end_ms=max(cue.end_ms, boundary + 1))
        held, held_is_speech = following, is_speech
    if held is not None:
        yield _stretched(held, None, limits, speech=held_is_speech)


def _fair(held: Cue, following: Cue, limits: CueLimits) -> int:
    """Return how long `held` may stay where the two overlap, as two decode windows may.

    Long enough to be read, but no more than half of the time of both.
    """
    middle = (held.start_ms + following.end_ms) // 2
    return min(held.end_ms, held.start_ms + limits.shortest_ms, middle)


def _stretched(cue: Cue, boundary: int | None, limits: CueLimits, *, speech: bool) -> Cue:
    """Return `cue` on the screen long enough, but not past `boundary` (None: no next cue)."""
    reading_ms = 1000 * sum(map(width, cue.lines)) // limits.reading_speed
    read = min(cue.start_ms + reading_ms, cue.end_ms + _LINGER_MS)
    end = max(cue.end_ms, cue.start_ms + limits.shortest_ms, read)
    if speech:
        end = min(end, cue.start_ms + limits.longest_ms)
    elif cue.end_ms - cue.start_ms >= limits.shortest_ms:
        end = cue.end_ms  # A gap says exactly what is missing.
    return replace(cue, end_ms=end if boundary is None else min(end, boundary))


# --- cutting a run into cues ------------------------------------------------

# What a break costs, from best to worst. A cue costs `_CUE` by itself, so a
# break between two cues must be worth more than that.
_SENTENCE, _BREATH, _CLAUSE, _BEFORE_LEANING = 0.0, 1.0, 2.0, 4.0
_PHRASE, _PLAIN, _AFTER_LEANING, _IN_WORD = 5.0, 8.0, 18.0, 40.0
_CUE = 4.0
_TWO_SENTENCES = 5.0  # so two share a cue only if one is too short to stand alone
_ACROSS_BREATH = 3.0
_FLASH = 6.0  # a cue that must go before it can be read
_STUB = 4.0  # a cue of a word or two, less the longer it is


def _partition(run: list[_Atom], breaks: list[float], limits: CueLimits) -> list[tuple[int, int]]:
    """Return the cheapest way to cut the run into cues, as `[start, end)` pairs of atoms."""
    size = len(run)
    # Keeping a boundary inside a cue costs, too. Totals make the sum over a cue one subtraction.
    kept = (
        (breaks[index] == _SENTENCE) * _TWO_SENTENCES
        + (run[index].start - run[index - 1].end >= _BREATH_MS) * _ACROSS_BREATH
        for index in range(1, size)
    )
    inside = [0.0, *accumulate(kept)]
    best = [0.0] + [float("inf")] * size
    came_from = [0] * (size + 1)
    for start in range(size):
        for end, wide in _fitting(run, start, limits):
            cost = best[start] + _CUE + breaks[end] + inside[end - 1] - inside[start]
            if 2 * wide < limits.line_length:
                cost += _STUB * (1 - 2 * wide / limits.line_length)
            if end < size and run[end].start - run[start].start < limits.shortest_ms:
                cost += _FLASH
            if cost < best[end]:
                best[end], came_from[end] = cost, start
    ends = [size]
    while ends[-1]:
        ends.append(came_from[ends[-1]])
    return list(pairwise(reversed(ends)))


def _fitting(run: list[_Atom], start: int, limits: CueLimits) -> Iterator[tuple[int, int]]:
    """Yield each end, with the width, of a cue from `start` in the limits; one atom always is."""
    lines, line, whole = 1, 0, 0
    latest = run[start].start + limits.longest_ms
    for index in range(start, len(run)):
        atom = run[index]
        if index > start and atom.end > latest:
            return
        wide = atom.width + (atom.spaced and index > start)
        if line + wide > limits.line_length:
            lines, line, wide = lines + 1, 0, atom.width
            if lines > 2:
                return
        line += wide
        whole += wide
        yield index + 1, whole


def _lines(atoms: list[_Atom], breaks: list[float], line_length: int) -> tuple[str, ...]:
    """Return the cue on one line if it fits, else on two, well broken and of like length."""
    whole = _joined(atoms)
    if width(whole) <= line_length:
        return (whole,)
    options: list[tuple[float, str, str]] = []
    for index in range(1, len(atoms)):
        first, second = _joined(atoms[:index]), _joined(atoms[index:])
        upper, lower = width(first), width(second)
        if max(upper, lower) <= line_length:
            unbalance = 10 * abs(upper - lower) / line_length
            options.append((breaks[index] + unbalance, first, second))
    return min(options)[1:]


def _joined(atoms: Sequence[_Atom]) -> str:
    return "".join(" " + atom.text if atom.spaced else atom.text for atom in atoms).strip(" ")


def _break_cost(left: _Atom, right: _Atom, leaning: _Small) -> float:
    if NEVER_FIRST.issuperset(right.text):
        return _IN_WORD  # A mark set off by a space, as in French.
    if _ends_sentence(left, right):
        return _SENTENCE
    if right.start - left.end >= _BREATH_MS:
        return _BREATH
    if _ABBREVIATION.search(left.text):
        return _AFTER_LEANING
    if left.text.rstrip(_CLOSING)[-1:] in _CLAUSE_ENDS:
        return _CLAUSE
    if not right.spaced:
        return _PLAIN if breakable(left.text[-1], right.text[0]) else _IN_WORD
    if UNSPACED.match(left.text[-1]):
        return _CLAUSE  # Scripts without spaces between words put one between phrases.
    if left.text.lower() in leaning:
        return _AFTER_LEANING
    if right.text.lower() in leaning:
        return _BEFORE_LEANING
    return _PHRASE if right.opens else _PLAIN


def _ends_sentence(left: _Atom, right: _Atom) -> bool:
    text = left.text.rstrip(_CLOSING)
    if text[-1:] not in _SENTENCE_ENDS:
        return False
    if text.endswith((".", "…")):
        return not (_ABBREVIATION.search(text) or right.text[0].islower())
    return True


# --- atoms -----------------------------------------------------------------


class _Atom(NamedTuple):
    """Text that is never broken, with its times in milliseconds."""

    text: str
    start: int
    end: int
    spaced: bool
    """White space stands before it."""
    opens: bool
    """It is the first of its segment."""
    width: int


def _atoms(segment: Segment, line_length: int) -> list[_Atom]:
    """Return the text of a segment as atoms, timed by its words or else by its characters."""
    begins, ends = to_ms(segment.start), max(to_ms(segment.start), to_ms(segment.end))
    words = [(word.text, to_ms(word.start), to_ms(word.end)) for word in segment.words]
    # The text is the truth; words that don't spell it can't time it.
    timed = _bare("".join(text for text, *_ in words)) == _bare(segment.text)
    atoms: list[_Atom] = []
    starts = word_starts(segment.text)
    spaced, clock, letters = True, begins, 0
    for raw, said_from, said_to in words if timed else [(segment.text, begins, ends)]:
        text = _UNPRINTABLE.sub("", raw)
        start = min(max(said_from, clock), ends)
        clock = min(max(said_to, start), ends)
        spaced = spaced or text[:1].isspace()
        whole = timed and not (starts and dictionary_letters(text))
        for piece in _spread(_pieces(text, line_length, whole=whole), start, clock):
            apart = spaced or piece.spaced
            if not apart and not _parts(atoms[-1].text[-1], piece, letters, starts):
                atoms += _together(atoms.pop(), piece, line_length)
            else:
                atoms.append(piece._replace(spaced=apart, opens=not atoms))
            spaced = False
            letters += dictionary_letters(piece.text)
        spaced = spaced or text[-1:].isspace()
    return atoms


def _pieces(text: str, line_length: int, *, whole: bool) -> list[tuple[str, bool]]:
    """Return what `text` may be broken into, and whether white space stands before each.

    `text` is a word, or all of a segment. What is longer than `line_length` is
    broken between any characters; `whole` keeps other words of scripts without
    spaces as they came.
    """
    found: list[tuple[str, bool]] = []
    for number, token in enumerate(_BREAKING_SPACE.split(text.strip())):
        if not token.strip():
            continue
        kept = [token] if whole else UNSPACED_RUNS.findall(token)
        parts = [part for keep in kept for part in bounded(keep, line_length)]
        found += [(part, number > 0 and place == 0) for place, part in enumerate(parts)]
    return found


def _spread(pieces: list[tuple[str, bool]], start: int, end: int) -> Iterator[_Atom]:
    """Yield the pieces as atoms that share `[start, end)` by their number of characters."""
    total = sum(len(text) for text, _ in pieces)
    done = 0
    for text, spaced in pieces:
        begins = start + (end - start) * done // total
        done += len(text)
        until = start + (end - start) * done // total
        yield _Atom(text, begins, until, spaced, opens=False, width=width(text))


def _parts(before: str, piece: _Atom, letters: int, starts: frozenset[int] | None) -> bool:
    """Tell whether a line may break before `piece`, which touches what is before it.

    `letters` of scripts that only a dictionary can divide stand before it.
    """
    if starts is not None and by_dictionary(before, piece.text[0]):
        return letters in starts
    return breakable(before, piece.text[0])


def _together(left: _Atom, right: _Atom, line_length: int) -> list[_Atom]:
    """Return both as one atom, or where that would be longer than a line as they are."""
    if left.width + right.width > line_length:
        return [left, right._replace(spaced=False)]
    text = left.text + right.text
    return [left._replace(text=text, end=right.end, width=left.width + right.width)]


def _bare(text: str) -> str:
    return "".join(_UNPRINTABLE.sub("", text).split())


# --- characters and words ---------------------------------------------------

# Controls other than white space, and the byte order mark, mean nothing in text.
_UNPRINTABLE = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
_BREAKING_SPACE = re.compile("[^\\S\u00a0\u2007\u202f]+")  # not the kinds that forbid a break

_CLOSING = "\"'\u201d\u2019\u00bb)]}\u300d\u300f\uff09"
_SENTENCE_ENDS = frozenset(".!?\u2026\u3002\uff01\uff1f\u0964\u061f\u06d4\u104b\u17d4")
_CLAUSE_ENDS = frozenset(",;:\u2014\u2013\u3001\uff0c\uff1b\uff1a\u060c\u061b\u2026.")
_ABBREVIATION = re.compile(r"(?:^|\W)(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|vs|No|bzw|ca|Hr|Fr)\.$")
