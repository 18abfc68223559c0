"""Texts and names of one half of the corpus, and names that only look or sound like others."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tools.demo_model.corpus import CARRIERS, load_corpus, respell

from .phones import Phones

_SPLIT_SEED = "longscribe bias split 1"
_SENTENCE = re.compile(r"[A-Z][A-Za-z' ,;:-]*[a-z][.!?]")
_NAME = re.compile(r"[A-Z][a-z]{3,11}")

LEAST_SOUNDS_APART = 2
FARTHEST_NEAR = 0.5
"""Sounds that differ, per sound."""

# Letters that stand for sounds of one class: what a name is changed by, a sound at a time.
_CLASSES = ("ptkbdg", "fvszh", "mn", "lrw", "aeiou")


@dataclass(frozen=True, kw_only=True)
class Half:
    """What one set is made of. The two halves share no sentence, name or carrier."""

    sentences: tuple[str, ...]
    names: tuple[str, ...]
    carriers: tuple[str, ...]
    words: frozenset[str]
    """Every word of every sentence, and of a dictionary: no name is spelt like one of them."""


def load_half(which: str, phones: Phones) -> Half:
    """Return the half for `tuning` or `test` of the lists that the model was not trained on."""
    corpus = load_corpus("held_out")
    mine = [each for each in corpus.sentences if _half_of(each) == which]
    words = {w for s in corpus.sentences for w in re.findall(r"[a-z']+", s.lower())}
    words |= {word.lower() for word in corpus.words}
    names = [name for name in corpus.names if _half_of(name) == which and _NAME.fullmatch(name)]
    names = [name for name in names if name.lower() not in words]
    phones.learn(names)
    # flite spells out what it can't read.
    readable = [name for name in names if len(phones.of(name)[-1]) <= len(name) + 1]
    # A seeded order, halved, keeps the few carriers balanced.
    carriers = sorted(CARRIERS, key=lambda text: _digest(f"carrier {text}"))
    return Half(
        sentences=tuple(s for s in mine if _SENTENCE.fullmatch(s) and 4 <= len(s.split()) <= 24),
        names=tuple(readable),
        carriers=tuple(carriers[::2] if which == "tuning" else carriers[1::2]),
        words=frozenset(words),
    )


def _half_of(text: str) -> str:
    return "tuning" if int(_digest(text)[:8], 16) % 2 else "test"


def _digest(text: str) -> str:
    return hashlib.sha256(f"{_SPLIT_SEED}|{text}".encode()).hexdigest()


def respelt(name: str, half: Half, phones: Phones, rng: random.Random) -> str | None:
    """Return another spelling of `name` that some reader reads exactly alike, or None."""
    return all_respelt([name], half, phones, rng)[0]


def all_respelt(
    names: Sequence[str], half: Half, phones: Phones, rng: random.Random
) -> list[str | None]:
    """Return for each name what `respelt` does. Asking for many at once is much faster."""
    drawn = [[respell(name, rng) for _ in range(12)] for name in names]
    phones.learn(each for several in drawn for each in several)
    return [
        next((each for each in several if _is_respelling(each, name, half, phones)), None)
        for name, several in zip(names, drawn, strict=True)
    ]


def _is_respelling(written: str, name: str, half: Half, phones: Phones) -> bool:
    usual = written.lower() in half.words or not _NAME.fullmatch(written)
    return not usual and written.lower() != name.lower() and phones.same(written, name)


def changed(word: str, rng: random.Random) -> str:
    """Return `word` with one letter changed to another of its class, left out, or put in."""
    letters = list(word.lower())
    place = rng.randrange(len(letters))
    kind = next((each for each in _CLASSES if letters[place] in each), "aeiou")
    what = rng.random()
    if what < 0.7:
        letters[place] = rng.choice([each for each in kind if each != letters[place]])
    elif what < 0.85:
        del letters[place]
    else:
        letters.insert(place, rng.choice("nstrlm"))
    return "".join(letters).capitalize()


@dataclass
class Apart:
    """Accepts a new name only when it is neither written nor read like one that is taken."""

    phones: Phones
    _letters: set[str] = field(default_factory=set)
    _sounds: set[tuple[int, str]] = field(default_factory=set)

    def take(self, *names: str) -> None:
        """Note names, or other words, that new ones must differ from."""
        self.phones.learn(names)
        for name in names:
            self._letters.add(name.casefold())
            self._sounds.update(enumerate(self.phones.of(name)))

    def allows(self, name: str) -> bool:
        """Say whether every reader reads `name` unlike each that is taken."""
        sounds = self._sounds
        return name.casefold() not in self._letters and not any(
            each in sounds for each in enumerate(self.phones.of(name))
        )


def near_name(name: str, pool: Sequence[str], phones: Phones, rng: random.Random) -> str | None:
    """Return a real name near to `name` in sound that every reader reads otherwise, or None.

    Two sounds at least tell them apart: with one, such as the s and f of *Meissner* and *Meiffner*,
    not even a person could say which was said.
    """
    phones.learn(pool)
    near = [
        (phones.apart(name, each), each)
        for each in pool
        if each != name and min(phones.distances(name, each)) >= LEAST_SOUNDS_APART
    ]
    closest = [each for distance, each in sorted(near)[:4] if distance <= FARTHEST_NEAR]
    return rng.choice(closest) if closest else None


def near_word(
    word: str, phones: Phones, rng: random.Random, fits: Callable[[str], bool]
) -> str | None:
    """Return a word one letter from `word`, read otherwise by all and hardly far, or None."""
    made = list(dict.fromkeys(changed(word, rng) for _ in range(12)))
    phones.learn(made)
    return next((each for each in made if _is_near(word, each, phones) and fits(each)), None)


def near_others(
    count: int, spoken: Sequence[str], words: Collection[str], half: Half, apart: Apart
) -> Iterator[str]:
    """Yield names near in sound to what is said: real ones, changed names, changed words."""
    phones = apart.phones
    rng = random.Random(f"{sorted(spoken)}|near")
    fits = lambda each: each.lower() not in half.words and apart.allows(each)  # noqa: E731
    free = [name for name in half.names if apart.allows(name)]
    ranked = sorted(free, key=lambda name: (min(phones.apart(said, name) for said in spoken), name))
    sources: list[Iterator[str]] = [
        (name for name in all_respelt(ranked, half, phones, rng) if name and fits(name)),
        _changed_forever(sorted(spoken), phones, rng, fits),
        _changed_forever(sorted(w for w in words if len(w) >= 5), phones, rng, fits),
    ]
    made: set[str] = set()
    while len(made) < count:
        for source in sources:
            name = next((each for each in source if each.casefold() not in made), None)
            if name is not None:
                made.add(name.casefold())
                yield name


def _changed_forever(
    words: Sequence[str], phones: Phones, rng: random.Random, fits: Callable[[str], bool]
) -> Iterator[str]:
    while True:
        # Many at once: asking the readers is what takes time.
        drawn = [(word, changed(word, rng)) for word in rng.choices(words, k=400)]
        drawn += [(word, changed(each, rng)) for word, each in drawn if len(each) > 4]
        rng.shuffle(drawn)
        phones.learn(each for pair in drawn for each in pair)
        yield from (each for word, each in drawn if _is_near(word, each, phones) and fits(each))


def _is_near(word: str, other: str, phones: Phones) -> bool:
    """Say whether every reader reads the two unlike, and none very unlike."""
    wanted = _NAME.fullmatch(other) and not phones.same(word, other)
    return bool(wanted) and max(phones.distances(word, other)) <= 3


def random_others(
    count: int, taken: Iterable[str], half: Half, apart: Apart, rng: random.Random
) -> Iterator[str]:
    """Yield other spellings of names of the half, each name once as long as there are enough."""
    seen = {name.casefold() for name in taken}
    while True:
        names = rng.sample(half.names, len(half.names))
        for written in all_respelt(names, half, apart.phones, rng):
            if written and written.casefold() not in seen and apart.allows(written):
                seen.add(written.casefold())
                yield written
                count -= 1
                if not count:
                    return
