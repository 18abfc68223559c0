"""Where tests find real Whisper models and people who speak, and what to say where there are none.

Models come from `make real-models`. Human speech is the folder `shared/speech` beside the
checkout, where somebody has put one there; else the Austen sentences of `make real-models`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODELS = ROOT / ".models"
SPEECH = ROOT.parent / "shared" / "speech"
BASE, TINY_EN = "base", "tiny.en"
FETCH = "run `make real-models`, which needs a network once"


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A recording of a person, and what is said in it."""

    media: Path
    text: str


def model(name: str = BASE) -> Path:
    """Return the folder of a real model; it need not be there: see `why_no_model`."""
    return MODELS / name


def why_no_model(name: str = BASE) -> str | None:
    """Return why a test that needs this model can't run; None if it can."""
    if importlib.util.find_spec("faster_whisper") is None:
        return "faster-whisper is not installed"
    if not (model(name) / "model.bin").is_file():
        return f"the real Whisper model .models/{name} is not there: {FETCH}"
    return None


def why_no_speech(name: str) -> str | None:
    """Return why a file of the speech folder can't be used; None if it can."""
    if not (SPEECH / name).exists():
        return f"{name} of the folder shared/speech is not beside the checkout"
    return None


def sentences() -> list[Spoken]:
    """Return short recordings of people: what there is, the best first; empty if nothing."""
    found = []
    if why_no_speech("jfk.flac") is None:
        said = (
            "And so, my fellow Americans, ask not what your country can do for you, "
            "ask what you can do for your country."
        )
        found.append(Spoken(media=SPEECH / "jfk.flac", text=said))
    for media in sorted((MODELS / "austen").glob("*.wav")):
        text = media.with_suffix(".txt").read_text(encoding="utf-8").strip()
        found.append(Spoken(media=media, text=text))
    return found


def why_no_sentences() -> str | None:
    """Return why there is no recording of a person at all; None if there is one."""
    return None if sentences() else f"there is no human speech: {FETCH}"
