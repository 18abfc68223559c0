"""What is given as media and is no plain file: received if it is a pipe, else refused truly.

Media are read more than once (to know them again, to hear them, after a crash), and seeked
in. So what comes through a pipe is copied into the job folder first; from there on it is a
job like any other, and can be gone on with.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from pathlib import Path

from longscribe.adapters.storage import explained, sync
from longscribe.errors import MediaError, StorageError, UsageError
from longscribe.sizes import say_size

STDIN = "stdin"
PIPE = "pipe"
RECEIVED = "received"
"""Folder in the job folder."""
RESERVE = 256 * 1000 * 1000
"""Bytes that a copy leaves free on the disk."""
_PIECE = 1 << 20
_STDIN = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
_KINDS = (
    (stat.S_ISDIR, "is a directory", "Give media files."),
    (stat.S_ISSOCK, "is a socket, not a file", "Write what comes through it to a file first."),
    (stat.S_ISBLK, "is a disk, not a file on it", "Give media files."),
    (stat.S_ISCHR, "is a device, not a file", "Record from it to a file first."),
)


def named(media: Path) -> Path:
    """Return what a job is named by: the media, but for a pipe, which may have no name."""
    if str(media) in _STDIN:
        return Path(STDIN)
    return Path(PIPE) if _DESCRIPTOR.fullmatch(str(media)) else media


def comes_through_pipe(media: Path) -> bool:
    """Tell whether media can be read only once."""
    if str(media) in _STDIN or _DESCRIPTOR.fullmatch(str(media)):
        return True
    with contextlib.suppress(OSError):
        return stat.S_ISFIFO(media.stat().st_mode)
    return False


def check_url(media: Path) -> None:
    """Refuse a URL. `Path` has made one slash of two, and there may be a file of that name.

    Raises:
        UsageError: it is a URL.
    """
    url = _URL.fullmatch(str(media))
    if url is not None and not os.path.lexists(media):
        raise _is_url(url[1], url[2])


def check_kind(media: Path) -> None:
    """Refuse what is no file that could hold media.

    Raises:
        UsageError: it is a folder, a socket or a device, or there is nothing.
    """
    try:
        mode = media.stat().st_mode
    except FileNotFoundError:
        raise UsageError(f"There is no file {media}.", "Check the path.") from None
    except OSError as error:
        raise MediaError(f"{media} can't be read ({error.strerror}).") from error
    for is_kind, found, remedy in _KINDS:
        if is_kind(mode):
            raise UsageError(f"{media} {found}.", remedy)


def receive(media: Path, job: Path) -> Path:
    """Copy what comes through a pipe into the folder of its job; return the file.

    Raises:
        UsageError: it comes from a terminal.
        MediaError: nothing came, or it can't be read.
        StorageError, OutputError: there is no room for it, or the disk fails.
    """
    folder = job / RECEIVED
    target = folder / named(media).name
    part = folder / f".{PIPE}.part"
    try:
        source = _open(media)
    except OSError as error:
        raise MediaError(f"{media} can't be read ({error.strerror}).") from error
    try:
        folder.mkdir(exist_ok=True)
        _copy(source, part, media)
        part.replace(target)
    except OSError as error:
        raise explained(error, target) from error
    finally:
        os.close(source)
        part.unlink(missing_ok=True)
    return target


def drop(received: Path) -> None:
    """Remove a copy that `receive` made."""
    with contextlib.suppress(OSError):
        received.unlink()
        received.parent.rmdir()


def was_received(media: Path, job: Path) -> bool:
    """Tell whether media are a copy that `receive` made for the job."""
    return media.parent == job / RECEIVED


def _open(media: Path) -> int:
    number = 0 if str(media) in _STDIN else None
    if (other := _DESCRIPTOR.fullmatch(str(media))) is not None:
        number = int(other[1])
    source = os.open(media, os.O_RDONLY) if number is None else os.dup(number)
    if os.isatty(source):
        os.close(source)
        raise UsageError(
            "Standard input is a terminal; expected media through a pipe.",
            "Give the name of a file, or: cat talk.wav | longscribe transcribe -",
        )
    return source


def _copy(source: int, part: Path, media: Path) -> None:
    part.unlink(missing_ok=True)
    size = 0
    with part.open("xb") as out:
        while data := _read(source, media):
            free = shutil.disk_usage(part.parent).free
            if free - len(data) < RESERVE:
                raise StorageError(
                    f"{media} holds more than there is room for: {say_size(size)} came, "
                    f"{say_size(free)} are left in {part.parent}.",
                    "Give --job-dir a folder on another disk.",
                )
            out.write(data)
            size += len(data)
        out.flush()
        sync(out.fileno())
    if not size:
        raise MediaError(f"Nothing came through {_shown(media)}.", "Did what writes to it fail?")


def _read(source: int, media: Path) -> bytes:
    try:
        return os.read(source, _PIECE)
    except OSError as error:
        raise MediaError(f"{_shown(media)} can't be read ({error.strerror}).") from error


def _shown(media: Path) -> str:
    return "standard input" if str(media) in _STDIN else str(media)


def _is_url(scheme: str, rest: str) -> UsageError:
    if scheme.lower() == "file":
        return UsageError(f"{scheme}:///{rest} is a URL; expected a path.", f"Give: /{rest}")
    url = f"{scheme}://{rest}"
    return UsageError(
        f"{url} is a URL; Longscribe reads files only.",
        f"Fetch it first, for example: curl -L -O '{url}' (or yt-dlp, for a page with a player).",
    )
