"""Finding a Whisper model in CTranslate2's format."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from longscribe.adapters.recognizers.hub_models import HubShelf, ModelFormat
from longscribe.adapters.recognizers.models import FoundModel

REQUIRED = ("config.json", "model.bin", "tokenizer.json")
WEIGHTS = "model.bin"
PREPROCESSOR = "preprocessor_config.json"
"""Says how many mels the model hears; faster-whisper takes 80 where there is none."""
_MELS = 80
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
REPOSITORIES = {
    **{
        size: f"Systran/faster-whisper-{size}"
        for size in (
            *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
            *("large-v1", "large-v2", "large-v3"),
        )
    },
    "large": "Systran/faster-whisper-large-v3",
    **{
        f"distil-{size}": f"Systran/faster-distil-whisper-{size}"
        for size in ("large-v2", "medium.en", "small.en", "large-v3")
    },
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""Model name → repository on the hub, as in faster-whisper (which the supervisor can't
import: it loads CTranslate2). A test holds the two tables together."""


def _lacks(path: Path) -> list[str]:
    found = [name for name in REQUIRED if not (path / name).is_file()]
    if not any((path / name).is_file() for name in VOCABULARIES):
        found.append(VOCABULARIES[0])
    if WEIGHTS not in found:
        weights = read_ct2_weights(path / WEIGHTS)
        if weights.fault is not None:
            found.append(f"{WEIGHTS} ({weights.fault})")
        if weights.mels != _MELS and not (path / PREPROCESSOR).is_file():
            found.append(PREPROCESSOR)
    return found


@dataclass(frozen=True, kw_only=True)
class CT2Weights:
    """What a `model.bin` says of itself."""

    fault: str | None
    """What is wrong with it, in a few words."""
    mels: int = _MELS
    """Rows of the spectrogram that the model hears; 80 where that is not said."""


def broken_ct2_weights(file: Path) -> str | None:
    """Return what is wrong with a `model.bin`, in a few words; None if nothing is."""
    return read_ct2_weights(file).fault


def read_ct2_weights(file: Path) -> CT2Weights:
    """Return what a `model.bin` says of itself.

    Only the descriptions of its variables are read (CTranslate2's `ModelSpec.save`, the form
    since its version 6): a number, a name, a number, then each variable with its name, its
    shape, its type and its length in bytes; last, other names of variables.
    """
    mels = _MELS
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            (version,) = _numbers(opened, "I")
            if version < 6:
                return CT2Weights(fault=None)
            _text(opened)
            _numbers(opened, "I")
            for _ in range(_numbers(opened, "I")[0]):
                name = _text(opened)
                (rank,) = _numbers(opened, "B")
                shape = _numbers(opened, f"{rank}I")
                if name == _FIRST_LAYER and rank == 3:
                    mels = shape[1]
                _, length = _numbers(opened, "BI")
                if length > 8 * math.prod(shape):
                    return CT2Weights(fault="damaged")
                opened.seek(length, os.SEEK_CUR)
            for _ in range(_numbers(opened, "I")[0]):
                _text(opened)
                _text(opened)
            whole = opened.tell() == size
    except (OSError, struct.error):
        whole = False
    return CT2Weights(fault=None if whole else "cut short or damaged", mels=mels)


_FIRST_LAYER = b"encoder/conv1/weight"
"""Its shape: (states, mels, 3)."""


def _numbers(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _text(file: BinaryIO) -> bytes:
    (length,) = _numbers(file, "H")
    said = file.read(length)
    if len(said) < length:
        raise struct.error("the file ends within a text")
    return said.rstrip(b"\0")


CT2_SHELF = HubShelf(
    ModelFormat(
        folder=f"a CTranslate2 model directory with {', '.join(REQUIRED)} and {VOCABULARIES[0]}",
        repositories=REPOSITORIES,
        patterns=(*REQUIRED, PREPROCESSOR, "vocabulary.*"),
        lacks=_lacks,
        offline="Offline you can use any local CTranslate2 Whisper directory, "
        "such as the project's own demo/model.",
    )
)


def find_ct2_model(name: str) -> FoundModel:
    """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

    Raises:
        UsageError: no such model is known.
        ModelError: the directory lacks a file, or the model is not on this machine
            and can't be fetched.
    """
    return CT2_SHELF.find(name)
