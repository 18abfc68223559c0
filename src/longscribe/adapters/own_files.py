"""Looking at the disk for `core/ownership.py`: which names lead to one file, and what it holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Hashable, Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from longscribe.core.names import folded
from longscribe.core.ownership import Film, NamedFile, Place
from longscribe.errors import MediaError
from longscribe.playlists import parts_of

_MOST_FILES = 10_000
"""Of a model that are looked at."""


def identity(path: Path) -> frozenset[Hashable]:
    """Return what a file is known by: its inode, and its name in its folder.

    The name counts without case and in one normal form, so that a file on a disk that knows no
    case, or one that is not there yet, is known again too. A link counts as what it leads to.
    """
    keys: set[Hashable] = {_place(path)}
    try:
        found = path.stat()
    except (OSError, ValueError):
        return frozenset(keys)
    keys.add((found.st_dev, found.st_ino))
    if path.is_symlink():
        keys.add(_place(Path(os.path.realpath(path))))
    return frozenset(keys)


def place(path: Path) -> Hashable:
    """Return what stands for a name in its folder, through links; hard links stay apart."""
    return _place(Path(os.path.realpath(path)) if path.is_symlink() else path)


def _place(path: Path) -> Hashable:
    folder = path.parent
    try:
        found = folder.stat()
    except (OSError, ValueError):  # it is not there yet
        return (folded(os.path.normpath(folder)), folded(path.name))
    return (found.st_dev, found.st_ino, folded(path.name))


def named(role: str, path: Path) -> NamedFile:
    """Return a file with what it is to a job."""
    return NamedFile(role=role, path=str(path), identity=identity(path))


def files_of(role: str, path: Path) -> Iterator[NamedFile]:
    """Yield a file, or each file below a folder (if it is no whole disk); else nothing."""
    if path.is_dir():
        for inner in islice(path.rglob("*"), _MOST_FILES):
            if inner.is_file():
                yield named(role, inner)
    elif path.exists():
        yield named(role, path)


def pieces_of(media: Path) -> Iterator[NamedFile]:
    """Yield the files that a playlist names."""
    try:
        _, *pieces = parts_of(media)
    except (OSError, MediaError):  # the run itself says why
        return
    for piece in pieces:
        yield named("a piece of the playlist", piece)


def look(path: Path, needed: Collection[NamedFile]) -> Place:
    """Return what is at `path`, through links.

    Args:
        path: where an output may go.
        needed: files that must not be written.
    """
    keys = {key for file in needed for key in file.identity}
    barred = not keys.isdisjoint(identity(path))
    try:
        found = path.stat()
    except FileNotFoundError:
        return Place(name=path.name, digest=None, barred=barred)
    if barred or not stat.S_ISREG(found.st_mode):
        return Place(name=path.name, digest="", barred=True)
    try:
        return Place(name=path.name, digest=digest_of(path), empty=found.st_size == 0)
    except OSError:  # it may not even be read
        return Place(name=path.name, digest="")


def digest_of(path: Path) -> str:
    """Return the digest of a file's content."""
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()


def film(media: Path, job: Path, prints: Collection[str]) -> Film:
    """Return a media file as a job in the folder `job` knows it."""
    path = Path(os.path.abspath(media))  # noqa: PTH100 - `..` goes, links stay
    return Film(
        path=str(path),
        seen_from_job=os.path.relpath(path, os.path.abspath(job)),  # noqa: PTH100
        prints=frozenset(prints) - {""},
    )


def is_there(path: str) -> bool:
    """Tell whether there is a file."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_same_file(one: str, other: str) -> bool:
    """Tell whether two paths lead to one file."""
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return False
