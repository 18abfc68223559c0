"""Speaks the recordings of a set: scenes with their terms, near-homophones, plain speech, noise.

Everything follows from the set's name and the number of the recording. The tuning set is spoken by
flite, the test set by espeak-ng; sentences, names and carriers are those of the set's half.
"""

from __future__ import annotations

import itertools
import random
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench._common import write_flac
from tools.demo_model.voices import speak_espeak, speak_flite

from .lookalikes import (
    Apart,
    Half,
    load_half,
    near_name,
    near_others,
    random_others,
    respelt,
)
from .noises import SAMPLE_RATE, Samples, non_speech
from .phones import Phones
from .recordings import (
    ABSENT,
    NEAR,
    NON_SPEECH,
    PLAIN,
    SPOKEN,
    TERM,
    WRONG_TIME,
    Block,
    Line,
    ListedTerm,
    Recording,
    save,
)

# A new test set for each rule: what was scored once has been seen.
SEEDS = {"tuning": "tuning 1", "test": "test 8"}
RECORDINGS = {"tuning": 5, "test": 6}
SHARES = 6
OTHERS = 1000
"""Most names that fill a glossary up; half of them near."""

FLITE = ("awb", "rms", "slt", "kal", "kal16")
ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029")
VARIANTS = ("", "m3", "m7", "f2", "f4", "Andrea")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much of everything a recording holds. Lengths in seconds."""

    scenes: int = 4
    scene: float = 80
    scene_terms: tuple[int, int] = (4, 8)
    near: int = 2
    near_pairs: int = 3
    near_length: float = 35
    plain: int = 3
    plain_length: float = 120
    wrong_time: float = 45
    wrong_time_terms: int = 4
    quiet: tuple[str, ...] = ("silence", "noise", "hum", "music")
    quiet_length: tuple[float, float] = (20, 60)


QUICK = Shape(
    scenes=2, scene=25, scene_terms=(3, 4), near=1, near_pairs=2, near_length=10, plain=1,
    plain_length=25, wrong_time=10, wrong_time_terms=2, quiet=("silence", "music"),
    quiet_length=(10, 15),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A block before it is spoken."""

    stratum: str
    terms: tuple[ListedTerm, ...] = ()
    near: tuple[str, ...] = ()
    """Names spoken that are no terms."""
    length: float = 0
    quiet: str = ""


@dataclass
class Supply:
    """A recording's share of its half: no term and no sentence is in two recordings of a set."""

    half: Half
    phones: Phones
    rng: random.Random
    share: int
    names: list[str] = field(init=False)
    sentences: list[str] = field(init=False)

    def __post_init__(self) -> None:
        order = random.Random("order")
        names, sentences = list(self.half.names), list(self.half.sentences)
        order.shuffle(names)
        order.shuffle(sentences)
        self.names, self.sentences = names[self.share :: SHARES], sentences[self.share :: SHARES]
        self.rng.shuffle(self.names)
        self.rng.shuffle(self.sentences)
        self.phones.learn(self.sentences_words())

    def sentences_words(self) -> set[str]:
        return {word for sentence in self.sentences for word in spoken_words(sentence)}

    def sentence(self, apart: Apart) -> str:
        """Take a sentence without any word that is written or read like a name."""
        while True:
            sentence = self.sentences.pop()
            if all(apart.allows(word) for word in spoken_words(sentence)):
                return sentence

    def pair(self, apart: Apart) -> tuple[str, str]:
        """Take a name and another spelling of it, unlike all that are taken."""
        while True:
            name = self.names.pop()
            written = respelt(name, self.half, self.phones, self.rng)
            if written and apart.allows(name) and apart.allows(written):
                apart.take(name, written)
                return name, written

    def near(self, name: str, apart: Apart) -> str | None:
        """Return a name that sounds like `name` and that every reader reads otherwise."""
        pool = [each for each in self.half.names if apart.allows(each)]
        other = near_name(name, pool, self.phones, self.rng)
        if other:
            apart.take(other)
        return other


def spoken_words(text: str) -> list[str]:
    """Return the words of `text` without capitals and possessives."""
    return [word.removesuffix("'s") for word in re.findall(r"[a-z']+", text.lower())]


def make_set(
    which: str, folder: Path, recordings: int, *, shape: Shape | None = None, seed: str = ""
) -> None:
    """Make the recordings of a set that `folder` does not hold yet."""
    if recordings > SHARES:
        raise SystemExit(f"the corpus is enough for {SHARES} recordings, not for {recordings}")
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:03}" for number in range(1, recordings + 1)]
    missing = [
        (number, name)
        for number, name in enumerate(names)
        if not all((folder / f"{name}{end}").exists() for end in (".json", ".flac"))
    ]
    if not missing:
        return
    phones = Phones()
    # A quick set must not show what the test is made of.
    half = load_half("tuning" if shape is QUICK else which, phones)
    for number, name in missing:
        print(f"making {folder / name}.flac ({which})", file=sys.stderr, flush=True)
        seeded = f"{seed or SEEDS[which]}|{number}"
        supply = Supply(half=half, phones=phones, rng=random.Random(seeded), share=number)
        Maker(supply=supply, shape=shape or Shape(), synthesizer=which, seed=seeded).make(
            folder, name
        )


@dataclass
class Maker:
    """Makes one recording."""

    supply: Supply
    shape: Shape
    synthesizer: str
    seed: str
    rng: random.Random = field(init=False)
    apart: Apart = field(init=False)
    terms: list[ListedTerm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}|plan")
        self.apart = Apart(phones=self.supply.phones)

    def make(self, folder: Path, name: str) -> None:
        """Make `name`.flac and, when it is whole, `name`.json."""
        plan = self.plan()
        blocks, lines, samples = self.speak(plan)
        write_flac(folder / f"{name}.flac", iter([samples]))
        near, others = self.others(lines)
        save(
            Recording(
                name=name,
                folder=folder,
                seed=self.seed,
                duration=len(samples) / SAMPLE_RATE,
                blocks=tuple(blocks),
                lines=tuple(lines),
                terms=tuple(self.terms),
                near_others=near,
                random_others=others,
            )
        )

    # --- what is in it ---

    def plan(self) -> list[Planned]:
        """Decide on the blocks, their order, and the terms."""
        shape, rng = self.shape, self.rng
        kinds = (
            [TERM] * shape.scenes
            + [NEAR] * shape.near
            + [PLAIN] * shape.plain
            + [WRONG_TIME]
            + list(shape.quiet)
        )
        rng.shuffle(kinds)
        terms: dict[int, list[ListedTerm]] = {i: [] for i in range(len(kinds))}
        near: dict[int, list[str]] = {i: [] for i in range(len(kinds))}
        scenes = [i for i, kind in enumerate(kinds) if kind == TERM]
        speech = [i for i, kind in enumerate(kinds) if kind not in NON_SPEECH]
        for i in scenes:
            for _ in range(rng.randint(*shape.scene_terms)):
                # One term in five comes back in a second scene.
                more = rng.choice([j for j in scenes if j != i])
                spoken_in = tuple(sorted({i, more} if rng.random() < 0.2 else {i}))
                term = self._term(SPOKEN, spoken_in, spoken_in)
                for j in spoken_in:
                    terms[j].append(term)
        for i, kind in enumerate(kinds):
            if kind == WRONG_TIME:
                for _ in range(shape.wrong_time_terms):
                    elsewhere = rng.choice([j for j in speech if j != i])
                    terms[i].append(self._term(WRONG_TIME, (i,), (elsewhere,)))
            if kind == NEAR:
                for pair in range(shape.near_pairs):
                    near[i].append(self._near(i, listed_here=pair % 2 == 0))
        return [
            Planned(
                stratum=kind,
                terms=tuple(terms[i]),
                near=tuple(near[i]),
                length=self._length(kind),
                quiet=kind if kind in NON_SPEECH else "",
            )
            for i, kind in enumerate(kinds)
        ]

    def _length(self, kind: str) -> float:
        shape = self.shape
        lengths = {
            TERM: shape.scene, NEAR: shape.near_length, PLAIN: shape.plain_length,
            WRONG_TIME: shape.wrong_time,
        }  # fmt: skip
        return lengths[kind] if kind in lengths else self.rng.uniform(*shape.quiet_length)

    def _term(self, kind: str, spoken_in: tuple[int, ...], listed: tuple[int, ...]) -> ListedTerm:
        plain, text = self.supply.pair(self.apart)
        if self.rng.random() < 0.12:  # a full name
            second = self.supply.pair(self.apart)
            plain, text = f"{plain} {second[0]}", f"{text} {second[1]}"
        term = ListedTerm(text=text, plain=plain, kind=kind, spoken_in=spoken_in, listed_for=listed)
        self.terms.append(term)
        return term

    def _near(self, block: int, *, listed_here: bool) -> str:
        """Return a name to speak in `block` that is like a term: one that is spoken elsewhere, or
        one that nobody says and that is listed for this very block."""
        while not listed_here:
            term = self.rng.choice(
                [t for t in self.terms if t.kind == SPOKEN and " " not in t.text]
            )
            if other := self.supply.near(term.plain, self.apart):
                return other
        while True:
            plain, text = self.supply.pair(self.apart)
            if other := self.supply.near(plain, self.apart):
                term = ListedTerm(
                    text=text, plain=plain, kind=ABSENT, spoken_in=(), listed_for=(block,)
                )
                self.terms.append(term)
                return other

    # --- how it sounds ---

    def speak(self, plan: list[Planned]) -> tuple[list[Block], list[Line], Samples]:
        """Speak the plan: blocks, lines, and the sound."""
        sound, blocks, lines = Sound(rng=self.rng), list[Block](), list[Line]()
        voices = self._voices()
        with tempfile.TemporaryDirectory() as scratch:
            for number, planned in enumerate(plan):
                begin = sound.now
                for line in self._block(planned, number, sound, voices, Path(scratch)):
                    lines.append(line)
                blocks.append(Block(start=begin, end=sound.now, stratum=planned.stratum))
        return blocks, lines, sound.whole()

    def _block(
        self, planned: Planned, number: int, sound: Sound, voices: Iterator[str], scratch: Path
    ) -> Iterator[Line]:
        """Speak one block, until it is long enough and each name has come twice."""
        begin, mentions = sound.now, 0
        if planned.quiet:
            noise = np.random.default_rng(self.rng.getrandbits(32))
            start, end = sound.add(non_speech(planned.quiet, planned.length, noise))
            yield Line(start=start, end=end, stratum=planned.quiet, block=number)
            return
        wanted = 2 * len(planned.terms or planned.near)
        for draft in self._drafts(planned, number):
            if sound.now - begin >= planned.length and mentions >= wanted:
                return
            voice = next(voices)
            start, end = sound.add(self._say(draft.spoken, voice, scratch))
            sound.pause()
            mentions += len(draft.terms) + (draft.stratum == NEAR)
            yield replace(draft, start=start, end=end, voice=voice)

    def _drafts(self, planned: Planned, number: int) -> Iterator[Line]:
        """Yield lines for a block, without end: what is said and what should be written."""
        names = [(t.plain, t.text) for t in planned.terms] or [(n, n) for n in planned.near]
        share = {TERM: 0.6, NEAR: 0.7, WRONG_TIME: 0.75, PLAIN: 0.0}[planned.stratum]
        deck: list[tuple[str, str]] = []
        while True:
            if self.rng.random() >= share:
                text = self.supply.sentence(self.apart)
                yield Line(start=0, end=0, stratum=PLAIN, block=number, text=text, spoken=text)
                continue
            template = self._template(len(names))
            dealt: list[tuple[str, str]] = []
            while len(dealt) < template.count("{"):
                deck = deck or self.rng.sample(names, len(names))
                dealt.append(deck.pop(0))
                if len(set(dealt)) < len(dealt):  # not twice in a line
                    deck.append(dealt.pop())
            yield Line(
                start=0,
                end=0,
                stratum=planned.stratum,
                block=number,
                text=template.format(*(text for _, text in dealt)),
                spoken=template.format(*(plain for plain, _ in dealt)),
                terms=tuple(text for _, text in dealt) if planned.terms else (),
            )

    def _template(self, most: int) -> str:
        """Return a carrier, or a sentence with one name put between its words."""
        if self.rng.random() < 0.65:
            return self.rng.choice(
                [each for each in self.supply.half.carriers if each.count("{") <= most]
            )
        words = self.supply.sentence(self.apart).split()
        words.insert(self.rng.randint(1, len(words) - 1), "{0}")
        return " ".join(words)

    def _voices(self) -> Iterator[str]:
        """Yield voices, alternating: three or four for a recording."""
        if self.synthesizer == "tuning":
            mine = self.rng.sample(FLITE, 3)
        else:
            accents = self.rng.sample(ACCENTS, 4)
            mine = [
                accent + (v and f"+{v}") for accent in accents for v in [self.rng.choice(VARIANTS)]
            ]
        return itertools.cycle(mine)

    def _say(self, text: str, voice: str, scratch: Path) -> Samples:
        """Say it at some pace and pitch."""
        if self.synthesizer == "tuning":
            take = speak_flite(text, self.rng, scratch, voice)
        else:
            take = speak_espeak(text, self.rng, voice)
        if take is None:
            raise SystemExit(f"{voice} said nothing for {text!r}")
        return take.samples

    def others(self, lines: list[Line]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names that fill glossaries up: near ones and random ones."""
        heard = {word for line in lines for word in spoken_words(f"{line.text} {line.spoken}")}
        self.apart.take(*sorted(heard))
        said = [t.plain for t in self.terms] + [t.text for t in self.terms]
        words = {w for line in lines if line.stratum == PLAIN for w in spoken_words(line.text)}
        near = tuple(near_others(OTHERS // 2, said, words, self.supply.half, self.apart))
        rng = random.Random(f"{self.seed}|random")
        others = random_others(OTHERS // 2, near, self.supply.half, self.apart, rng)
        return near, tuple(others)


@dataclass
class Sound:
    """Samples put one after the other, over a soft noise or none."""

    rng: random.Random
    _parts: list[Samples] = field(default_factory=list)
    _length: int = 0

    @property
    def now(self) -> float:
        return self._length / SAMPLE_RATE

    def add(self, samples: Samples) -> tuple[float, float]:
        """Append; return the times of its begin and end."""
        begin = self.now
        self._parts.append(samples)
        self._length += len(samples)
        return begin, self.now

    def pause(self) -> None:
        self.add(np.zeros(round(self.rng.uniform(0.3, 2) * SAMPLE_RATE), np.int16))

    def whole(self) -> Samples:
        floor = self.rng.choice((0, 10 ** (-70 / 20), 10 ** (-60 / 20))) * 32_768
        noise = np.random.default_rng(self.rng.getrandbits(32)).standard_normal(self._length)
        sound = np.concatenate(self._parts) + noise * floor
        return np.clip(sound, -32_768, 32_767).astype(np.int16)
