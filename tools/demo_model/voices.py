"""Who says it: the free synthesizers, their voices, and how each is made to vary.

Needs `flite`, `espeak-ng` and `festival` with the English voices (Debian: flite, espeak-ng,
festival, festvox-kallpc16k, festvox-kdlpc16k; for evaluation festvox-us-slt-hts).
"""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
Samples = npt.NDArray[np.int16]

FLITE_PITCH = {  # voice -> range of its mean pitch, Hz
    "kal": (80, 140), "kal16": (80, 140), "awb": (95, 165), "rms": (78, 130), "slt": (135, 225),
}  # fmt: skip
ESPEAK_ACCENTS = (
    "en-us", "en-us", "en-gb", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-us-nyc", "en-029",
    "en-gb-x-gbclan", "en-gb-x-gbcwmd",
)  # fmt: skip
# Every variant that espeak-ng ships, but for four that are not speech-like (whispers and croaks).
ESPEAK_VARIANTS = (
    "", "Alex", "Alicia", "Andrea", "Andy", "Annie", "AnxiousAndy", "Denis", "Diogo", "Gene",
    "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "Mr serious",
    "Nguyen", "RicishayMax", "RicishayMax2", "RicishayMax3", "Storm", "Tweaky", "UniRobot", "adam",
    "anika", "anikaRobot", "announcer", "antonio", "aunty", "belinda", "benjamin", "boris",
    "caleb", "david", "ed", "edward", "edward2", "f1", "f2", "f3", "f4", "f5", "fast", "grandma",
    "grandpa", "gustave", "iven", "iven2", "iven3", "iven4", "john", "kaukovalta", "klatt",
    "klatt2", "klatt3", "klatt4", "klatt5", "klatt6", "linda", "m1", "m2", "m3", "m4", "m5", "m6",
    "m7", "m8", "marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro",
    "quincy", "rob", "robert", "robosoft", "robosoft2", "robosoft3", "robosoft4", "robosoft5",
    "robosoft6", "robosoft7", "robosoft8", "sandro", "shelby", "steph", "steph2", "steph3",
    "travis", "victor", "zac",
)  # fmt: skip
FESTIVAL_VOICES = ("kal_diphone", "ked_diphone")
HELD_OUT_VOICE = "cmu_us_slt_arctic_hts"  # evaluation only; `data/held_out/voices.txt`


@dataclass(frozen=True, kw_only=True)
class Take:
    """A line as one voice said it, trimmed to the speech: 16 kHz mono."""

    samples: Samples
    voice: str


def _run(command: Sequence[str]) -> bytes:
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60
    ).stdout


def decode_wav(raw: bytes) -> npt.NDArray[np.float32]:
    """The samples of a mono 16-bit RIFF file at 16 kHz.

    The header is read by hand because synthesizers that write to a pipe leave its lengths wrong.
    """
    data = raw.find(b"data", 12)
    if data < 0:
        return np.zeros(0, np.float32)
    rate = int.from_bytes(raw[24:28], "little")
    body = raw[data + 8 :]
    samples = np.frombuffer(body[: len(body) // 2 * 2], np.int16).astype(np.float32)
    if rate == SAMPLE_RATE:
        return samples
    return _resampled(samples, rate)


def _resampled(samples: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.float32]:
    """The samples at 16 kHz: the spectrum cut off, or followed by nothing, at the new bandwidth."""
    length = round(len(samples) * SAMPLE_RATE / rate)
    if not length:
        return np.zeros(0, np.float32)
    spectrum = np.fft.rfft(samples)[: length // 2 + 1]
    resampled = np.fft.irfft(spectrum, length) * (length / len(samples))
    return resampled.astype(np.float32)


def trim(samples: npt.NDArray[np.float32]) -> Samples | None:
    """The speech without the silence around it, at one peak level; None if nothing was said."""
    loudness = np.abs(samples)
    if not loudness.size or loudness.max() < 20:
        return None
    loud = np.nonzero(loudness > max(loudness.max() * 0.01, 20))[0]
    if not loud.size:
        return None
    kept = samples[max(0, loud[0] - 160) : loud[-1] + 480]
    return (kept * (20_000 / np.abs(kept).max())).astype(np.int16)


def _take(raw: bytes, voice: str) -> Take | None:
    samples = trim(decode_wav(raw))
    return None if samples is None else Take(samples=samples, voice=voice)


def speak_flite(
    text: str, rng: random.Random, folder: Path, voice: str | None = None
) -> Take | None:
    """One line by flite, at a random pace, pitch and liveliness."""
    voice = voice or rng.choices(tuple(FLITE_PITCH), weights=(1, 2, 4, 4, 4))[0]
    wav = folder / "flite.wav"
    settings = (
        f"duration_stretch={rng.uniform(0.72, 1.38):.2f}",
        f"int_f0_target_mean={rng.uniform(*FLITE_PITCH[voice]):.0f}",
        f"int_f0_target_stddev={rng.uniform(8, 28):.0f}",
    )
    options = [part for setting in settings for part in ("--setf", setting)]
    _run(("flite", "-voice", voice, *options, "-t", text, "-o", str(wav)))
    return _take(wav.read_bytes(), f"flite:{voice}")


def speak_espeak(text: str, rng: random.Random, voice: str | None = None) -> Take | None:
    """One line by espeak-ng, in a random accent and variant."""
    if voice is None:
        variant = rng.choice(ESPEAK_VARIANTS)
        voice = rng.choice(ESPEAK_ACCENTS) + (f"+{variant}" if variant else "")
    pace, pitch, gap = rng.randint(110, 235), rng.randint(15, 85), rng.choice((0, 0, 0, 0, 1, 3))
    options = ("-s", str(pace), "-p", str(pitch), "-g", str(gap))
    return _take(_run(("espeak-ng", "-v", voice, *options, "--stdout", text)), f"espeak:{voice}")


def speak_festival(
    texts: Sequence[str], rng: random.Random, folder: Path, voice: str | None = None
) -> list[Take | None]:
    """Many lines by one Festival voice: starting Festival costs more than speaking."""
    voice = voice or rng.choice(FESTIVAL_VOICES)
    wavs = [folder / f"festival{i}.wav" for i in range(len(texts))]
    script = [f"(voice_{voice})"]
    for text, wav in zip(texts, wavs, strict=True):
        wav.unlink(missing_ok=True)
        if voice in FESTIVAL_VOICES:
            script.append(
                f"(set! int_lr_params '((target_f0_mean {rng.uniform(80, 150):.0f})"
                f" (target_f0_std {rng.uniform(8, 25):.0f}) (model_f0_mean 170) (model_f0_std 34)))"
            )
        said = text.replace("\\", "").replace('"', "")
        script.append(f"(Parameter.set 'Duration_Stretch {rng.uniform(0.75, 1.3):.2f})")
        script.append(f'(utt.save.wave (SynthText "{said}") "{wav}" \'riff)')
    batch = folder / "batch.scm"
    batch.write_text("\n".join(script))
    # What was said before a failure is on disk; the rest comes back as None.
    with contextlib.suppress(subprocess.SubprocessError, OSError):
        _run(("festival", "-b", str(batch)))
    return [_take(w.read_bytes(), f"festival:{voice}") if w.exists() else None for w in wavs]


def speak(texts: Sequence[str], rng: random.Random, folder: Path) -> list[Take | None]:
    """A batch of lines in a mixture of all training voices; None where a synthesizer failed."""
    if rng.random() < 0.2:
        return speak_festival(texts, rng, folder)
    return [_speak_one(text, rng, folder) for text in texts]


def _speak_one(text: str, rng: random.Random, folder: Path) -> Take | None:
    try:
        if rng.random() < 0.55:
            return speak_flite(text, rng, folder)
        return speak_espeak(text, rng)
    except (subprocess.SubprocessError, OSError):
        return None
