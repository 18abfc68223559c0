"""What is said: sentences, names, their other spellings, and names that sound alike.

A line of speech is a template with slots for names. The name is spoken from its common spelling;
the transcript may show another spelling, which then only the prompt can tell. That is what makes
the model read its prompt.
"""

from __future__ import annotations

import gzip
import random
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DATA = Path(__file__).parent / "data"
Split = Literal["training", "held_out"]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """The material that lines are made of."""

    sentences: tuple[str, ...]
    names: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing to say: a template with slots `{0}`, `{1}`, the names that are spoken in them, and
    for each name another spelling that sounds about the same."""

    template: str
    names: tuple[str, ...] = ()
    respelt: tuple[str, ...] = ()

    @property
    def spoken(self) -> str:
        """The text that the synthesizer reads."""
        return self.template.format(*self.names)


def read_list(path: Path) -> tuple[str, ...]:
    """The non-empty lines of a gzipped text file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return tuple(line.rstrip("\n") for line in lines if line.strip())


def load_corpus(split: Split) -> Corpus:
    """The training lists, or the sentences and names that no training ever sees."""
    return Corpus(
        sentences=tuple(
            re.sub(r"[{}]", "", s) for s in read_list(DATA / split / "sentences.txt.gz")
        ),
        names=read_list(DATA / split / "names.txt.gz"),
        words=read_list(DATA / "training" / "words.txt.gz"),
    )


# Spelling rules: (pattern, replacement). Each changes how a name is written, hardly how it is read.
RESPELLINGS: tuple[tuple[str, str], ...] = (
    (r"ph", "f"), (r"f(?=[aeiou])", "ph"), (r"c(?=[aoulr])", "k"), (r"k(?=[aoulr])", "c"),
    (r"ck", "k"), (r"(?<=[aeiou])k$", "ck"), (r"y$", "ie"), (r"ie$", "y"),
    (r"i(?=[bcdfgklmnprstv])", "y"), (r"ee", "ea"), (r"ea", "ee"), (r"oo", "u"), (r"ai", "ay"),
    (r"ey$", "y"), (r"nn", "n"), (r"(?<=[aeiou])n(?=[aeiou])", "nn"), (r"ll", "l"),
    (r"(?<=[aeiou])l(?=[aeiou])", "ll"), (r"tt", "t"), (r"(?<=[aeiou])t(?=[aeiou])", "tt"),
    (r"ss", "s"), (r"rr", "r"), (r"(?<=[aeiou])r(?=[aeiou])", "rr"), (r"sh", "sch"), (r"x", "ks"),
    (r"qu", "kw"), (r"(?<=[bdgklmnprt])$", "e"), (r"(?<=[bdgklmnprt])e$", ""), (r"w", "wh"),
    (r"th", "t"), (r"z", "s"), (r"v", "w"), (r"j", "dj"), (r"a$", "ah"), (r"o$", "oh"),
    (r"u(?=[ln])", "ou"),
)  # fmt: skip


def respell(name: str, rng: random.Random) -> str:
    """Another way to write a name."""
    written = name.lower()
    for _ in range(rng.choice((1, 1, 2))):
        fitting = [rule for rule in RESPELLINGS if re.search(rule[0], written)]
        if not fitting:
            break
        pattern, replacement = rng.choice(fitting)
        written = re.sub(pattern, replacement, written, count=1)
    return written.capitalize()


_SOUNDS = (
    ("sch", "x"), ("sh", "x"), ("ch", "x"), ("ph", "f"), ("ck", "k"), ("qu", "kv"), ("th", "t"),
    ("dj", "j"), ("wh", "v"), ("w", "v"), ("gh", "g"), ("c", "k"), ("q", "k"), ("z", "s"),
    ("x", "x"), ("y", "i"), ("h", ""), ("e", "i"), ("u", "o"),
)  # fmt: skip


def sound_of(name: str) -> str:
    """A coarse phonetic key: spellings of one sound share it."""
    key = name.lower()
    for written, heard in _SOUNDS:
        key = key.replace(written, heard)
    key = re.sub(r"(.)\1+", r"\1", key)
    return re.sub(r"(?<=.)[aio]+$", "", key)


class SoundAlikes:
    """For a name, others that sound nearly like it: the hardest distractors a prompt can hold."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._near: dict[str, list[str]] = defaultdict(list)
        for name in names:
            for skeleton in self._shortened(name):
                self._near[skeleton].append(name)

    @staticmethod
    def _shortened(name: str) -> set[str]:
        """The consonants of the name, whole and, if there are enough, with each one left out."""
        bones = re.sub(r"[aio]", "", sound_of(name))
        if len(bones) < 3:
            return {bones} - {""}
        return {bones, *(bones[:i] + bones[i + 1 :] for i in range(len(bones)))}

    def near(self, name: str, rng: random.Random) -> str | None:
        """A name at most one consonant away that does not sound the same, if there is one."""
        skeleton = rng.choice(sorted(self._shortened(name)) or [""])
        candidates = self._near.get(skeleton)
        if not candidates:
            return None
        other = rng.choice(candidates)
        return other if sound_of(other) != sound_of(name) else None


CARRIERS = (
    "{0} told {1} to wait.", "Have you ever been to {0}?", "My name is {0}, and this is {1}.",
    "They drove from {0} to {1} in one night.", "{0}!", "Where is {0}?",
    "I asked {0} about it, but nobody in {1} knew.", "We met {0} near {1}.",
    "{0} and {1} left before dawn.", "This letter is for {0}.", "Ask {0}, not {1}.",
    "{0} never came back to {1}.", "The road to {0} is closed.", "Doctor {0} will see you now.",
    "It was {0} who found {1}.", "My name is {0} {1}.", "I am talking to {0} {1} today.",
    "This is {0}'s house.", "{0} {1} was born in {2}.", "Did {0} call, or was it {1}?",
    "The speakers are {0}, {1} and {2}.", "Thank you, {0}.", "{0}, can you hear me?",
    "We will hear from {0} {1} about {2}.",
)  # fmt: skip


def compose_line(corpus: Corpus, rng: random.Random) -> Line:
    """A line to say: loose words, a sentence about names, or a sentence with names put into it."""
    kind = rng.random()
    if kind < 0.06:
        words = " ".join(rng.choice(corpus.words) for _ in range(rng.randint(3, 10)))
        return Line(template=words[0].upper() + words[1:] + ".")
    template = (
        rng.choice(CARRIERS) if kind < 0.32 else _insert_slots(rng.choice(corpus.sentences), rng)
    )
    slots = len(set(re.findall(r"\{\d\}", template)))
    names = tuple(rng.choice(corpus.names) for _ in range(slots))
    return Line(template=template, names=names, respelt=tuple(respell(n, rng) for n in names))


def _insert_slots(sentence: str, rng: random.Random) -> str:
    """The sentence as it is, or with one or two slots for names between its words."""
    if rng.random() >= 0.42:
        return sentence
    words = sentence.split(" ")
    for slot in range(rng.choice((1, 1, 2))):
        place = rng.randint(1, len(words) - 1) if len(words) > 1 else 0
        words.insert(place, f"{{{slot}}}")
    return " ".join(words)
