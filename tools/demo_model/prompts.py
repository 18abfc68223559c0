"""The text before a window: lists of names, sentences about them, what was said before, or nothing.

A prompt is composed of pieces with known token counts, so what fits into Whisper's 223 tokens, and
therefore which names the decoder can really see, is known exactly.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from .corpus import CARRIERS, SoundAlikes
from .vocabulary import PROMPT_LIMIT, Encoder

HEADINGS = (
    "", "", "", "", "", "", "Glossary:", "Names:", "A conversation about", "Vocabulary:",
    "The speakers are", "In this recording:", "People and places:", "Characters:", "Terms:",
    "A talk by", "Today we hear", "This is a meeting of", "Hello, I am", "An interview with",
)  # fmt: skip
# Half of all lists hold 40 to 60 terms: long lists are what a small model finds hard.
DISTRACTOR_COUNTS = (
    0, 0, 1, 3, 5, 8, 12, 17, 20, 25, 40, 42, 45, 46, 48, 50, 50, 52, 55, 58,
)  # fmt: skip
MOST_TERMS = 60
PADDED_LENGTHS = (32, 64, 96, 128, 160, 192, PROMPT_LIMIT)


@dataclass(frozen=True, kw_only=True)
class SpokenName:
    """A name that is spoken in the window: which of its names it is, and the spelling to teach."""

    slot: tuple[int, int]
    spelling: str


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The tokens before the transcript, and the spoken names whose spelling they show."""

    tokens: tuple[int, ...] = ()
    shown: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class _Term:
    text: str
    slots: tuple[tuple[int, int], ...] = ()


class PromptComposer:
    """Draws prompts for windows."""

    def __init__(
        self, encode: Encoder, names: Sequence[str], alikes: SoundAlikes, earlier: Sequence[str]
    ) -> None:
        self._encode = encode
        self._names = names
        self._alikes = alikes
        self._earlier = earlier

    def compose(self, spoken: Sequence[SpokenName], rng: random.Random) -> Prompt:
        """A prompt of a random kind for a window in which these names are spoken."""
        kind = rng.random()
        if kind < 0.3:
            return Prompt()
        told = [name for name in spoken if rng.random() < 0.92]
        if kind < 0.78:
            return self._fit([self._list(told, rng)], rng)
        context, mentioned = self._context(told if rng.random() < 0.7 else [], rng)
        if kind < 0.88:
            return self._fit([[context]], rng)
        listed = [name for name in told if name not in mentioned or rng.random() < 0.5]
        parts = [[context], self._list(listed, rng)]
        if rng.random() < 0.5:
            parts.reverse()
        return self._fit(parts, rng)

    def _list(self, told: Sequence[SpokenName], rng: random.Random) -> list[_Term]:
        """The names among distractors, as a list or as a sentence."""
        terms = self._terms(told, rng)
        distractors = self._distractors(
            told, min(rng.choice(DISTRACTOR_COUNTS), MOST_TERMS - len(terms)), rng
        )
        if rng.random() < 0.25:
            rng.shuffle(distractors)
            rng.shuffle(terms)
            terms = distractors + terms  # the most important terms stand last
        else:
            terms = terms + distractors
            rng.shuffle(terms)
        if not terms:
            return []
        heading = rng.choice(HEADINGS)
        last_joint = rng.choice((",", ",", " and"))
        ending = rng.choice(("", "", ".", "."))
        pieces = [_Term(text=heading)] if heading else []
        for i, term in enumerate(terms):
            final = i == len(terms) - 1
            joint = ending if final else last_joint if i == len(terms) - 2 else ","
            pieces.append(_Term(text=term.text + joint, slots=term.slots))
        return pieces

    def _terms(self, told: Sequence[SpokenName], rng: random.Random) -> list[_Term]:
        """One term for each spelling; some become full names of which only a part is spoken."""
        slots: dict[str, list[tuple[int, int]]] = {}
        for name in told:
            slots.setdefault(name.spelling, []).append(name.slot)
        terms = []
        for spelling, where in slots.items():
            text = spelling
            if rng.random() < 0.15:
                other = rng.choice(self._names)
                text = f"{spelling} {other}" if rng.random() < 0.5 else f"{other} {spelling}"
            terms.append(_Term(text=text, slots=tuple(where)))
        return terms

    def _distractors(
        self, told: Sequence[SpokenName], count: int, rng: random.Random
    ) -> list[_Term]:
        """Names that are not spoken; up to half of them sound like one that is."""
        distractors = []
        alike_share = rng.choice((0.0, 0.2, 0.5)) if told else 0.0
        for _ in range(count):
            name = None
            if rng.random() < alike_share:
                name = self._alikes.near(rng.choice(told).spelling, rng)
            text = name or rng.choice(self._names)
            if rng.random() < 0.06:
                text += " " + rng.choice(self._names)
            distractors.append(_Term(text=text))
        return distractors

    def _context(
        self, told: Sequence[SpokenName], rng: random.Random
    ) -> tuple[_Term, list[SpokenName]]:
        """Earlier transcript: sentences said elsewhere, and some that mention the names."""
        mentioned = list(told[: rng.randint(0, 3)])
        sentences = [rng.choice(self._earlier) for _ in range(rng.randint(1, 5))]
        for name in mentioned:
            others = (rng.choice(self._names), rng.choice(self._names))
            sentences.append(rng.choice(CARRIERS).format(name.spelling, *others))
        rng.shuffle(sentences)
        return _Term(text=" ".join(sentences), slots=tuple(n.slot for n in mentioned)), mentioned

    def _fit(self, parts: Sequence[Sequence[_Term]], rng: random.Random) -> Prompt:
        """The pieces within Whisper's limit; too long a prompt loses its beginning, as in
        Whisper."""
        pieces = [(self._encode(term.text), term.slots) for part in parts for term in part]
        if rng.random() < 0.15:
            pieces = self._padded(pieces, rng.choice(PADDED_LENGTHS))
        tokens: list[int] = []
        shown: set[tuple[int, int]] = set()
        for piece, slots in reversed(pieces):
            room = PROMPT_LIMIT - len(tokens)
            if len(piece) > room:
                tokens[:0] = piece[len(piece) - room :] if room else []
                break
            tokens[:0] = piece
            shown.update(slots)
        return Prompt(tokens=tuple(tokens), shown=frozenset(shown))

    @staticmethod
    def _padded(
        pieces: list[tuple[list[int], tuple[tuple[int, int], ...]]], length: int
    ) -> list[tuple[list[int], tuple[tuple[int, int], ...]]]:
        """The pieces brought near a length by repeating them in front, as a batching decoder
        does."""
        size = sum(len(piece) for piece, _ in pieces)
        if not pieces or not 0 < size < length:
            return pieces
        missing = length - size
        front: list[tuple[list[int], tuple[tuple[int, int], ...]]] = []
        while missing > 0:
            for piece, _ in reversed(pieces):
                cut = piece[max(0, len(piece) - missing) :]
                front.insert(0, (cut, ()))
                missing -= len(cut)
                if missing <= 0:
                    break
        return front + pieces
