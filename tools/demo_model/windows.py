"""Training windows: which takes stand where in 30 seconds, and what the decoder should write.

Batches are built by processes of their own, which see only the records of the shards. A batch names
the samples it wants by their place in the pool of takes that the trainer keeps on its device.
"""

from __future__ import annotations

import json
import multiprocessing.queues
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .corpus import Line, SoundAlikes, load_corpus, respell
from .prompts import PromptComposer, SpokenName
from .vocabulary import (
    END_OF_TEXT,
    ENGLISH,
    FIRST_TIMESTAMP,
    NO_SPEECH,
    NO_TIMESTAMPS,
    START_OF_PREVIOUS,
    START_OF_TRANSCRIPT,
    TEXT_CONTEXT,
    TRANSCRIBE,
    Encoder,
    timestamp,
)
from .voices import SAMPLE_RATE

WINDOW = 30 * SAMPLE_RATE
IGNORED = -100  # a label that costs nothing
LETTERS = "_ abcdefghijklmnopqrstuvwxyz'"  # the alphabet of the auxiliary loss; "_" is its blank
_LETTER = {letter: i for i, letter in enumerate(LETTERS)}
ENOUGH_TAKES = 400
AS_MADE_SHARE = 0.3  # of the windows keep the pace at which their takes were spoken


@dataclass(frozen=True, kw_only=True)
class PooledTake:
    """A take by its place in the pool."""

    offset: int
    length: int
    line: Line


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A take in a window: where it begins, how much faster it is played and how loud."""

    take: PooledTake
    start: int
    length: int  # in the window, after the change of speed
    speed: float
    gain: float
    cut: bool  # runs past the end of the window


@dataclass(frozen=True, kw_only=True)
class Window:
    """The placements of one window and its token sequence."""

    placements: tuple[Placement, ...]
    tokens: tuple[int, ...]
    labels: tuple[int, ...]
    letters: tuple[int, ...]
    letters_end: int  # the sample where a take begins that is cut off, and so has no letters


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Arrays for the device. `placed` has a row for each placement: window, start, length in the
    window, offset in the pool; `played` its speed and gain. `letter_ends` are samples."""

    placed: npt.NDArray[np.int64]
    played: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]
    letter_counts: npt.NDArray[np.int64]
    letter_ends: npt.NDArray[np.int64]


def _gap(rng: random.Random) -> int:
    """The silence between two takes, in samples."""
    return int(
        SAMPLE_RATE * rng.choice((0.08, 0.15, 0.3, 0.5, 0.8, 1.5, 3.0)) * rng.uniform(0.7, 1.3)
    )


def arrange(takes: Sequence[PooledTake], rng: random.Random) -> tuple[Placement, ...]:
    """Takes in a window, in one of the ways that real windows look."""
    kind = rng.random()
    if kind < 0.1:
        return ()
    as_made = rng.random() < AS_MADE_SHARE
    if kind < 0.35:
        return _sparse(takes, as_made, rng)
    filled = kind > 0.65
    position = int(rng.choice((0, 0, 0.2, 0.5, 1, 2, 4)) * rng.random() * SAMPLE_RATE)
    stop = WINDOW if filled else int(rng.uniform(3, 30) * SAMPLE_RATE)
    may_cut = filled and rng.random() < 0.4
    placements: list[Placement] = []
    for _ in range(12 if filled else rng.choice((1, 2, 3, 4, 6, 9))):
        if position > stop - SAMPLE_RATE:
            break
        placement = _place(rng.choice(takes), position, as_made, rng)
        if placement.cut and not may_cut:
            continue
        placements.append(placement)
        if placement.cut:
            break
        position += placement.length + _gap(rng)
    return tuple(placements)


def _sparse(
    takes: Sequence[PooledTake], as_made: bool, rng: random.Random
) -> tuple[Placement, ...]:
    """One to three takes with long silence before, between or after them."""
    starts = sorted(
        int(rng.uniform(0, 28) * SAMPLE_RATE) for _ in range(rng.choice((1, 1, 1, 2, 2, 3)))
    )
    placements: list[Placement] = []
    free = 0
    for start in starts:
        placement = _place(rng.choice(takes), start, as_made, rng)
        if start >= free and not placement.cut:
            placements.append(placement)
            free = start + placement.length + SAMPLE_RATE // 10
    return tuple(placements)


def _place(take: PooledTake, start: int, as_made: bool, rng: random.Random) -> Placement:
    """The take at that sample. Unless it is to stay as it was made, half of all takes are played
    faster or slower, which moves pitch and formants together: a voice that no synthesizer has."""
    speed = 1.0 if as_made or rng.random() < 0.5 else rng.uniform(0.84, 1.2)
    length = int((take.length - 1) / speed)
    gain = 10 ** (rng.uniform(-14, 3) / 20)
    cut = start + length > WINDOW - SAMPLE_RATE // 20
    return Placement(take=take, start=start, length=length, speed=speed, gain=gain, cut=cut)


class WindowComposer:
    """Draws windows from the takes known so far."""

    def __init__(self, tokenizer_file: Path, seed: int) -> None:
        self._rng = random.Random(seed)
        self._encode = Encoder(tokenizer_file)
        corpus = load_corpus("training")
        names = [
            respell(name, self._rng) if self._rng.random() < 0.5 else name
            for name in self._rng.choices(corpus.names, k=80_000)
        ]
        alikes = SoundAlikes(corpus.names)
        self._prompts = PromptComposer(self._encode, names, alikes, corpus.sentences)
        self.takes: list[PooledTake] = []

    def draw(self) -> Window | None:
        """A window, or None if its text is too long for the decoder."""
        rng = self._rng
        placements = arrange(self.takes, rng)
        timed = rng.random() < 0.6
        if not timed:
            placements = tuple(p for p in placements if not p.cut)
        whole = [p for p in placements if not p.cut]
        spoken = [
            SpokenName(slot=(i, k), spelling=self._spelling(p.take.line, k, rng))
            for i, p in enumerate(whole)
            for k in range(len(p.take.line.names))
        ]
        prompt = self._prompts.compose(spoken, rng)
        spellings = {name.slot: name.spelling for name in spoken if name.slot in prompt.shown}
        tokens = [START_OF_PREVIOUS, *prompt.tokens] if prompt.tokens else []
        start = len(tokens)
        tokens += [START_OF_TRANSCRIPT, ENGLISH, TRANSCRIBE]
        tokens += self._timed(placements, spellings) if timed else self._untimed(whole, spellings)
        tokens.append(END_OF_TEXT)
        if len(tokens) > TEXT_CONTEXT:
            return None
        labels = [IGNORED] * start + tokens[start + 1 :] + [IGNORED]
        if not placements:
            labels[start] = NO_SPEECH
        return Window(
            placements=placements,
            tokens=tuple(tokens),
            labels=tuple(labels),
            letters=_letters(whole),
            letters_end=min((p.start for p in placements if p.cut), default=WINDOW),
        )

    @staticmethod
    def _spelling(line: Line, slot: int, rng: random.Random) -> str:
        return line.respelt[slot] if rng.random() < 0.8 else line.names[slot]

    def _text(self, i: int, line: Line, spellings: dict[tuple[int, int], str]) -> list[int]:
        names = [spellings.get((i, k), name) for k, name in enumerate(line.names)]
        return self._encode(line.template.format(*names))

    def _untimed(
        self, whole: Sequence[Placement], spellings: dict[tuple[int, int], str]
    ) -> list[int]:
        texts = [self._text(i, p.take.line, spellings) for i, p in enumerate(whole)]
        return [NO_TIMESTAMPS, *(token for text in texts for token in text)]

    def _timed(
        self, placements: Sequence[Placement], spellings: dict[tuple[int, int], str]
    ) -> list[int]:
        """A segment for each take. A take that is cut off leaves only the time where it begins, and
        an empty window the time zero, as in Whisper."""
        tokens: list[int] = [] if placements else [FIRST_TIMESTAMP]
        for i, placement in enumerate(placements):
            begin = timestamp(placement.start)
            if i == 0 and self._rng.random() < 0.15:
                # Decoders allow no first timestamp past one second: the text after it must still
                # come.
                begin = min(begin, FIRST_TIMESTAMP + 50)
            tokens.append(begin)
            if not placement.cut:
                tokens += self._text(i, placement.take.line, spellings)
                tokens.append(timestamp(placement.start + placement.length))
        return tokens


def _letters(placements: Sequence[Placement]) -> tuple[int, ...]:
    """What is heard, letter by letter, in the common spelling."""
    heard = " ".join(p.take.line.spoken for p in placements).lower()
    return tuple(_LETTER[letter] for letter in re.sub(r"[^a-z' ]+", " ", heard).strip())


def collate(windows: Sequence[Window]) -> Batch:
    """The windows as arrays of one size."""
    tokens = np.full((len(windows), TEXT_CONTEXT), END_OF_TEXT, np.int64)
    labels = np.full((len(windows), TEXT_CONTEXT), IGNORED, np.int64)
    placed: list[tuple[int, int, int, int]] = []
    played: list[tuple[float, float]] = []
    for row, window in enumerate(windows):
        tokens[row, : len(window.tokens)] = window.tokens
        labels[row, : len(window.labels)] = window.labels
        for p in window.placements:
            placed.append((row, p.start, min(p.length, WINDOW - p.start), p.take.offset))
            played.append((p.speed, p.gain))
    return Batch(
        placed=np.array(placed, np.int64).reshape(-1, 4),
        played=np.array(played, np.float32).reshape(-1, 2),
        tokens=tokens,
        labels=labels,
        letters=np.array([n for w in windows for n in w.letters], np.int64),
        letter_counts=np.array([len(w.letters) for w in windows], np.int64),
        letter_ends=np.array([w.letters_end for w in windows], np.int64),
    )


class ShardIndex:
    """Follows the trainer's list of the shards that are in its pool: a line `OFFSET JSON` for
    each."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._read = 0

    def news(self) -> list[PooledTake]:
        """The takes of the shards added since the last call."""
        takes: list[PooledTake] = []
        if not self._index.exists():
            return takes
        with self._index.open() as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith("\n"):
                    break
                self._read += len(line)
                base, shard = line.split()
                takes += [
                    PooledTake(
                        offset=int(base) + offset,
                        length=length,
                        line=Line(template=template, names=tuple(names), respelt=tuple(respelt)),
                    )
                    for offset, length, template, names, respelt, _ in json.loads(
                        Path(shard).read_text()
                    )
                ]
        return takes


def build_batches(
    index: Path,
    tokenizer_file: Path,
    seed: int,
    batch_size: int,
    batches: multiprocessing.queues.Queue[Batch],
) -> None:
    """Body of a batch-building process: batches for ever."""
    composer = WindowComposer(tokenizer_file, seed)
    shards = ShardIndex(index)
    refreshed = 0.0
    while True:
        if time.monotonic() - refreshed > 5:
            composer.takes += shards.news()
            refreshed = time.monotonic()
        if len(composer.takes) < ENOUGH_TAKES:
            time.sleep(1)
            refreshed = 0.0
            continue
        windows: list[Window] = []
        while len(windows) < batch_size:
            window = composer.draw()
            if window is not None:
                windows.append(window)
        batches.put(collate(windows))
