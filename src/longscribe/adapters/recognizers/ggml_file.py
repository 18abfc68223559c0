"""What the file of a ggml Whisper model says about itself, and whether all of it is there.

The layout is that of whisper.cpp's `whisper_model_load`: eleven numbers, the mel
filters, the vocabulary, then one tensor after another to the end of the file.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from longscribe.errors import ModelError

MAGIC = 0x67676D6C
"""`ggml`, as a little-endian number."""
QUANTIZATION_VERSIONS = 1000
"""The number of the format carries the version of the quantization in its thousands."""
FORMATS = {
    0: "float32", 1: "float16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1",
    10: "q2_k", 11: "q3_k", 12: "q4_k", 13: "q5_k", 14: "q6_k",
}  # fmt: skip
"""`ggml_ftype`: how the large tensors are stored."""
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
}  # fmt: skip
"""`ggml_type` of a tensor → numbers in a block, bytes of a block."""
_LONGEST_NAME = 256
_MOST_DIMENSIONS = 4


@dataclass(frozen=True, kw_only=True)
class GgmlHeader:
    """The sizes and the format of a model."""

    vocabulary: int
    audio_layers: int
    text_heads: int
    text_layers: int
    mels: int
    format: str
    """By one of the names in `FORMATS`."""

    @property
    def tensors(self) -> int:
        """Return how many tensors a Whisper model of this size has (openai/whisper, model.py)."""
        return 11 + 15 * self.audio_layers + 24 * self.text_layers


def read_header(path: Path) -> GgmlHeader:
    """Return what the file says about itself.

    Raises:
        ModelError: it is no ggml Whisper model, or can't be read.
    """
    try:
        with path.open("rb") as file:
            return _header(file, path)
    except (OSError, struct.error) as error:
        raise _no_model(path, str(error)) from error


def read_vocabulary(path: Path) -> list[bytes]:
    """Return the bytes of each text token, by its number.

    Raises:
        ModelError: it is no ggml Whisper model, or can't be read.
    """
    try:
        with path.open("rb") as file:
            _header(file, path)
            _pass_filters(file)
            return [_take(file, length) for length in _lengths(file)]
    except (OSError, struct.error) as error:
        raise _no_model(path, str(error)) from error


def check_whole(path: Path) -> GgmlHeader:
    """Return the header of a file that holds all its tensors, and nothing after them.

    A download that broke off is noticed wherever it ended. Only the descriptions of the
    tensors are read, so it takes no longer for a large model.

    Raises:
        ModelError: it is no ggml Whisper model, or a part of it is missing.
    """
    try:
        with path.open("rb") as file:
            header = _header(file, path)
            _pass_filters(file)
            for length in _lengths(file):
                file.seek(length, os.SEEK_CUR)
            found = _count_tensors(file, path)
    except (OSError, struct.error) as error:
        raise _incomplete(path) from error
    if found != header.tensors:
        raise _incomplete(path)
    return header


def _header(file: BinaryIO, path: Path) -> GgmlHeader:
    (magic,) = _numbers(file, "I")
    if magic != MAGIC:
        raise _no_model(path, "it does not begin as one")
    vocabulary, _, _, _, audio_layers, _, _, text_heads, text_layers, mels, stored = _numbers(
        file, "11i"
    )
    number = stored % QUANTIZATION_VERSIONS
    if number not in FORMATS or min(vocabulary, audio_layers, text_layers, mels) <= 0:
        raise _no_model(path, f"its sizes or its format ({number}) are unknown")
    return GgmlHeader(
        vocabulary=vocabulary,
        audio_layers=audio_layers,
        text_heads=text_heads,
        text_layers=text_layers,
        mels=mels,
        format=FORMATS[number],
    )


def _pass_filters(file: BinaryIO) -> None:
    mels, frequencies = _numbers(file, "2i")
    file.seek(4 * mels * frequencies, os.SEEK_CUR)


def _lengths(file: BinaryIO) -> Iterator[int]:
    """Yield the length of each word of the vocabulary; the caller passes over the word."""
    (words,) = _numbers(file, "i")
    for _ in range(words):
        (length,) = _numbers(file, "I")
        yield length


def _count_tensors(file: BinaryIO, path: Path) -> int:
    """Pass over the tensors up to the end of the file; return how many there are."""
    size = os.fstat(file.fileno()).st_size
    found = 0
    while file.tell() < size:
        dimensions, name, kind = _numbers(file, "3i")
        known = kind in _BLOCKS and 0 < dimensions <= _MOST_DIMENSIONS and 0 < name <= _LONGEST_NAME
        if not known:
            raise _no_model(path, f"its tensor {found} has an unknown form")
        shape = _numbers(file, f"{dimensions}i")
        numbers, length = _BLOCKS[kind]
        file.seek(name + math.prod(shape) // numbers * length, os.SEEK_CUR)
        found += 1
    if file.tell() != size:
        raise _incomplete(path)
    return found


def _numbers(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _take(file: BinaryIO, length: int) -> bytes:
    taken = file.read(length)
    if len(taken) != length:
        raise struct.error("it ends too early")
    return taken


def _no_model(path: Path, why: str) -> ModelError:
    return ModelError(
        f"{path} is no ggml Whisper model: {why}.",
        "whisper.cpp reads files such as ggml-large-v3-turbo.bin of the hub's ggerganov/whisper.cpp"
        " (other formats, such as GGUF or a CTranslate2 directory, are for other programs).",
    )


def _incomplete(path: Path) -> ModelError:
    return ModelError(
        f"{path} is not complete; it may be a download that broke off.", "Fetch it again."
    )
