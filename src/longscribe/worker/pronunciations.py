"""Pronunciations kept in the job folder: a long glossary takes minutes to be pronounced.

So a worker that takes another's place, and the run that goes on tomorrow, need not do it
again. What is kept is what the pronouncer would say, so it changes no result; and losing
it costs time only, so nothing about it is an error.

    longscribe pronunciations 1 ["espeak-ng 1.51","en"]
    9f3c01aa ["Annabell","…"]

Each line has its checksum: one that was cut short or damaged is as if it were not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from longscribe.ports import Pronouncer

FORM = "longscribe pronunciations 1"
MOST_BYTES = 64_000_000
"""Of one file: half a million terms."""
MANY = 2000
"""Terms from which on it is worth a file: with fewer it is done in a second or two."""


class KeptPronunciations:
    """A pronouncer that remembers, from run to run.

    Args:
        pronouncer: says what is not known yet.
        language: of the texts.
        folder: where they are kept, a file for each language.
    """

    def __init__(self, pronouncer: Pronouncer, language: str, folder: Path) -> None:
        self._pronouncer = pronouncer
        self._file = folder / f"pronunciations-{language}.txt"
        head = json.dumps([pronouncer.name, language], ensure_ascii=False)
        self._head = f"{FORM} {head}"
        self._known = self._read()

    def pronounce(self, texts: Sequence[str]) -> list[str]:
        """Return the phones of each text."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            said = dict(zip(new, self._pronouncer.pronounce(new), strict=True))
            self._known |= said
            self._append(said.items())
        return [self._known[text] for text in texts]

    def _read(self) -> dict[str, str]:
        """Return what is kept; drop a file of another pronouncer, or one that is none of ours."""
        try:
            with os.fdopen(_open(self._file, os.O_RDONLY), "rb") as file:
                if os.fstat(file.fileno()).st_size <= MOST_BYTES:
                    head, *lines = file.read().split(b"\n")
                    if head.decode(errors="replace") == self._head:
                        return dict(_sound(lines))
        except OSError:
            return {}
        with contextlib.suppress(OSError):
            self._file.unlink()
        return {}

    def _append(self, said: Iterable[tuple[str, str]]) -> None:
        lines = (json.dumps(pair, ensure_ascii=False) for pair in said)
        # Each part begins on a line of its own, also behind one that was cut short.
        text = "\n" + "".join(f"{_checksum(line)} {line}\n" for line in lines)
        data = text.encode(errors="surrogatepass")
        with contextlib.suppress(OSError):
            descriptor = _open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(descriptor, "ab") as file:
                size = os.fstat(descriptor).st_size
                if size + len(data) <= MOST_BYTES:
                    file.write(data if size else self._head.encode() + data)


def _open(path: Path, flags: int) -> int:
    """Open a plain file, through no link: a job folder may be anybody's.

    Raises:
        OSError: it can't be opened, or is none.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no plain file")
    return descriptor


def _sound(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Yield what the lines say that are as they were written."""
    for line in lines:
        checksum, _, body = line.partition(b" ")
        if body and checksum.decode(errors="replace") == f"{zlib.crc32(body):08x}":
            with contextlib.suppress(ValueError):
                text, phones = json.loads(body.decode(errors="surrogatepass"))
                yield text, phones


def _checksum(line: str) -> str:
    return f"{zlib.crc32(line.encode(errors='surrogatepass')):08x}"
