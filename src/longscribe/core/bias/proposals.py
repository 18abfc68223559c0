"""Proposals: where a term may stand in the place of what was heard, and putting it there.

Words outside accepted spans stay as they were heard, to the letter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from rapidfuzz.distance import Levenshtein

from longscribe.core.bias.retrieval import Hit
from longscribe.core.bias.spelling import (
    POSSESSIVE,
    compared,
    core_of,
    distinction,
    is_wide,
    spelt,
)
from longscribe.core.phrases import SENTENCE_ENDS
from longscribe.types import Segment, Term, WindowResult, Word

LONGEST_SPAN = 4
"""Words that may be heard for one term."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """The words of one window in a row, as they were heard without terms."""

    words: tuple[Word, ...]
    segment_of: tuple[int, ...]
    """The segment of each word."""
    phrases: tuple[str, ...]
    """The text of each segment."""

    @classmethod
    def of(cls, result: WindowResult) -> Heard:
        """Return the words of a window's result."""
        placed = [(n, word) for n, each in enumerate(result.segments) for word in each.words]
        return cls(
            words=tuple(word for _, word in placed),
            segment_of=tuple(n for n, _ in placed),
            phrases=tuple(each.text for each in result.segments),
        )

    def text(self, first: int, stop: int) -> str:
        """Return the text of the words `[first, stop)`, as decoded."""
        return "".join(word.text for word in self.words[first:stop])

    def begins_sentence(self, index: int) -> bool:
        """Tell whether a sentence begins with this word."""
        if index == 0 or self.segment_of[index] != self.segment_of[index - 1]:
            return True
        return self.words[index - 1].text.rstrip().endswith(tuple(SENTENCE_ENDS))


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A term and the words `[first, stop)` of the window in whose place it may stand."""

    first: int
    stop: int
    term: Term
    written: str
    """What would stand there: the term with the spaces, punctuation and ending heard."""
    sound: float
    timing: int
    second_pass: bool
    by_rule_of_user: bool
    """The glossary says that what was heard is always wrong (`Term.never`)."""
    capitals_only: bool = False
    """What is written is, letter by letter, what was heard, in the term's capitals."""


def candidates(
    heard: Heard,
    hits: Sequence[Hit],
    second: WindowResult | None,
    apart: Callable[[int, int, Term], float],
    *,
    from_sound: bool,
) -> list[Candidate]:
    """Return what is to be weighed for a window, each (span, term) once, in order.

    Args:
        heard: the words of the first pass.
        hits: terms that sound like spans of them.
        second: the window decoded again with those terms in its prompt.
        apart: how far the sound of a term is from that of the words `[first, stop)`.
        from_sound: whether to propose where only the sound speaks for a term.
    """
    sounds = {
        (hit.first, hit.last + 1, hit.term.text): hit for hit in hits if unsettled(hit, heard)
    }
    terms = {hit.term.text: hit for hit in reversed(hits)}
    written: dict[tuple[int, int, str], str] = {}
    for span, plural in _second_pass_spans(heard, second, hits):
        written.setdefault(span, plural)
    spans = [*sounds, *(key for key in written if key not in sounds)]
    found = []
    for key in sorted(spans):
        first, stop, name = key
        hit = sounds.get(key, terms[name])
        said = compared(heard.text(first, stop))
        always_wrong = said in {compared(spelling) for spelling in hit.term.never}
        agreed = key in written
        if not (agreed or always_wrong or (from_sound and key in sounds)):
            continue
        plural = written.get(key, "")
        sound = hit.sound_distance if key in sounds else apart(first, stop, hit.term)
        if plural:
            sound = min(sound, apart(first, stop, replace(hit.term, text=name + plural)))
        found.append(
            Candidate(
                first=first,
                stop=stop,
                term=hit.term,
                written=fitted(hit.term, heard, first, stop, plural),
                sound=sound,
                timing=hit.timing,
                second_pass=agreed,
                by_rule_of_user=always_wrong,
            )
        )
    return [each for each in found if changes_something(each, heard)]


def unsettled(hit: Hit, heard: Heard) -> bool:
    """Tell whether anything is left to decide where a term sounds like what was heard."""
    if not hit.already_right:
        return True
    # But for case it is right. That counts, unless these very capitals are never right.
    said = spelt(heard.text(hit.first, hit.last + 1))
    wrong = {spelt(text) for text in hit.term.never}
    return hit.always_wrong and not wrong.isdisjoint((said, POSSESSIVE.sub("", said)))


def changes_something(candidate: Candidate, heard: Heard) -> bool:
    """Tell whether a candidate's words stand in their segment as they do alone, and change."""
    said = heard.text(candidate.first, candidate.stop)
    stands = said.strip() in heard.phrases[heard.segment_of[candidate.first]]
    return stands and candidate.written != said


def _second_pass_spans(
    heard: Heard, second: WindowResult | None, hits: Sequence[Hit]
) -> Iterator[tuple[tuple[int, int, str], str]]:
    """Yield the spans of the first pass in whose place the second pass wrote a term.

    Each with the term, and with the ending of its plural if that was written. The texts of both
    are laid beside each other letter by letter, so the second pass needs no word times.
    """
    if second is None:
        return
    again = " ".join(" ".join(compared(each.text)) for each in second.segments)
    begins, ends = _counterparts(" ".join(_spelt(heard)), again)
    terms = {hit.term.text: hit.term for hit in hits}
    known = {compared(name) for name in terms}
    for name, term in terms.items():
        for plural in ("", *_plurals(term)):
            form = compared(name + plural)
            if plural and form in known:
                continue
            for first, stop in _places_of(" ".join(form), again):
                begin, end = begins[first], ends[stop - 1]
                span = _sounding(heard, term, hits, begin, end) or _covered(heard, begin, end)
                if span is None or not _may_be_one(heard.text(*span), name + plural):
                    continue
                if not plural or _may_be_plural(heard.text(*span), term):
                    yield (*span, name), plural


def _plurals(term: Term) -> tuple[str, ...]:
    """Return the endings of a term's plural, where it is written like an English one."""
    last = term.text[-1:].casefold()
    if not term.inflect or last == "s" or not (last.isascii() and last.isalpha()):
        return ()
    return "s", "es"


def _may_be_plural(said: str, term: Term) -> bool:
    """Tell whether what was heard ends like a plural, and is no other spelling of the term."""
    others = map(compared, (*term.aliases, *term.never))
    words = compared(said)
    return bool(words) and words[-1].endswith("s") and words not in others


def _may_be_one(said: str, term: str) -> bool:
    """Tell whether what was heard is not the term, and may yet be the term misheard."""
    return compared(said) != compared(term) and distinction(said) == distinction(term)


def _places_of(term: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where `term` stands in `text` as whole words; anywhere in scripts without spaces."""
    at = text.find(term) if term else -1
    while at >= 0:
        end = at + len(term)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if _parts(before, term[0]) and _parts(term[-1], after):
            yield at, end
        at = text.find(term, at + 1)


def _parts(left: str, right: str) -> bool:
    """Tell whether a word may end between two letters, or at an end of the text.

    Scripts of wide characters are written without spaces.
    """
    wide = all(map(is_wide, left + right))
    return wide or not {"", " "}.isdisjoint((left, right))


def _spelt(heard: Heard) -> list[str]:
    """Return the heard words as they are compared."""
    return [" ".join(compared(word.text)) for word in heard.words]


def _counterparts(heard: str, again: str) -> tuple[list[int], list[int]]:
    """Return, for every letter of `again`, where its counterpart in `heard` begins and ends."""
    begins, ends = [0] * len(again), [0] * len(again)
    for block in Levenshtein.opcodes(heard, again):
        for n, there in enumerate(range(block.dest_start, block.dest_end)):
            begins[there] = min(block.src_start + n, block.src_end)
            ends[there] = min(block.src_start + n + 1, block.src_end)
    return begins, ends


def _middles(heard: Heard) -> list[float]:
    """Return where the middle of each heard word lies in the text of all."""
    middles, at = [], 0
    for word in _spelt(heard):
        middles.append(at + len(word) / 2)
        at += len(word) + 1
    return middles


def _sounding(
    heard: Heard, term: Term, hits: Sequence[Hit], begin: int, end: int
) -> tuple[int, int] | None:
    """Return the words that sound like `term` and have their middle between these letters."""
    middles = _middles(heard)
    here = [
        (hit.sound_distance, hit.first, hit.last + 1)
        for hit in hits
        if hit.term == term and begin <= (middles[hit.first] + middles[hit.last]) / 2 < end
    ]
    return min(here)[1:] if here else None


def _covered(heard: Heard, begin: int, end: int) -> tuple[int, int] | None:
    """Return the words whose middle lies between these letters, if few and of one phrase."""
    inside = [n for n, middle in enumerate(_middles(heard)) if begin <= middle < end]
    if not inside or len(inside) > LONGEST_SPAN:
        return None
    first, stop = inside[0], inside[-1] + 1
    if heard.segment_of[first] != heard.segment_of[stop - 1]:
        return None
    return first, stop


def fitted(term: Term, heard: Heard, first: int, stop: int, plural: str = "") -> str:
    """Return the term, or its plural, as it is written for the words `[first, stop)`."""
    text = heard.text(first, stop)
    begin, end = core_of(text)
    core = text[begin:end]
    name = sentence_case(term.text + plural, core, begins=heard.begins_sentence(first))
    ending = POSSESSIVE.search(core) if term.inflect and not POSSESSIVE.search(name) else None
    return _joined(text[:begin], name + (ending.group() if ending else ""), text[end:])


def sentence_case(name: str, said: str, *, begins: bool) -> str:
    """Return a term as it is written where a sentence may begin.

    Only a first word without any capital takes one there: `iPhone` stays.
    """
    if begins and said[:1].isupper() and name.partition(" ")[0].islower():
        return name[:1].upper() + name[1:]
    return name


def _joined(opening: str, name: str, closing: str) -> str:
    """Put signs around a term, but for those that it has itself, such as the dot of `Inc.`."""
    before = next(n for n in range(len(opening) + 1) if name.startswith(opening[n:]))
    after = next(n for n in range(len(closing), -1, -1) if name.endswith(closing[:n]))
    return opening[:before] + name + closing[after:]


def with_candidate(heard: Heard, candidate: Candidate, stop: int) -> str:
    """Return the window's text up to the word `stop`, with the term in its place."""
    before, after = heard.text(0, candidate.first), heard.text(candidate.stop, stop)
    return before + candidate.written + after


def patched(
    result: WindowResult, heard: Heard, accepted: Sequence[tuple[Candidate, float]]
) -> WindowResult:
    """Return the window with accepted candidates, which do not overlap, in their places.

    Args:
        result: the window as heard.
        heard: its words.
        accepted: candidates, each with the probability that its words are given.
    """
    begin = {candidate.first: (candidate, sure) for candidate, sure in accepted}
    segments = []
    index = 0
    for segment in result.segments:
        words: list[Word] = []
        text, at = segment.text, 0
        stop = index + len(segment.words)
        while index < stop:
            word = segment.words[index - (stop - len(segment.words))]
            if index not in begin:
                words.append(word)
                at = _after(text, word.text, at)
                index += 1
                continue
            candidate, sure = begin[index]
            said = heard.text(candidate.first, candidate.stop)
            place = text.find(said.strip(), at)
            if place >= 0:
                put = candidate.written.strip()
                text = text[:place] + put + text[place + len(said.strip()) :]
                at = place + len(put)
                words += _words_of(candidate, heard, sure)
            else:  # the phrase does not hold the words as they stand alone: leave it as it is
                words += heard.words[candidate.first : candidate.stop]
            index = candidate.stop
        segments.append(replace(segment, words=tuple(words), text=text))
    return replace(result, segments=tuple(segments))


def _after(text: str, word: str, at: int) -> int:
    """Return where `text` goes on behind `word`, which stands at or after `at`."""
    place = text.find(word.strip(), at)
    return place + len(word.strip()) if place >= 0 else at


def _words_of(candidate: Candidate, heard: Heard, sure: float) -> list[Word]:
    """Return the words of what is written, sharing the time of what was heard by length.

    Where only capitals change, each word keeps its time and probability.
    """
    if candidate.capitals_only:
        said = heard.words[candidate.first : candidate.stop]
        stops = list(accumulate(len(word.text) for word in said))
        texts = [candidate.written[a:b] for a, b in pairwise([0, *stops])]
        return [replace(word, text=text) for word, text in zip(said, texts, strict=True)]
    start, end = heard.words[candidate.first].start, heard.words[candidate.stop - 1].end
    pieces = re.findall(r"\s*\S+", candidate.written)
    total = sum(len(piece.strip()) for piece in pieces)
    words, done = [], 0
    for piece in pieces:
        begins = start + (end - start) * done // total
        done += len(piece.strip())
        ends = start + (end - start) * done // total
        words.append(Word(start=begins, end=ends, text=piece, probability=round(sure, 4)))
    return words


def with_terms(segments: Sequence[Segment], terms: tuple[str, ...]) -> tuple[Segment, ...]:
    """Return the segments with the terms that their window was offered."""
    return tuple(replace(segment, bias_terms=terms) for segment in segments)
