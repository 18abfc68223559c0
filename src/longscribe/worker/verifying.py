"""Verify mode: terms are proposed where they sound like what was heard, then verified.

    heard without a prompt ─▶ terms that sound alike ─▶ second pass, prompted with them
          ─▶ proposals ─▶ how likely is the text with the term? ─▶ rule ─▶ patch

Everything here is decided by one chunk's audio and the glossary, so a chunk gives
the same text whenever and wherever it is decoded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from longscribe.config import BiasSettings, DecodeSettings
from longscribe.core.bias.phones import distance, join
from longscribe.core.bias.proposals import (
    Candidate,
    Heard,
    candidates,
    compared,
    patched,
    with_candidate,
    with_terms,
)
from longscribe.core.bias.retrieval import (
    HeardWord,
    Hit,
    TermIndex,
    heard_words,
    terms_for_prompt,
    with_bursts,
)
from longscribe.core.bias.rule import (
    ACOUSTIC_RANGE,
    SAME_SOUND,
    Limits,
    TermClass,
    limits,
    plausible,
    probability,
    term_class,
)
from longscribe.core.quality import complaint
from longscribe.ports import LanguageTools, Recognizer, WindowAudio
from longscribe.types import (
    Evidence,
    Glossary,
    Prompt,
    Proposal,
    Term,
    WindowResult,
)

MOST_PROMPTED = 12
"""Terms in the prompt of a second pass: longer lists dilute (docs/design/bias.md)."""
CONTESTED = 24
"""Candidates of one window that are scored; more are a sign of a glossary that fits anything."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What retrieval made of one window."""

    heard: Heard
    words: Sequence[HeardWord]
    hits: Sequence[Hit]
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Weighed:
    """A candidate with what was found for and against it."""

    candidate: Candidate
    evidence: Evidence
    fits: bool
    """Near enough in sound for a list as long as this glossary."""

    @property
    def passes(self) -> bool:
        """Tell whether the rule accepts it."""
        by_rule = self.fits and self.evidence.probability >= self.evidence.threshold
        return self.candidate.by_rule_of_user or by_rule


class Verifier:
    """Verifies one glossary with one recognizer. The index over the terms is built once."""

    def __init__(
        self,
        recognizer: Recognizer,
        glossary: Glossary,
        settings: BiasSettings,
        language: LanguageTools,
    ) -> None:
        self._recognizer = recognizer
        self._settings = settings
        self._language = language
        self._index = TermIndex.build(glossary.terms, language.pronouncer.pronounce)
        self._never = {compared(text) for text in glossary.never}

    def verify(
        self,
        results: Sequence[WindowResult],
        audio: Sequence[WindowAudio],
        settings: DecodeSettings,
        chunk_id: int,
    ) -> Generator[tuple[WindowResult, ...], None, tuple[WindowResult, ...]]:
        """Verify the windows of one chunk; yield each batch of the second pass as it is done.

        Returns:
            The windows with accepted terms in their places, and all proposals.
        """
        found = self._retrieve(results)
        second: dict[int, WindowResult] = {}
        if self._settings.second_pass and self._recognizer.capabilities.prompts:
            for batch in self._decode_again(found, audio, settings, chunk_id):
                second.update((result.window.index, result) for result in batch)
                yield batch
        return tuple(
            self._settle(result, member, place, second.get(result.window.index), settings)
            for result, member, place in zip(results, audio, found, strict=True)
        )

    def _retrieve(self, results: Sequence[WindowResult]) -> list[_Found]:
        """Look for terms in every window; what its neighbours hold as well ranks higher."""
        words = [
            heard_words(
                Heard.of(result).words,
                self._language.pronouncer.pronounce,
                self._language.commonness,
            )
            for result in results
        ]
        spans = [result.window.owns for result in results]
        reached = [limits(self._index.reachable(span)) for span in spans]
        hits = [
            [hit for hit in self._index.find(each, span) if self._is_worth(hit, each, limit)]
            for each, span, limit in zip(words, spans, reached, strict=True)
        ]
        return [
            _Found(
                heard=Heard.of(result),
                words=each,
                hits=with_bursts(hits, n),
                limits=reached[n],
            )
            for n, (result, each) in enumerate(zip(results, words, strict=True))
        ]

    def _is_worth(self, hit: Hit, words: Sequence[HeardWord], limit: Limits) -> bool:
        """Tell whether a hit may be written and is worth a second pass."""
        if compared(hit.term.text) in self._never:
            return False
        if hit.already_right or hit.exact_alias:
            return True
        if hit.sound_distance > limit.farthest:
            return False
        heard = words[hit.first : hit.last + 1]
        return plausible(
            hit.sound_distance,
            min(word.commonness for word in heard),
            min(word.probability for word in heard),
        )

    def _decode_again(
        self,
        found: Sequence[_Found],
        audio: Sequence[WindowAudio],
        settings: DecodeSettings,
        chunk_id: int,
    ) -> Generator[tuple[WindowResult, ...]]:
        """Decode the windows that seem to hold a term once more, prompted with these terms."""
        flagged = []
        for place, member in zip(found, audio, strict=True):
            if not self._may_be_written(place):
                continue
            terms = tuple(term.text for term in terms_for_prompt(place.hits, MOST_PROMPTED))
            flagged.append(replace(member, bias=replace(member.bias, terms=terms)))
        if flagged:
            # It only proposes: the quickest search will do.
            quick = replace(settings, beam_size=1, word_times=False)
            yield from self._recognizer.decode(flagged, quick, chunk_id)

    def _may_be_written(self, place: _Found) -> bool:
        """Tell whether any hit would pass if all that is still to be heard spoke for it."""
        unsettled = [hit for hit in place.hits if not hit.already_right]
        at_best = [_at_best(hit) for hit in unsettled]
        bounds = [self._before_audio(one, place, _margin(one, at_best)) for one in at_best]
        return any(hit.exact_alias for hit in unsettled) or any(
            bound.probability >= bound.threshold for bound in bounds
        )

    def _settle(
        self,
        result: WindowResult,
        member: WindowAudio,
        place: _Found,
        second: WindowResult | None,
        settings: DecodeSettings,
    ) -> WindowResult:
        """Weigh the proposals of one window and patch it."""
        prompt = second.prompt if second is not None else result.prompt
        usable = second if second is not None and complaint(second) is None else None
        weighed = self.weigh(result, member, place, usable, settings)
        chosen = _without_overlap([one for one in weighed if one.passes])
        done = patched(
            result, place.heard, [(one.candidate, one.evidence.probability) for one in chosen]
        )
        proposals = tuple(_proposal(one, place.heard, chosen) for one in weighed)
        return _offered(replace(done, proposals=proposals), prompt)

    def weigh(
        self,
        result: WindowResult,
        member: WindowAudio,
        place: _Found,
        second: WindowResult | None,
        settings: DecodeSettings,
    ) -> list[Weighed]:
        """Return the candidates of one window with their evidence."""
        heard = place.heard

        def apart(first: int, stop: int, term: Term) -> float:
            return self._apart(place.words[first:stop], term)

        open_to = candidates(heard, place.hits, second, apart, from_sound=self._settings.retrieval)
        owned = [
            one
            for one in open_to
            if _middle(one, heard) in _owned(result) and _stands(one, asked=second is not None)
        ][:CONTESTED]
        weighed = [
            Weighed(
                candidate=one,
                evidence=self._before_audio(one, place, _margin(one, open_to)),
                fits=one.sound <= place.limits.farthest,
            )
            for one in owned
        ]
        if not (self._settings.acoustics and self._recognizer.capabilities.scoring):
            return weighed
        # What would not pass whatever the audio says need not be scored.
        contested = [one.candidate for one in weighed if one.passes]
        scores = dict(zip(contested, self._scores(contested, heard, member, settings), strict=True))
        return [self._scored(one, place, scores.get(one.candidate)) for one in weighed]

    def _apart(self, words: Sequence[HeardWord], term: Term) -> float:
        """Return the distance in sound between heard words and a term."""
        (spoken,) = self._language.pronouncer.pronounce([term.text])
        return distance(join(word.phones for word in words), spoken)

    def _scores(
        self,
        owned: Sequence[Candidate],
        heard: Heard,
        member: WindowAudio,
        settings: DecodeSettings,
    ) -> list[float]:
        """Return how much likelier the text is with each candidate than as heard."""
        if not owned:
            return []
        texts = [heard.text(0, len(heard.words)), *(with_candidate(heard, one) for one in owned)]
        as_heard, *changed = self._recognizer.score(member, texts, settings)
        return [round(score - as_heard, 3) for score in changed]

    def _before_audio(self, one: Candidate, place: _Found, margin: float) -> Evidence:
        """Return the evidence without that of the audio, and the highest probability it allows."""
        scored = self._settings.acoustics and self._recognizer.capabilities.scoring
        words = place.words[one.first : one.stop]
        evidence = Evidence(
            sound=round(one.sound, 3),
            acoustic=ACOUSTIC_RANGE[1] if scored else None,
            margin=round(margin, 3),
            confidence=min(word.probability for word in words),
            commonness=round(min(word.commonness for word in words), 3),
            second_pass=one.second_pass,
            timing=one.timing,
            probability=0.0,
            threshold=place.limits.thresholds[self._class(one)],
        )
        likely = round(probability(evidence, alias=self._is_alias(one, place)), 4)
        return replace(evidence, acoustic=None, probability=likely)

    def _scored(self, one: Weighed, place: _Found, acoustic: float | None) -> Weighed:
        """Return what was weighed with the evidence of the audio, if that was asked for."""
        if acoustic is None:
            return one
        evidence = replace(one.evidence, acoustic=acoustic)
        likely = round(probability(evidence, alias=self._is_alias(one.candidate, place)), 4)
        return replace(one, evidence=replace(evidence, probability=likely))

    @staticmethod
    def _is_alias(one: Candidate, place: _Found) -> bool:
        said = compared(place.heard.text(one.first, one.stop))
        return said in {compared(alias) for alias in one.term.aliases}

    def _class(self, one: Candidate) -> TermClass:
        common = max(
            (self._language.commonness(word) for word in compared(one.term.text)), default=0.0
        )
        return term_class(one.term, common)


def _stands(one: Candidate, *, asked: bool) -> bool:
    """Tell whether a candidate is to be weighed.

    A second pass that was prompted with a term and did not write it speaks against it, unless
    the two sound the same.
    """
    return one.second_pass or one.by_rule_of_user or not asked or one.sound <= SAME_SOUND


def _at_best(hit: Hit) -> Candidate:
    """Return what a hit would be if the second pass wrote it."""
    return Candidate(
        first=hit.first,
        stop=hit.last + 1,
        term=hit.term,
        written=hit.term.text,
        sound=hit.sound_distance,
        timing=hit.timing,
        second_pass=True,
        by_rule_of_user=False,
    )


def _margin(one: Candidate, others: Sequence[Candidate]) -> float:
    """Return the distance of a candidate less that of the nearest other term for its words."""
    rivals = [
        other.sound
        for other in others
        if other.term != one.term and other.first < one.stop and one.first < other.stop
    ]
    return one.sound - min(rivals, default=1.0)


def _middle(one: Candidate, heard: Heard) -> int:
    return (heard.words[one.first].start + heard.words[one.stop - 1].end) // 2


def _owned(result: WindowResult) -> range:
    """Return where a window's words count; elsewhere its neighbour's do."""
    return range(result.window.owns.start, result.window.owns.end)


def _without_overlap(passing: Sequence[Weighed]) -> list[Weighed]:
    """Keep the likeliest of those that claim the same words."""
    ranked = sorted(
        passing,
        key=lambda one: (
            not one.candidate.by_rule_of_user,
            -one.evidence.probability,
            one.evidence.sound,
            one.candidate.first,
        ),
    )
    taken: set[int] = set()
    kept = []
    for one in ranked:
        claimed = set(range(one.candidate.first, one.candidate.stop))
        if not claimed & taken:
            taken |= claimed
            kept.append(one)
    return kept


def _proposal(one: Weighed, heard: Heard, chosen: Sequence[Weighed]) -> Proposal:
    candidate, evidence = one.candidate, one.evidence
    accepted = one in chosen
    if accepted and candidate.by_rule_of_user:
        reason = "the glossary says that what was heard is never right"
    elif accepted:
        reason = "probability over the threshold"
    elif one.passes:
        reason = "another term fits better"
    elif not one.fits:
        reason = "too far in sound for so long a glossary"
    else:
        reason = "probability under the threshold"
    return Proposal(
        term=candidate.term.text,
        heard=heard.text(candidate.first, candidate.stop).strip(),
        written=candidate.written.strip(),
        start=heard.words[candidate.first].start,
        end=heard.words[candidate.stop - 1].end,
        accepted=accepted,
        reason=reason,
        evidence=evidence,
    )


def _offered(result: WindowResult, prompt: Prompt) -> WindowResult:
    """Note what the second pass was prompted with."""
    return replace(result, prompt=prompt, segments=with_terms(result.segments, prompt.terms))
