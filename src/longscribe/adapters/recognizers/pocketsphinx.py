"""The `pocketsphinx` recognizer: CMU's recognizer of the years before neural networks.

It brings its English model in its package, so it works on a machine with no network
and no Whisper weights. It makes many errors; see docs/how-to/choose-an-engine.md.

It takes no prompt text. The terms of a window enter its dictionary and its language
model instead: each becomes a word of its own, with the pronunciations that the
dictionary, espeak-ng and the letter-to-sound rules give it, and likelier by itself
(`TERM_WEIGHT`) than the average word. The language model has not seen it next to others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longscribe.adapters.language.pronouncers import LettersPronouncer, find_pronouncer
from longscribe.adapters.recognizers.arpabet import to_arpabet
from longscribe.adapters.recognizers.pocketsphinx_models import SphinxModel, model_in
from longscribe.config import DecodeSettings, PronouncerName, RecognizerSettings
from longscribe.core.phrases import compression_ratio
from longscribe.errors import ModelError, RecognizerError
from longscribe.ports import Capabilities, Pronouncer, WindowAudio
from longscribe.types import (
    NO_PROMPT,
    SAMPLE_RATE,
    LanguageGuess,
    Prompt,
    Segment,
    WindowResult,
    Word,
    to_samples,
)

try:
    import pocketsphinx
except ImportError as missing:
    raise RecognizerError(
        f"The recognizer 'pocketsphinx' needs {missing.name}, which is not installed.",
        "Run: pip install 'longscribe[pocketsphinx]'.",
    ) from missing

if TYPE_CHECKING:
    from longscribe.ports import Pcm

LANGUAGE = "en"
FRAME = SAMPLE_RATE // 100
SHORTEST = SAMPLE_RATE // 10
"""Audio under this holds no word, and PocketSphinx may make nothing of it."""
PAUSE = to_samples(0.4)
"""A silence this long ends a segment: there is no punctuation to go by."""
TERM_WEIGHT = 100.0
"""How much likelier a term is, by itself, than the average word of the language model. Measured on
18 names of the sample and a minute of human speech, with 20 terms: from 1 to 500 it hardly matters
(10 to 12 names right, none where there is none), at 5000 a name is heard that nobody said."""
MOST_PRONUNCIATIONS = 4
"""Of one term."""
UNKNOWN_NO_SPEECH = 0.0
"""Not known: what is no speech comes out as silence."""
LEAST_PROBABILITY = 1e-10


def device_kinds() -> tuple[str, ...]:
    """Return the kinds of device that it can use as it is installed, the best first."""
    return ("cpu",)


def load(settings: RecognizerSettings, model_path: str) -> PocketsphinxRecognizer:
    """Load a model.

    Raises:
        RecognizerError: it is asked for another device or compute type than it has.
        ModelError: the directory holds no model that PocketSphinx can read.
    """
    if settings.device not in {"auto", "cpu"}:
        raise RecognizerError(
            f"The recognizer 'pocketsphinx' does not run on {settings.device}.", "Use --device cpu."
        )
    if settings.compute_type not in {"default", "auto", "float32"}:
        raise RecognizerError(
            f"The recognizer 'pocketsphinx' has no compute type {settings.compute_type!r}.",
            "Use --compute-type default.",
        )
    model = model_in(Path(model_path))
    try:
        plain = pocketsphinx.Decoder(lm=str(model.language), **_parts(model))
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The model in {model_path} can't be loaded: {error}.",
            "Expected a model for PocketSphinx: acoustic model, dictionary, language model.",
        ) from error
    # Always both: whether espeak-ng is installed then changes what can be heard, not what can't.
    speakers = [find_pronouncer(PronouncerName.AUTO, LANGUAGE), LettersPronouncer()]
    return PocketsphinxRecognizer(model, plain, speakers)


def _parts(model: SphinxModel) -> dict[str, str]:
    return {
        "hmm": str(model.acoustic),
        "dict": str(model.dictionary),
        "loglevel": "FATAL",
        "cmn": "batch",  # the mean of the whole window
    }


@dataclass(frozen=True, kw_only=True)
class _Spoken:
    """A term in one pronunciation."""

    term: str
    words: tuple[str, ...]
    """ARPAbet of each of its words."""


@dataclass(frozen=True, kw_only=True)
class _Listener:
    """A decoder, and which of its words stand for terms."""

    decoder: Any
    spoken: Mapping[str, _Spoken]
    prompt: Prompt


class PocketsphinxRecognizer:
    """Fulfils `Recognizer` with PocketSphinx, one window after another."""

    def __init__(self, model: SphinxModel, plain: Any, pronouncers: Sequence[Pronouncer]) -> None:
        self._model = model
        self._plain = _Listener(decoder=plain, spoken={}, prompt=NO_PROMPT)
        self._pronouncers = pronouncers
        self._biased: tuple[tuple[str, ...], _Listener] = ((), self._plain)
        """The terms of the latest window that had any, and its decoder."""
        self.device = "cpu"
        self.compute_type = "float32"
        self.capabilities = Capabilities(
            prompts=True,  # terms only: see `decode`
            word_times=True,
            scoring=False,  # its likelihoods are densities, and scaled
            batching=False,
            translate=False,
            languages=(LANGUAGE,),
        )

    def detect_language(self, windows: Sequence[Pcm]) -> LanguageGuess:  # noqa: ARG002
        """Return the only language there is."""
        return LanguageGuess(language=LANGUAGE, probability=1.0)

    def decode(
        self, windows: Sequence[WindowAudio], settings: DecodeSettings, chunk_id: int
    ) -> Iterator[tuple[WindowResult, ...]]:
        """Decode one window after another.

        Raises:
            RecognizerError: there is an introduction, which can't be given to PocketSphinx.
        """
        if settings.initial_prompt:
            raise RecognizerError(
                "The recognizer 'pocketsphinx' takes the terms of a glossary, but no text.",
                "Leave out --initial-prompt.",
            )
        for member in windows:
            listener = self._listener(member.bias.terms)
            words = _hear(listener, member)
            yield (
                WindowResult(
                    chunk_id=chunk_id,
                    window=member.window,
                    bias_window_id=member.bias.bias_window_id,
                    prompt=listener.prompt,
                    segments=tuple(
                        _segment((member, listener.prompt, chunk_id), phrase, settings)
                        for phrase in _phrases(words)
                    ),
                ),
            )

    def _listener(self, terms: tuple[str, ...]) -> _Listener:
        """Return a decoder that knows `terms`.

        A word can't be taken from a decoder again, so each list of terms has one of its own.
        Loading it takes half a second.
        """
        if not terms:
            return self._plain
        if self._biased[0] != terms:
            self._biased = ((), self._plain)  # let the old one go first
            self._biased = (terms, self._with_terms(terms))
        return self._biased[1]

    def _with_terms(self, terms: Sequence[str]) -> _Listener:
        decoder = pocketsphinx.Decoder(lm=None, **_parts(self._model))
        language = pocketsphinx.NGramModel(
            decoder.config, decoder.logmath, str(self._model.language)
        )
        spoken: dict[str, _Spoken] = {}
        for number, term in enumerate(terms):
            name = f"__term{number}__"
            for version, words in enumerate(self._pronunciations(term), start=1):
                key = name if version == 1 else f"{name}({version})"
                decoder.add_word(key, " ".join(words), False)
                spoken[key] = _Spoken(term=term, words=words)
            if name in spoken:
                language.add_word(name, TERM_WEIGHT)
        decoder.add_lm("terms", language)
        decoder.activate_search("terms")
        return _Listener(decoder=decoder, spoken=spoken, prompt=_prompt(spoken))

    def _pronunciations(self, term: str) -> list[tuple[str, ...]]:
        """Return how a term may be said: the ARPAbet of each word; empty if nobody knows."""
        ways = [self._of_word(word) for word in term.replace("-", " ").split()]
        return list(itertools.islice(itertools.product(*ways), MOST_PRONUNCIATIONS)) if ways else []

    def _of_word(self, word: str) -> list[str]:
        bare = "".join(c for c in word.lower() if c.isalnum() or c == "'").strip("'")
        known = [
            found
            for number in range(1, MOST_PRONUNCIATIONS + 1)
            if (found := self._look_up(bare if number == 1 else f"{bare}({number})"))
        ]
        if known:
            return known
        guesses = (to_arpabet(one.pronounce([bare])[0]) for one in self._pronouncers)
        return list(dict.fromkeys(guess for guess in guesses if guess))

    def _look_up(self, word: str) -> str | None:
        found: str | None = self._plain.decoder.lookup_word(word)
        return found


def _prompt(spoken: Mapping[str, _Spoken]) -> Prompt:
    """Return what the decoder was given: each term that can be said, and how."""
    ways: dict[str, list[str]] = {}
    for one in spoken.values():
        ways.setdefault(one.term, []).append(" ".join(one.words))
    text = ", ".join(f"{term} ({' | '.join(said)})" for term, said in ways.items())
    return Prompt(terms=tuple(ways), text=text, token_ids=())


def _hear(listener: _Listener, member: WindowAudio) -> list[Word]:
    """Return the words of a window, timed from the window's start."""
    if len(member.pcm) < SHORTEST:
        return []
    decoder = listener.decoder
    # Else what it has learnt of noise and loudness from earlier windows would decide too, and a
    # resumed job would write something else. Takes a tenth of a millisecond.
    decoder.reinit_feat()
    decoder.start_utt()
    decoder.process_raw(member.pcm.tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()
    words: list[Word] = []
    for found in decoder.seg() or ():
        start = found.start_frame * FRAME
        end = min((found.end_frame + 1) * FRAME, member.window.span.length)
        probability = round(min(1.0, found.prob), 4)
        if found.word in listener.spoken:
            spoken = listener.spoken[found.word]
            words += _of_term(spoken, start, end, probability)
        elif found.word[0] not in "<[+":  # silence, sentence ends, noises
            text = " " + found.word.partition("(")[0]
            words.append(Word(start=start, end=end, text=text, probability=probability))
    return words


def _of_term(spoken: _Spoken, start: int, end: int, probability: float) -> Iterator[Word]:
    """Yield the words of a term; each has a share of its time by its sounds."""
    texts = spoken.term.split()
    # A hyphen parts what is said, not what is written.
    counts = [0] * len(texts)
    said = iter(spoken.words)
    for number, text in enumerate(texts):
        for _ in text.replace("-", " ").split():
            counts[number] += len(next(said).split())
    ends = [start + (end - start) * done // sum(counts) for done in itertools.accumulate(counts)]
    for text, first, last in zip(texts, [start, *ends], ends, strict=False):
        yield Word(start=first, end=last, text=" " + text, probability=probability)


def _phrases(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """Part words at the pauses."""
    first = 0
    for number in range(1, len(words) + 1):
        if number == len(words) or words[number].start - words[number - 1].end >= PAUSE:
            yield tuple(words[first:number])
            first = number


def _segment(
    place: tuple[WindowAudio, Prompt, int], words: Sequence[Word], settings: DecodeSettings
) -> Segment:
    """Build one segment, on the recording's clock."""
    member, prompt, chunk_id = place
    offset = member.window.span.start
    text = "".join(word.text for word in words)
    sureness = [math.log(max(word.probability, LEAST_PROBABILITY)) for word in words]
    timed = tuple(
        Word(
            start=offset + word.start,
            end=offset + word.end,
            text=word.text,
            probability=word.probability,
        )
        for word in words
    )
    return Segment(
        start=timed[0].start,
        end=timed[-1].end,
        text=text,
        words=timed if settings.word_times else (),
        chunk_id=chunk_id,
        window=member.window.index,
        bias_window_id=member.bias.bias_window_id,
        bias_terms=prompt.terms,
        average_logprob=round(sum(sureness) / len(sureness), 4),
        no_speech_probability=UNKNOWN_NO_SPEECH,
        compression_ratio=compression_ratio(text),
    )
