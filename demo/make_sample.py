"""Make the demo's sample: a short radio play, spoken by flite and espeak-ng.

The result is committed, so nobody needs to run this; it is here so that the
sample can be changed. It needs `flite`, `espeak-ng` and PyAV, and writes beside
itself:

    sample.flac   16 kHz, mono
    sample.txt    what is said, with the names as the glossary spells them
    sample.json   each utterance: start and end in seconds, voice, text

The play is `play.txt`. A name written there as `[Rosalynd=Rosalind]` is spoken as
"Rosalind" and spelt "Rosalynd". Nothing in the sound tells which spelling is
meant: that is what a glossary is for. The pauses and the noise come from a seed:
the same versions of the synthesizers give the same sample.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

HERE = Path(__file__).resolve().parent
SAMPLE_RATE = 16_000
SEED = 1859
PEAK = 0.3
"""Loudest sample of an utterance at gain 1, of full scale."""

CALM, STORM = 0.0006, 0.0012
"""Loudness of the sea on average (root mean square), of full scale."""

Audio = np.ndarray
"""One channel of float32 at `SAMPLE_RATE`, full scale at 1."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    command: tuple[str, ...]
    """How to speak; the text is appended, `{out}` is the WAV file to write."""
    gain: float = 1.0


def flite(voice: str, *, stretch: float, pitch: int, gain: float = 1.0) -> Voice:
    """Return a flite voice. `pitch` in Hz, `stretch` of every duration."""
    settings = ("--setf", f"duration_stretch={stretch}", "--setf", f"int_f0_target_mean={pitch}")
    return Voice(command=("flite", "-voice", voice, *settings, "-o", "{out}", "-t"), gain=gain)


def espeak(voice: str, *, speed: int, pitch: int, gain: float = 1.0) -> Voice:
    """Return an espeak-ng voice. `speed` in words a minute, `pitch` from 0 to 99."""
    settings = ("-s", str(speed), "-p", str(pitch))
    return Voice(command=("espeak-ng", "-v", voice, *settings, "-w", "{out}"), gain=gain)


VOICES = {
    "reporter": flite("slt", stretch=1.05, pitch=175),
    "keeper": flite("awb", stretch=1.1, pitch=115),
    "captain": espeak("en-us+f2", speed=145, pitch=50),
    "clerk": flite("rms", stretch=1.05, pitch=100),
    "station": flite("kal16", stretch=1.1, pitch=95, gain=0.8),
}


_PAUSE = re.compile(r"\(pause ([\d.]+)\)")
_UTTERANCE = re.compile(r"(\w+): (.+)")
_NAME = re.compile(r"\[([^=\]]+)=([^\]]+)\]")


def written(text: str) -> str:
    """Return `text` with each name as the glossary spells it."""
    return _NAME.sub(r"\1", text)


def spoken(text: str) -> str:
    """Return `text` with each name as the synthesizer must be told to say it."""
    return _NAME.sub(r"\2", text)


def read_wav(data: bytes) -> Audio:
    """Return the mono WAV file `data`, resampled to `SAMPLE_RATE`."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
    blocks = []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(audio=0):
            blocks += resampler.resample(frame)
        blocks += resampler.resample(None)
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def speak(voice: Voice, text: str) -> Audio:
    """Return `text` spoken, without the silence around it, at the voice's loudness."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "speech.wav")
        command = [part.format(out=out) for part in voice.command]
        subprocess.run([*command, text], check=True, capture_output=True)
        audio = read_wav(_with_true_length(out.read_bytes()))
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    audio = audio[max(0, loud[0] - 160) : loud[-1] + 480]
    return audio * (PEAK * voice.gain / np.abs(audio).max())


def _with_true_length(data: bytes) -> bytes:
    """Return a WAV file whose header tells its real length (flite and espeak-ng may not)."""
    rate = int.from_bytes(data[24:28], "little")
    fixed = io.BytesIO()
    with wave.open(fixed, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(data[44 : len(data) // 2 * 2])
    return fixed.getvalue()


def sea(length: int, storm: list[float], rng: np.random.Generator) -> Audio:
    """Return `length` samples of surf: low noise that swells, and rises to a storm.

    `storm` is where it begins and ends, in seconds; it comes and goes over ten.
    """
    noise = np.convolve(rng.standard_normal(length), np.hanning(48), mode="same")
    noise /= np.sqrt(np.mean(noise**2))
    time = np.arange(length) / SAMPLE_RATE
    swell = 1 + 0.6 * np.sin(2 * np.pi * time / 9.3)
    begin, end = storm
    strength = np.clip(np.minimum(time - begin, end - time) / 10, 0, 1)
    return noise * swell * (CALM + (STORM - CALM) * strength)


def assemble(play: str) -> tuple[Audio, list[dict[str, Any]]]:
    """Return the whole play and where each utterance of it lies.

    Raises:
        ValueError: a line of the play is neither a direction nor somebody's text.
    """
    rng = np.random.default_rng(SEED)
    parts = [np.zeros(int(1.5 * SAMPLE_RATE))]
    spans: list[dict[str, Any]] = []
    storm: list[float] = []
    for line in filter(None, (line.split("#")[0].strip() for line in play.splitlines())):
        now = sum(map(len, parts)) / SAMPLE_RATE
        if line in ("(storm)", "(calm)"):
            storm.append(now)
        elif pause := _PAUSE.fullmatch(line):
            length = float(pause[1]) * rng.uniform(0.95, 1.05)
            parts.append(np.zeros(int(length * SAMPLE_RATE)))
        elif utterance := _UTTERANCE.fullmatch(line):
            voice, text = utterance.groups()
            parts.append(speak(VOICES[voice], spoken(text)))
            end = now + len(parts[-1]) / SAMPLE_RATE
            times = {"start": round(now, 3), "end": round(end, 3)}
            spans.append({**times, "voice": voice, "text": written(text)})
        else:
            raise ValueError(f"play.txt: cannot read {line!r}")
    speech = np.concatenate(parts)
    return speech + sea(len(speech), storm, rng), spans


def write_flac(path: Path, audio: Audio) -> None:
    """Write `audio` as 16-bit FLAC."""
    samples = np.clip(np.round(audio * 32767), -32768, 32767).astype(np.int16)
    with av.open(str(path), "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        stream.options = {"compression_level": "12"}
        for start in range(0, len(samples), SAMPLE_RATE):
            block = samples[None, start : start + SAMPLE_RATE]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    audio, spans = assemble((HERE / "play.txt").read_text(encoding="utf-8"))
    write_flac(HERE / "sample.flac", audio)
    text = "\n".join(span["text"] for span in spans)
    (HERE / "sample.txt").write_text(text + "\n", encoding="utf-8")
    (HERE / "sample.json").write_text(json.dumps(spans, indent=1) + "\n", encoding="utf-8")
    print(f"{len(audio) / SAMPLE_RATE:.1f} s, {len(spans)} utterances, {len(text.split())} words")


if __name__ == "__main__":
    main()
