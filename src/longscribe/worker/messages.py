"""The protocol between the supervisor and its children.

A message is a frozen dataclass, sent as JSON in a frame with a magic number, its
length and a checksum. So whatever else a native library writes, garbage is told
from a message; and a worker may run under another Python.

The child's end is its standard input and output. `claim_standard_streams` takes
them at start and points standard output to standard error, so that a stray
`print` in a library ends in the log.
"""

from __future__ import annotations

import os
import platform
import struct
import sys
import threading
import zlib
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Generic, Literal, TypeVar

from pydantic import Field, TypeAdapter

from longscribe import version
from longscribe.config import MemorySettings, RecognizerSettings
from longscribe.job_events import AudioMissing, MediaEnded, MediaOpened, MediaProblem
from longscribe.ports import Capabilities, DecodeTask, FramesHeard, LanguageTask, ReadTask
from longscribe.types import ChunkResult, FailureKind, Glossary, LanguageGuess, MemoryReading
from longscribe.wire import from_json, to_json

MAGIC = b"LSC1"
HEADER = struct.Struct(">4sII")
"""Magic, length of the body in bytes, CRC-32 of the body."""
LONGEST_BODY = 256 * 1024 * 1024
"""Bytes. A longer one is garbage, not a message."""


@dataclass(frozen=True, kw_only=True)
class ReadUntil:
    """The reader may go on to this sample; None: to the end."""

    type: Literal["read_until"] = "read_until"
    position: int | None


@dataclass(frozen=True, kw_only=True)
class TryEngine:
    """Asks a worker, in the place of `LoadModel`, whether a recognizer's libraries are there."""

    type: Literal["try_engine"] = "try_engine"
    factory: str
    """`package.module:attribute` of a `RecognizerFactory`."""
    packages: tuple[str, ...] = ()
    """Whose versions are to be told."""


@dataclass(frozen=True, kw_only=True)
class LoadModel:
    """The first message to a worker."""

    type: Literal["load_model"] = "load_model"
    factory: str
    """`package.module:attribute` of a `RecognizerFactory`."""
    settings: RecognizerSettings
    model_path: str
    spool: str
    glossary: Glossary
    """For verifying; its index is built once, when the first task asks for it."""
    language_tools: str
    """`package.module:attribute` of a `LanguageToolsFactory`."""
    memory_reader: str
    """`package.module:attribute` of a `WorkerMemoryFactory`."""
    memory: MemorySettings


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first message of every child. Its form never changes: it tells versions apart."""

    type: Literal["hello"] = "hello"
    longscribe: str
    """Its version of this package, which must be the supervisor's."""
    python: str
    """Its version of Python."""


@dataclass(frozen=True, kw_only=True)
class EngineFound:
    """The answer to `TryEngine` if they are; otherwise it is `Broke`."""

    type: Literal["engine_found"] = "engine_found"
    versions: tuple[tuple[str, str], ...] = ()
    """Package, version; those that are not installed are left out."""
    devices: tuple[str, ...] = ()
    """Kinds of device that the engine can use as it is installed, if it says so."""


@dataclass(frozen=True, kw_only=True)
class ModelLoaded:
    type: Literal["model_loaded"] = "model_loaded"
    capabilities: Capabilities
    device: str
    compute_type: str
    seconds: float
    memory: MemoryReading


@dataclass(frozen=True, kw_only=True)
class MemoryRead:
    """What the worker holds while it decodes. No sign of progress."""

    type: Literal["memory_read"] = "memory_read"
    memory: MemoryReading
    cleaned_from: int | None = None
    """Bytes held before the worker tidied up in the middle of a chunk; None: it did not."""


@dataclass(frozen=True, kw_only=True)
class LanguageHeard:
    type: Literal["language_heard"] = "language_heard"
    guess: LanguageGuess
    windows: int


@dataclass(frozen=True, kw_only=True)
class BatchDone:
    """Sign of progress: one more batch of windows is decoded."""

    type: Literal["batch_done"] = "batch_done"
    chunk_id: int
    windows: int
    samples: int
    """Audio that is now decoded for the first time."""


@dataclass(frozen=True, kw_only=True)
class ChunkDecoded:
    type: Literal["chunk_decoded"] = "chunk_decoded"
    result: ChunkResult
    seconds: float
    peak_memory: int
    memory: MemoryReading | None = None
    """After the chunk, tidied up."""
    most_memory: int = 0
    """Bytes needed at the highest while it was decoded."""


@dataclass(frozen=True, kw_only=True)
class Broke:
    """The child met an exception in what it was asked to do, and lives on."""

    type: Literal["broke"] = "broke"
    kind: FailureKind
    slug: str
    """Of our error, or empty for any other exception."""
    found: str
    remedy: str
    traceback: str


ToChildMessage = ReadTask | ReadUntil | TryEngine | LoadModel | LanguageTask | DecodeTask
FromChildMessage = (
    Hello
    | EngineFound
    | MediaOpened
    | MediaProblem
    | AudioMissing
    | FramesHeard
    | MediaEnded
    | ModelLoaded
    | LanguageHeard
    | MemoryRead
    | BatchDone
    | ChunkDecoded
    | Broke
)

TO_CHILD: TypeAdapter[ToChildMessage] = TypeAdapter(
    Annotated[ToChildMessage, Field(discriminator="type")]
)
FROM_CHILD: TypeAdapter[FromChildMessage] = TypeAdapter(
    Annotated[FromChildMessage, Field(discriminator="type")]
)


Sent = TypeVar("Sent")
Received = TypeVar("Received")


class GarbageError(Exception):
    """What came through the pipe is not a message."""


class Channel(Generic[Sent, Received]):
    """One end of a pipe pair. Sending is safe from several threads; receiving is for one."""

    def __init__(
        self,
        incoming: BinaryIO,
        outgoing: BinaryIO,
        *,
        sends: TypeAdapter[Sent],
        receives: TypeAdapter[Received],
    ) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._sends = sends
        self._receives = receives
        self._lock = threading.Lock()

    def send(self, message: Sent) -> None:
        """Send a message.

        Raises:
            OSError: the other end is gone.
        """
        body = to_json(self._sends, message).encode()
        frame = HEADER.pack(MAGIC, len(body), zlib.crc32(body)) + body
        with self._lock:
            self._outgoing.write(frame)
            self._outgoing.flush()

    def receive(self) -> Received | None:
        """Wait for a message; return None when the other end is gone.

        Raises:
            GarbageError: the bytes are no message, or only a part of one.
        """
        header = self._incoming.read(HEADER.size)
        if not header:
            return None
        if len(header) < HEADER.size:
            raise GarbageError(f"the stream ends after {len(header)} bytes of a header")
        magic, length, checksum = HEADER.unpack(header)
        if magic != MAGIC or length > LONGEST_BODY:
            raise GarbageError(f"expected a message, got {header!r}")
        body = self._incoming.read(length)
        if len(body) < length or zlib.crc32(body) != checksum:
            raise GarbageError(f"a message of {length} bytes is damaged or cut short")
        try:
            return from_json(self._receives, body)
        except ValueError as error:
            raise GarbageError(f"not a known message: {error}") from None

    def close(self) -> None:
        """Close both directions; an error while flushing no longer matters."""
        for stream in (self._outgoing, self._incoming):
            try:
                stream.close()
            except OSError:
                continue


def hello() -> Hello:
    """Return who this process is."""
    return Hello(longscribe=version.__version__, python=platform.python_version())


def claim_standard_streams() -> Channel[FromChildMessage, ToChildMessage]:
    """Return the child's end of the protocol, and keep everything else off it."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    sys.stdout = sys.stderr
    return Channel(incoming, outgoing, sends=FROM_CHILD, receives=TO_CHILD)
