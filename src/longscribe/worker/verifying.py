"""Verify mode: terms are proposed where they sound like what was heard, then verified.

    heard without a prompt ─▶ terms that sound alike ─▶ second pass, prompted with them
          ─▶ proposals ─▶ how likely is the text with the term? ─▶ rule ─▶ patch

Everything here is decided by one chunk's audio and the glossary, so a chunk gives
the same text whenever and wherever it is decoded.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from longscribe.config import BiasSettings, DecodeSettings
from longscribe.core.bias.capitals import recapitalised
from longscribe.core.bias.phones import distance, join
from longscribe.core.bias.proposals import (
    Candidate,
    Heard,
    candidates,
    patched,
    with_candidate,
    with_terms,
)
from longscribe.core.bias.recurrence import Place, Recurrence
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
    NO_COMMON_WORDS,
    Limit,
    TermClass,
    limit_of,
    plausible,
    probability,
    term_class,
)
from longscribe.core.bias.spelling import compared, letters
from longscribe.core.quality import complaint
from longscribe.ports import LanguageTools, Recognizer, WindowAudio
from longscribe.types import (
    Evidence,
    Glossary,
    Prompt,
    Proposal,
    Span,
    Term,
    WindowResult,
)

MOST_PROMPTED = 12
"""Terms in the prompt of a second pass: longer lists dilute (docs/design/bias.md)."""
CONTESTED = 24
"""Candidates of one window that are weighed, besides those that the user decided; more are a sign
of a glossary that fits anything."""
FOLLOWING = 4
"""Words behind a term that are scored with it: later ones hardly depend on it."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What retrieval made of one window."""

    number: int
    """Of the window in its chunk."""
    heard: Heard
    words: Sequence[HeardWord]
    hits: Sequence[Hit]
    limit: Limit
    recurrence: Recurrence
    """Of the whole chunk."""


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
    """Verifies one glossary with one recognizer. The index over the terms is built once.

    Args:
        recognizer: hears again, and scores.
        glossary: without the terms of other languages.
        settings: how to verify.
        language: what is known of the text's language.
        index: over the terms of the glossary; built here if not given.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        glossary: Glossary,
        settings: BiasSettings,
        language: LanguageTools,
        index: TermIndex | None = None,
    ) -> None:
        self._recognizer = recognizer
        self._settings = settings
        self._language = language
        self._index = index or TermIndex.build(glossary.terms, language.pronouncer.pronounce)
        self._never = {compared(text) for text in glossary.never}
        self._too_far = (
            "too far in sound for so long a glossary"
            if language.knows_common_words
            else "too far in sound for a language whose common words are not known"
        )
        self._scores_texts = settings.acoustics and recognizer.capabilities.scoring

    def verify(
        self,
        results: Sequence[WindowResult],
        audio: Sequence[WindowAudio],
        settings: DecodeSettings,
        chunk_id: int,
    ) -> Generator[tuple[WindowResult, ...], None, tuple[WindowResult, ...]]:
        """Verify the windows of one chunk; yield each batch of the second pass as it is done.

        Yields nothing at all as another sign of progress: among 100,000 terms, looking for
        those that sound alike takes many seconds a window.

        Returns:
            The windows with accepted terms in their places, and all proposals.
        """
        found = yield from self._retrieve(results)
        second: dict[int, WindowResult] = {}
        if self._settings.second_pass and self._recognizer.capabilities.prompts:
            for batch in self._decode_again(found, audio, settings, chunk_id):
                second.update((result.window.index, result) for result in batch)
                yield batch
        settled = []
        for result, member, place in zip(results, audio, found, strict=True):
            again = second.get(result.window.index)
            settled.append(self._settle(result, member, place, again, settings))
            yield ()
        return tuple(settled)

    def _retrieve(
        self, results: Sequence[WindowResult]
    ) -> Generator[tuple[()], None, list[_Found]]:
        """Look for terms in every window; what its neighbours hold as well ranks higher."""
        heard = [Heard.of(result) for result in results]
        words = self._heard_words(heard)
        spans = [result.window.owns for result in results]
        limits = [self._limit(span) for span in spans]
        hits = []
        for each, span, limit in zip(words, spans, limits, strict=True):
            near = self._index.find(each, span, limit.farthest)
            hits.append([hit for hit in near if self._is_worth(hit, each, limit)])
            yield ()
        owned = [
            [hit for hit in here if _middle(hit.first, hit.last, each) in _range(span)]
            for here, each, span in zip(hits, heard, spans, strict=True)
        ]
        recurrence = Recurrence.of(owned if self._settings.recurrence else [])
        return [
            _Found(
                number=n,
                heard=heard[n],
                words=words[n],
                hits=with_bursts(hits, n),
                limit=limits[n],
                recurrence=recurrence,
            )
            for n in range(len(results))
        ]

    def _limit(self, window: Span) -> Limit:
        """Return what must be reached in a window: more where many terms may be said."""
        if not self._language.knows_common_words:
            return NO_COMMON_WORDS
        return limit_of(self._index.reachable(window))

    def _heard_words(self, windows: Sequence[Heard]) -> list[list[HeardWord]]:
        """Return the words of each window; a pronouncer is asked once for all, which is quicker."""
        words = heard_words(
            [word for heard in windows for word in heard.words],
            self._language.pronouncer.pronounce,
            self._language.commonness,
        )
        stops = list(accumulate((len(heard.words) for heard in windows), initial=0))
        return [words[start:stop] for start, stop in pairwise(stops)]

    def _is_worth(self, hit: Hit, words: Sequence[HeardWord], limit: Limit) -> bool:
        """Tell whether a hit may be written, or is a rival of one, and is worth a second pass."""
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
        return any(hit.exact_alias for hit in unsettled) or any(
            self._weighed(one, place, at_best).passes for one in at_best
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
        capitals = self._capitals(result, place, chosen)
        chosen += capitals
        weighed = sorted([*weighed, *capitals], key=lambda one: _span(one.candidate))
        done = patched(
            result, place.heard, [(one.candidate, one.evidence.probability) for one in chosen]
        )
        proposals = tuple(_proposal(one, place.heard, chosen, self._too_far) for one in weighed)
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
            if _middle(one.first, one.stop - 1, heard) in _range(result.window.owns)
            and _stands(one, asked=second is not None)
        ]
        weighed = _likeliest([self._weighed(one, place, open_to) for one in owned])
        if not self._scores_texts:
            return weighed
        # What would not pass whatever the audio says need not be scored.
        contested = [one.candidate for one in weighed if one.passes]
        scores = dict(zip(contested, self._scores(contested, heard, member, settings), strict=True))
        return [self._scored(one, scores.get(one.candidate)) for one in weighed]

    def _capitals(
        self, result: WindowResult, place: _Found, chosen: Sequence[Weighed]
    ) -> list[Weighed]:
        """Return where only capitals are to change, besides the candidates that are written."""
        taken = {n for one in chosen for n in range(*_span(one.candidate))}
        return [
            Weighed(candidate=one, evidence=self._before_audio(one, place, []), fits=True)
            for one in recapitalised(place.heard, place.words, place.hits)
            if taken.isdisjoint(range(*_span(one)))
            and _middle(one.first, one.stop - 1, place.heard) in _range(result.window.owns)
        ]

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
        """Return how much likelier the text is with each candidate than as heard.

        Up to the place and a few words on: what comes later hardly depends on it.
        """
        pairs = [
            (with_candidate(heard, one, stop), heard.text(0, stop))
            for one in owned
            for stop in [min(one.stop + FOLLOWING, len(heard.words))]
        ]
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        scores = dict(zip(texts, self._recognizer.score(member, texts, settings), strict=True))
        return [round(scores[changed] - scores[as_heard], 3) for changed, as_heard in pairs]

    def _weighed(self, one: Candidate, place: _Found, others: Sequence[Candidate]) -> Weighed:
        """Return a candidate as it would be weighed if the audio spoke for it."""
        evidence = self._before_audio(one, place, others)
        fits = one.sound <= place.limit.farthest
        return Weighed(candidate=one, evidence=evidence, fits=fits)

    def _before_audio(self, one: Candidate, place: _Found, others: Sequence[Candidate]) -> Evidence:
        """Return the evidence without that of the audio, and the highest probability it allows."""
        words = place.words[one.first : one.stop]
        rivals = _rivals(one, others)
        here = Place(window=place.number, first=one.first, stop=one.stop)
        rival_texts = (each.term.text for each in rivals)
        evidence = Evidence(
            sound=round(one.sound, 3),
            acoustic=ACOUSTIC_RANGE[1] if self._scores_texts else None,
            margin=round(one.sound - min((each.sound for each in rivals), default=1.0), 3),
            confidence=min(word.probability for word in words),
            commonness=round(min(word.commonness for word in words), 3),
            second_pass=one.second_pass,
            recurrence=place.recurrence.lead(one.term.text, rival_texts, here),
            timing=one.timing,
            alias=self._is_alias(one, place),
            small=_is_small(one, place.heard),
            letters=letters(one.term.text),
            words=len(one.term.text.split()),
            probability=0.0,
            threshold=place.limit.least(self._class(one)),
        )
        likely = round(probability(evidence), 4)
        return replace(evidence, acoustic=None, probability=likely)

    def _scored(self, one: Weighed, acoustic: float | None) -> Weighed:
        """Return what was weighed with the evidence of the audio, if that was asked for."""
        if acoustic is None:
            return one
        evidence = replace(one.evidence, acoustic=acoustic)
        likely = round(probability(evidence), 4)
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
    the two sound exactly the same.
    """
    return one.second_pass or one.by_rule_of_user or not asked or one.sound == 0


def _likeliest(weighed: Sequence[Weighed]) -> list[Weighed]:
    """Keep what the user decided and the likeliest of the rest, in their order."""
    rest = [n for n, one in enumerate(weighed) if not one.candidate.by_rule_of_user]
    rest.sort(key=lambda n: (-weighed[n].evidence.probability, weighed[n].evidence.sound, n))
    left_out = set(rest[CONTESTED:])
    return [one for n, one in enumerate(weighed) if n not in left_out]


def _is_small(one: Candidate, heard: Heard) -> bool:
    """Tell whether a term with a capital would stand for words without any.

    Names are heard with capitals by a recognizer that writes any; some write none.
    """
    if one.term.text.islower() or not heard.text(one.first, one.stop).islower():
        return False
    return any(not phrase.islower() for phrase in heard.phrases if phrase.strip())


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


def _rivals(one: Candidate, others: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates that are other terms for some of the same words."""
    return [
        other
        for other in others
        if other.term != one.term and other.first < one.stop and one.first < other.stop
    ]


def _middle(first: int, last: int, heard: Heard) -> int:
    """Return where the middle of the words from `first` to `last` lies, in samples."""
    return (heard.words[first].start + heard.words[last].end) // 2


def _span(one: Candidate) -> tuple[int, int]:
    return one.first, one.stop


def _range(owns: Span) -> range:
    """Return where a window's words count; elsewhere its neighbour's do."""
    return range(owns.start, owns.end)


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


def _proposal(one: Weighed, heard: Heard, chosen: Sequence[Weighed], too_far: str) -> Proposal:
    candidate, evidence = one.candidate, one.evidence
    accepted = one in chosen
    if accepted and candidate.by_rule_of_user:
        reason = "the glossary says that what was heard is never right"
    elif accepted and candidate.capitals_only:
        reason = "the glossary's capitals"
    elif accepted:
        reason = "probability over the threshold"
    elif one.passes:
        reason = "another term fits better"
    elif not one.fits:
        reason = too_far
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
