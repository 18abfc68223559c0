"""What became of a glossary: which terms were used, what was replaced, what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from longscribe.config import BiasMode
from longscribe.core.bias.places import Place, PlacedText, Spelling
from longscribe.types import Glossary, Proposal, Segment, Term, WindowResult


class GlossaryState(StrEnum):
    """How the glossary that a report is made with compares with the one that was used."""

    NONE = "none"
    """The run had neither a glossary nor learnt terms."""
    SAME = "same"
    CHANGED = "changed"
    """The file says something else by now."""
    GONE = "gone"
    """The file can't be read."""


@dataclass(frozen=True, kw_only=True)
class TermUse:
    """What became of one term. Times in samples."""

    term: str
    offered: int
    """Windows whose decoder was given it."""
    first: int | None
    """Where the first of them begins; None if there is none."""
    last: int | None
    """Where the last of them ends."""
    proposed: int
    """How often it was weighed against what was heard."""
    replaced: int
    """How often it was written in the place of what was heard."""
    places: tuple[int, ...]
    """Where it stands in the text, however it came there."""


@dataclass(frozen=True, kw_only=True)
class AntiTermFound:
    """Something in the text that the glossary says is wrong. Times in samples."""

    text: str
    instead: str | None
    """The term; None for an anti-term of the glossary as a whole."""
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class PlacedProposal:
    """A proposal and the window in which it was weighed."""

    chunk_id: int
    window: int
    """Its position in the chunk, from 0."""
    proposal: Proposal


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a report is about."""

    media: str
    mode: BiasMode
    path: str
    """Of the glossary; empty if there was none."""
    state: GlossaryState
    own_copy: bool = False
    """The report is made with the job's own copy of the terms, whatever became of the file."""
    extra_terms: tuple[str, ...]
    """Offered besides those of the glossary's file."""
    complete: bool
    """False while chunks are missing."""
    glossary: Glossary
    """All terms, with what is left of them where the file has gone."""


@dataclass(frozen=True, kw_only=True)
class BiasReport:
    """How the glossary of a job's latest run was used."""

    subject: Subject
    windows: int
    """Decoded so far."""
    terms: tuple[TermUse, ...]
    """Those that were offered, weighed or written, in the order of the glossary."""
    accepted: tuple[PlacedProposal, ...]
    """Terms written in the place of what was heard, in order of time."""
    rejected: tuple[PlacedProposal, ...]
    """Terms that were weighed and not written, in order of time."""
    absent: tuple[str, ...] | None
    """Terms that never occur in the text; None where the glossary has gone."""
    anti_terms: tuple[AntiTermFound, ...]


@dataclass(kw_only=True)
class _Tally:
    """What has been seen of one term."""

    spelling: Spelling
    offered: int = 0
    first: int | None = None
    last: int | None = None
    proposed: int = 0
    replaced: int = 0
    places: list[int] = field(default_factory=list)

    def offer(self, result: WindowResult) -> None:
        span = result.window.owns
        self.offered += 1
        self.first = span.start if self.first is None else min(self.first, span.start)
        self.last = span.end if self.last is None else max(self.last, span.end)

    @property
    def used(self) -> bool:
        return bool(self.offered or self.proposed or self.places)


def named_terms(windows: Iterable[WindowResult]) -> tuple[Term, ...]:
    """Return the terms that results speak of: what is left to go by without the glossary."""
    names: dict[str, None] = {}
    for result in windows:
        names.update(dict.fromkeys(result.prompt.terms))
        names.update(dict.fromkeys(proposal.term for proposal in result.proposals))
    return tuple(Term(text=name) for name in names)


def report_on(windows: Iterable[WindowResult], subject: Subject) -> BiasReport:
    """Add up a report from the windows of a transcript, in order; holds one at a time."""
    glossary = subject.glossary
    tallies = {term.text: _Tally(spelling=Spelling.of(term.text)) for term in glossary.terms}
    anti = _anti_spellings(glossary)
    count = 0
    proposals: list[PlacedProposal] = []
    found: list[AntiTermFound] = []
    for result in windows:
        count += 1
        proposals += _placed(result)
        _tally(result, tallies)
        text = PlacedText.of(result.segments)
        right: list[range] = []
        for tally in tallies.values():
            for place in text.find(tally.spelling):
                tally.places.append(place.start)
                right.append(place.letters)
        found += _trespasses(text, anti, right)
    terms = {term: tally for term, tally in tallies.items() if tally.used}
    proposals.sort(key=lambda it: (it.proposal.start, it.proposal.end, it.proposal.term))
    gone = subject.state is GlossaryState.GONE and not subject.own_copy
    return BiasReport(
        subject=subject,
        windows=count,
        terms=tuple(_use(term, tally) for term, tally in terms.items()),
        accepted=tuple(each for each in proposals if each.proposal.accepted),
        rejected=tuple(each for each in proposals if not each.proposal.accepted),
        absent=None if gone else tuple(t for t, tally in tallies.items() if not tally.places),
        anti_terms=tuple(sorted(found, key=lambda each: (each.start, each.end, each.text))),
    )


def replaced_in(segment: Segment, proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the accepted proposals that were written into a segment of their window."""
    starts = {word.start for word in segment.words}

    def within(proposal: Proposal) -> bool:
        # What was written begins with what was heard; a segment may have lost words at a seam.
        if starts:
            return proposal.start in starts
        return segment.start <= proposal.span.middle < segment.end

    return tuple(each for each in proposals if each.accepted and within(each))


def _placed(result: WindowResult) -> Iterator[PlacedProposal]:
    for proposal in result.proposals:
        yield PlacedProposal(
            chunk_id=result.chunk_id, window=result.window.index, proposal=proposal
        )


def _tally(result: WindowResult, tallies: dict[str, _Tally]) -> None:
    """Count what a window was offered and what was proposed in it."""

    def of(term: str) -> _Tally:
        if term not in tallies:
            tallies[term] = _Tally(spelling=Spelling.of(term))
        return tallies[term]

    for term in result.prompt.terms:
        of(term).offer(result)
    for proposal in result.proposals:
        of(proposal.term).proposed += 1
        of(proposal.term).replaced += proposal.accepted


def _use(term: str, tally: _Tally) -> TermUse:
    return TermUse(
        term=term,
        offered=tally.offered,
        first=tally.first,
        last=tally.last,
        proposed=tally.proposed,
        replaced=tally.replaced,
        places=tuple(tally.places),
    )


def _anti_spellings(glossary: Glossary) -> list[tuple[Spelling, str | None]]:
    """Return what must not stand in the text, and what should instead."""
    whole = [(Spelling.of(text, any_case=True), None) for text in glossary.never]
    own = [
        (Spelling.of(text, any_case=True), term.text)
        for term in glossary.terms
        for text in term.never
    ]
    return [*whole, *own]


def _trespasses(
    text: PlacedText, anti: Sequence[tuple[Spelling, str | None]], right: Sequence[range]
) -> Iterator[AntiTermFound]:
    """Yield the anti-terms in a text, but for those that are a part of a term that is right."""

    def stands_in(place: Place, around: range) -> bool:
        return around.start <= place.letters.start and place.letters.stop <= around.stop

    for spelling, instead in anti:
        for place in text.find(spelling):
            if not any(stands_in(place, around) for around in right):
                yield AntiTermFound(
                    text=place.text, instead=instead, start=place.start, end=place.end
                )
