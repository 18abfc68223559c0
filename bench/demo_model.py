"""How well does the demo model hear, spell, keep quiet and keep time?

    python bench/demo_model.py
    python bench/demo_model.py --model demo/model --model another/model

Speaks sentences and names that no training has seen, with voices that it knows and with one that it
never heard (`tools/demo_model/data/held_out`), lets each model write them down through
faster-whisper's own model and features, without VAD, and prints one table, a column for each model,
with the targets.

Needs faster-whisper, flite, espeak-ng and festival with festvox-us-slt-hts.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # `tools` is not installed: it lives beside this folder

from tools.demo_model.corpus import CARRIERS, Corpus, load_corpus, respell  # noqa: E402
from tools.demo_model.voices import (  # noqa: E402
    HELD_OUT_VOICE,
    SAMPLE_RATE,
    Take,
    speak_espeak,
    speak_festival,
    speak_flite,
)

Sound = npt.NDArray[np.float32]
WINDOW = 30 * SAMPLE_RATE
PROMPT_TOKENS = 223
FLITE = ("kal16", "awb", "rms", "slt")
ESPEAK = tuple(
    accent + variant
    for accent in ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029")
    for variant in ("", "+m3", "+f2", "+f4")
)


# --- material ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A line and its sound; `names` are the spellings that a prompt would show."""

    text: str
    sound: Sound
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A window of 30 seconds with lines at known samples."""

    sound: Sound
    lines: tuple[tuple[int, int, str], ...] = ()  # begin, end, text


@dataclass(frozen=True, kw_only=True)
class Material:
    """All that the models are asked to hear."""

    known: tuple[Clip, ...]
    noisy: tuple[Clip, ...]
    unheard: tuple[Clip, ...]
    named: tuple[Clip, ...]
    scenes: tuple[Scene, ...]
    sparse: tuple[Scene, ...]
    quiet: tuple[Scene, ...]
    strangers: tuple[str, ...]  # names that nobody says: the rest of a glossary


def as_sound(take: Take) -> Sound:
    """The take in [-1, 1]."""
    return take.samples.astype(np.float32) / 32_768


def say(text: str, rng: random.Random, folder: Path) -> Sound | None:
    """The text by a voice that every version of the model has been trained on."""
    if rng.random() < 0.5:
        take = speak_flite(text, rng, folder, rng.choice(FLITE))
    else:
        take = speak_espeak(text, rng, rng.choice(ESPEAK))
    return take and as_sound(take)


def plain_clips(corpus: Corpus, count: int, rng: random.Random, folder: Path) -> tuple[Clip, ...]:
    """Sentences in known voices."""
    clips: list[Clip] = []
    while len(clips) < count:
        text = rng.choice(corpus.sentences)
        sound = say(text, rng, folder)
        if sound is not None and len(sound) < WINDOW:
            clips.append(Clip(text=text, sound=sound))
    return tuple(clips)


def unheard_clips(corpus: Corpus, count: int, rng: random.Random, folder: Path) -> tuple[Clip, ...]:
    """Sentences in the voice that no training has heard."""
    texts = [rng.choice(corpus.sentences) for _ in range(count)]
    takes = speak_festival(texts, rng, folder, HELD_OUT_VOICE)
    clips = tuple(Clip(text=t, sound=as_sound(k)) for t, k in zip(texts, takes, strict=True) if k)
    if not clips:
        raise SystemExit(
            f"festival could not speak with {HELD_OUT_VOICE}: is festvox-us-slt-hts installed?"
        )
    return clips


def named_clips(corpus: Corpus, count: int, rng: random.Random, folder: Path) -> tuple[Clip, ...]:
    """Lines with names, each written so that only a prompt can tell how."""
    clips: list[Clip] = []
    while len(clips) < count:
        template = rng.choice(CARRIERS)
        plain = tuple(rng.choice(corpus.names) for _ in set(re.findall(r"\{\d\}", template)))
        names = tuple(respell(name, rng) for name in plain)
        if any(a.lower() == b.lower() for a, b in zip(plain, names, strict=True)):
            continue
        sound = say(template.format(*plain), rng, folder)
        if sound is not None:
            clips.append(Clip(text=template.format(*names), sound=sound, names=names))
    return tuple(clips)


def in_noise(clip: Clip, ratio: float, rng: np.random.Generator) -> Clip:
    """The clip with white noise so many dB below it."""
    power = float(np.mean(clip.sound**2))
    noise = rng.standard_normal(len(clip.sound)) * np.sqrt(power / 10 ** (ratio / 10))
    return Clip(text=clip.text, sound=(clip.sound + noise).astype(np.float32))


def full_scene(clips: Sequence[Clip], rng: random.Random) -> Scene:
    """Lines one after the other with short pauses, the first within the first second."""
    sound = np.zeros(WINDOW, np.float32)
    lines: list[tuple[int, int, str]] = []
    place = int(rng.uniform(0.1, 0.9) * SAMPLE_RATE)
    while True:
        clip = rng.choice(clips)
        if place + len(clip.sound) > WINDOW - SAMPLE_RATE // 2:
            break
        sound[place : place + len(clip.sound)] = clip.sound
        lines.append((place, place + len(clip.sound), clip.text))
        place += len(clip.sound) + int(rng.uniform(0.3, 2) * SAMPLE_RATE)
    return Scene(sound=sound, lines=tuple(lines))


def sparse_scene(clips: Sequence[Clip], rng: random.Random, noise: np.random.Generator) -> Scene:
    """One line somewhere in a window that is otherwise silent or softly noisy."""
    clip = rng.choice([c for c in clips if len(c.sound) < 10 * SAMPLE_RATE])
    sound = noise.standard_normal(WINDOW) * 10 ** (rng.choice((-200.0, -70.0, -55.0)) / 20)
    place = rng.randrange(WINDOW - len(clip.sound))
    sound[place : place + len(clip.sound)] += clip.sound
    end = place + len(clip.sound)
    return Scene(sound=sound.astype(np.float32), lines=((place, end, clip.text),))


def quiet_scene(kind: int, rng: np.random.Generator) -> Scene:
    """Thirty seconds in which nobody speaks: six kinds of it, at levels from soft to loud."""
    seconds = np.arange(WINDOW) / SAMPLE_RATE
    white = rng.standard_normal(WINDOW)
    level = 10 ** (rng.uniform(-60, -20) / 20)
    bins = np.arange(WINDOW // 2 + 1)
    coloured = np.fft.irfft(
        np.fft.rfft(white) / np.maximum(bins, 900) ** rng.uniform(0.5, 1), WINDOW
    )
    mains = rng.choice((50, 60))
    notes = np.zeros(WINDOW)
    for begin in np.arange(0, 30, 0.5):
        pitch = 110 * 2 ** (rng.integers(0, 37) / 12)
        since = np.maximum(seconds - begin, 0)
        notes += np.exp(-since / 0.4) * (seconds >= begin) * np.sin(2 * np.pi * pitch * since)
    bursts = white * (np.sin(2 * np.pi * seconds / rng.uniform(2, 9)) > 0.6)
    hum = sum(np.sin(2 * np.pi * mains * n * seconds) / n for n in (1, 2, 3, 5))
    kinds = (np.zeros(WINDOW), white, coloured / coloured.std(), hum, notes, bursts)
    return Scene(sound=(np.asarray(kinds[kind % len(kinds)]) * level).astype(np.float32))


def make_material(scale: float, seed: int) -> Material:
    """All material; the same for the same scale and seed."""

    def many(count: int) -> int:
        return max(2, round(count * scale))

    corpus, rng, noise = load_corpus("held_out"), random.Random(seed), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        known = plain_clips(corpus, many(120), rng, scratch)
        unheard = unheard_clips(corpus, many(120), rng, scratch)
        named = named_clips(corpus, many(80), rng, scratch)
    return Material(
        known=known,
        noisy=tuple(in_noise(clip, 10, noise) for clip in known[: many(60)]),
        unheard=unheard,
        named=named,
        scenes=tuple(full_scene(known, rng) for _ in range(many(24))),
        sparse=tuple(sparse_scene(known, rng, noise) for _ in range(many(30))),
        quiet=tuple(quiet_scene(number, noise) for number in range(many(20))),
        strangers=tuple(respell(name, rng) for name in rng.sample(corpus.names, 600)),
    )


# --- decoding ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Segment:
    """What a model wrote for a stretch of samples."""

    begin: int
    end: int
    text: str


class Listener:
    """A model behind faster-whisper's primitives: its features, its encoder, its beam search."""

    def __init__(self, folder: Path, threads: int) -> None:
        self._model = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=threads
        )
        self._tokenizer = Tokenizer(
            self._model.hf_tokenizer, True, task="transcribe", language="en"
        )
        self.heard = 0
        self.spent = 0.0

    def encode(self, sound: Sound) -> object:
        """The encoder's view of up to 30 seconds."""
        padded = np.zeros(WINDOW, np.float32)
        padded[: len(sound)] = sound
        return self._model.encode(self._model.feature_extractor(padded, padding=0)[:, :3000])

    def tokens(self, terms: Sequence[str]) -> list[int]:
        """A prompt that lists the terms, cut in front to the decoder's budget, as Whisper cuts."""
        return list(self._tokenizer.encode(" " + ", ".join(terms) + "."))[-PROMPT_TOKENS:]

    def write(self, view: object, terms: Sequence[str] = (), *, timed: bool = False) -> list[int]:
        """The tokens that the model writes."""
        prompt = [self._tokenizer.sot_prev, *self.tokens(terms)] if terms else []
        prompt += self._tokenizer.sot_sequence
        if not timed:
            prompt.append(self._tokenizer.no_timestamps)
        result = self._model.model.generate(
            view, [prompt], beam_size=5, max_length=448, suppress_blank=True, suppress_tokens=[]
        )
        return [token for token in result[0].sequences_ids[0] if token != self._tokenizer.eot]

    def text(self, view: object, terms: Sequence[str] = ()) -> str:
        """What was said, without times."""
        return self._tokenizer.decode(self.write(view, terms))

    def segments(self, sound: Sound, terms: Sequence[str] = ()) -> list[Segment]:
        """What was said and when. The time that this takes is counted."""
        begun = time.perf_counter()
        tokens = self.write(self.encode(sound), terms, timed=True)
        self.spent += time.perf_counter() - begun
        self.heard += len(sound)
        segments: list[Segment] = []
        begin, words = 0, list[int]()
        for token in tokens:
            if token < self._tokenizer.timestamp_begin:
                words.append(token)
                continue
            now = (token - self._tokenizer.timestamp_begin) * SAMPLE_RATE // 50
            if words:
                segments.append(Segment(begin=begin, end=now, text=self._tokenizer.decode(words)))
            begin, words = now, []
        if words:
            segments.append(
                Segment(begin=begin, end=len(sound), text=self._tokenizer.decode(words))
            )
        return segments


# --- scoring -----------------------------------------------------------------


@dataclass(kw_only=True)
class Errors:
    """Word errors, added up."""

    words: int = 0
    wrong: int = 0
    inserted: int = 0

    def add(self, said: str, written: str) -> None:
        """Count the fewest edits that turn what was said into what was written."""
        reference, words = spoken_words(said), spoken_words(written)
        # For each prefix of the writing: (edits, insertions among them).
        row = [(n, n) for n in range(len(words) + 1)]
        for i, wanted in enumerate(reference, 1):
            before, row = row, [(i, 0)]
            for j, word in enumerate(words, 1):
                edits, inserted = before[j - 1]
                match = (edits + (wanted != word), inserted)
                missing = (before[j][0] + 1, before[j][1])
                extra = (row[j - 1][0] + 1, row[j - 1][1] + 1)
                row.append(min(match, missing, extra))
        self.words += len(reference)
        self.wrong += row[-1][0]
        self.inserted += row[-1][1]

    @property
    def rate(self) -> float:
        """Word error rate, per cent."""
        return 100 * self.wrong / self.words


def spoken_words(text: str) -> list[str]:
    """Words as they sound: no case, no punctuation but apostrophes."""
    return re.findall(r"[a-z']+", text.lower().replace("-", " "))


def word_error(listener: Listener, clips: Sequence[Clip]) -> float:
    """Word error rate without prompts, per cent."""
    errors = Errors()
    for clip in clips:
        errors.add(clip.text, listener.text(listener.encode(clip.sound)))
    return errors.rate


def glossary(clip: Clip, size: int, strangers: Sequence[str], rng: random.Random) -> list[str]:
    """So many terms in random order, the clip's names among them, and never where too long a list
    is cut off: which terms survive the cut is the ranking's affair, not the model's."""
    names = list(dict.fromkeys(clip.names))
    others = [name for name in rng.sample(strangers, size) if name not in names]
    others = others[: max(0, size - len(names))]
    kept = others[-40:]
    rest = others[: len(others) - len(kept)]
    kept += names
    rng.shuffle(kept)
    return rest + kept


def names_right(
    listener: Listener, material: Material, views: Sequence[object], size: int | None
) -> tuple[float, float]:
    """Names spelt as the prompt spells them, and word errors, per cent. A size of 0 is the exact
    list, None no prompt at all."""
    rng = random.Random(size or 0)
    right = total = 0
    errors = Errors()
    for clip, view in zip(material.named, views, strict=True):
        if size is None:
            terms: list[str] = []
        elif size == 0:
            terms = list(clip.names)
        else:
            terms = glossary(clip, size, material.strangers, rng)
        written = listener.text(view, terms)
        words = {word.removesuffix("'s") for word in spoken_words(written)}
        right += sum(name.lower() in words for name in clip.names)
        total += len(clip.names)
        errors.add(clip.text, written)
    return 100 * right / total, errors.rate


def time_errors(listener: Listener, scenes: Sequence[Scene]) -> tuple[float, float]:
    """Median error of where segments begin and end (ms), and the word error of the scenes (%)."""
    misses: list[float] = []
    errors = Errors()
    for scene in scenes:
        segments = listener.segments(scene.sound)
        errors.add(" ".join(text for _, _, text in scene.lines), " ".join(s.text for s in segments))
        for begin, end, _ in scene.lines:
            if not segments:
                continue
            near = max(segments, key=lambda s: min(s.end, end) - max(s.begin, begin))
            misses += [abs(near.begin - begin), abs(near.end - end)]
    return 1000 * statistics.median(misses) / SAMPLE_RATE, errors.rate


def invented(listener: Listener, scenes: Sequence[Scene], terms: Sequence[str] = ()) -> float:
    """Words a minute that nobody said."""
    errors = Errors()
    for scene in scenes:
        said = " ".join(text for _, _, text in scene.lines)
        errors.add(said, " ".join(s.text for s in listener.segments(scene.sound, terms)))
    return errors.inserted / (len(scenes) / 2)


# --- the table ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Row:
    """A measure: how it is written, and the target if there is one."""

    label: str
    unit: str
    target: float | None = None
    more_is_better: bool = False

    def written(self, value: float) -> str:
        """The value, marked if it misses the target."""
        missed = self.target is not None and (
            value < self.target if self.more_is_better else value > self.target
        )
        return f"{value:.1f}{self.unit}" + (" (short)" if missed else "")

    @property
    def aim(self) -> str:
        """The target in words."""
        if self.target is None:
            return ""
        return f"{'≥' if self.more_is_better else '≤'} {self.target:g}{self.unit}"


def as_markdown(names: Sequence[str], columns: Sequence[Sequence[float]]) -> str:
    """The table: a line for each of `ROWS`, a column for each model."""
    lines = ["| | " + " | ".join(names) + " | target |", "|---" * (len(names) + 2) + "|"]
    for number, row in enumerate(ROWS):
        cells = [row.written(column[number]) for column in columns]
        lines.append(f"| {row.label} | " + " | ".join(cells) + f" | {row.aim} |")
    return "\n".join(lines)


ROWS = [
    Row(label="word error, known voices", unit=" %", target=4),
    Row(label="word error, known voices in noise (10 dB)", unit=" %"),
    Row(label="word error, a voice never heard", unit=" %", target=10),
    Row(label="names right, no prompt", unit=" %"),
    Row(label="names right, exact list", unit=" %", more_is_better=True),
    Row(label="names right, 20 terms", unit=" %", target=90, more_is_better=True),
    Row(label="names right, 50 terms", unit=" %", target=80, more_is_better=True),
    Row(label="names right, 500 terms cut to 223 tokens", unit=" %", more_is_better=True),
    Row(label="word error of those lines, 20 terms", unit=" %"),
    Row(label="word error of those lines, 50 terms", unit=" %"),
    Row(label="invented words a minute, silence and noise", unit="", target=5),
    Row(label="the same, with 20 terms in the prompt", unit=""),
    Row(label="invented words a minute, one line in 30 s", unit=""),
    Row(label="word error, windows full of lines", unit=" %"),
    Row(label="median error of segment times", unit=" ms", target=60),
    Row(label="speed, windows full of lines, times real time", unit=""),
]


def measure(listener: Listener, material: Material) -> Iterator[float]:
    """The values of `ROWS` for one model, one after the other."""
    yield word_error(listener, material.known)
    yield word_error(listener, material.noisy)
    yield word_error(listener, material.unheard)
    views = [listener.encode(clip.sound) for clip in material.named]
    prompted = [names_right(listener, material, views, size) for size in (None, 0, 20, 50, 500)]
    yield from (right for right, _ in prompted)
    yield prompted[2][1]
    yield prompted[3][1]
    yield invented(listener, material.quiet)
    yield invented(listener, material.quiet, material.strangers[:20])
    yield invented(listener, material.sparse)
    listener.heard, listener.spent = 0, 0.0
    milliseconds, full_rate = time_errors(listener, material.scenes)
    yield full_rate
    yield milliseconds
    yield listener.heard / SAMPLE_RATE / listener.spent


def main() -> None:
    """Make the material, let each model hear it, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, action="append", help="repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of the material to use")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    models: list[Path] = arguments.model or [ROOT / "demo" / "model"]
    material = make_material(arguments.scale, arguments.seed)
    columns: list[list[float]] = []
    for folder in models:
        column: list[float] = []
        for row, value in zip(
            ROWS, measure(Listener(folder, arguments.threads), material), strict=True
        ):
            print(f"{folder}: {row.label}: {row.written(value)}", file=sys.stderr)
            column.append(value)
        columns.append(column)
    print(as_markdown([str(folder) for folder in models], columns))


if __name__ == "__main__":
    main()
