"""Whole files or none: write beside the target, sync, rename over it, sync the folder.

A reader, and a power cut, finds the old file or the new one and never a part.
The order is that of restic (`internal/backend/local/local.go`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

from longscribe.adapters.storage import explained, sync, sync_folder


def write_atomically(path: Path, render: Callable[[TextIO], None]) -> None:
    r"""Replace `path` by what `render` writes: UTF-8, line ends as written, no byte order mark.

    When anything fails, the old file stays and the temporary one is removed.
    What UTF-8 can't hold (half a surrogate pair) is written as `\udc80`.

    Raises:
        StorageError: the disk is full, fails or is read-only.
        OutputError: the file may not be written, or its folder is gone.
        Exception: whatever else `render` raises.
    """
    try:
        _replace(path, render)
    except OSError as error:
        raise explained(error, path) from error


def temporary_path(path: Path) -> Path:
    """Return where `path` is written before it is renamed.

    The same for every run, so that a killed one leaves at most one such file
    for each output; hashed, so that a long name doesn't become too long.
    """
    digest = blake2b(os.fsencode(path.name), digest_size=8).hexdigest()
    return path.with_name(f".longscribe-{digest}.part")


def _replace(path: Path, render: Callable[[TextIO], None]) -> None:
    temporary = temporary_path(path)
    try:
        _write_synced(temporary, render)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_synced(temporary: Path, render: Callable[[TextIO], None]) -> None:
    temporary.unlink(missing_ok=True)
    # O_EXCL: never through a link that someone put there.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with open(  # noqa: PTH123 - from a descriptor
        descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
    ) as out:
        render(out)
        out.flush()
        sync(descriptor)
