"""Keys: a result is stored under a hash of everything that shaped it.

So a changed option, glossary or model redoes exactly what it affects, and the
same command run again redoes nothing. Versions of libraries are left out on
purpose: an upgrade in the middle of a job must not throw the work away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from longscribe.config import DecodeSettings, PlanSettings, RecognizerSettings, SpeechSettings
from longscribe.types import Chunk, Glossary, WindowBias

KEY_VERSION = 2
"""Raised when the meaning of what is hashed changes, or when results of before lack something.
2: words at the ends of windows, lost with timestamp tokens (docs/decisions/0020)."""


def digest(*parts: Any) -> str:
    """Return a stable hash of plain values."""
    text = json.dumps([KEY_VERSION, *parts], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def glossary_digest(glossary: Glossary) -> str:
    """Return a digest of all that a glossary says."""
    return digest("glossary", asdict(glossary))


def _shaping(settings: DecodeSettings) -> dict[str, Any]:
    """Return what of the settings shapes a result."""
    values = asdict(settings)
    # As large as the batch asked for; what is really decoded together changes nothing.
    del values["prompt_group"]
    return values


def plan_key(
    fingerprint: str, track: int | None, speech: SpeechSettings, plan: PlanSettings, *, mps: bool
) -> str:
    """Return the key of a plan: the media, and how it is read and cut."""
    return digest("plan", fingerprint, track, asdict(speech), asdict(plan), mps)


def language_key(plan: str, model: str) -> str:
    """Return the key of a detected language."""
    return digest("language", plan, model)


def result_key(
    chunk: Chunk,
    audio: str,
    recognizer: RecognizerSettings,
    model: str,
    decoding: tuple[DecodeSettings, Sequence[WindowBias], Sequence[Any]],
) -> str:
    """Return the key of a chunk's result.

    Args:
        chunk: its plan.
        audio: digest of its samples.
        recognizer: engine and where it runs; the number of threads does not count.
        model: identity of the model's files.
        decoding: settings with the language filled in, the bias of each window, and what
            decides how terms are verified (empty when they are not).
    """
    settings, biases, verifying = decoding
    engine = (recognizer.name, recognizer.device, recognizer.compute_type)
    return digest(
        "result",
        asdict(chunk),
        audio,
        engine,
        model,
        _shaping(settings),
        [asdict(bias) for bias in biases],
        *([list(verifying)] if verifying else []),
    )
