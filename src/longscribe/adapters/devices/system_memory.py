"""The machine's own memory, and what of it this program may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True, kw_only=True)
class SystemMemory:
    """Bytes in all, and those that can still be had without swapping."""

    total: int
    free: int


@dataclass(frozen=True, kw_only=True)
class _Names:
    """What the files of a control group are called."""

    limit: str
    usage: str
    reclaimable: str
    """Field of `memory.stat`: pages of files, which the kernel drops when it needs room."""


_V2 = _Names(limit="memory.max", usage="memory.current", reclaimable="inactive_file")
_V1 = _Names(
    limit="memory.limit_in_bytes",
    usage="memory.usage_in_bytes",
    reclaimable="total_inactive_file",
)


def system_memory(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> SystemMemory:
    """Return the memory of the machine, or of the container if that may have less."""
    here = psutil.virtual_memory()
    total, free = here.total, here.available
    for limit, held in _limits(cgroups, own):
        total = min(total, limit)
        free = min(free, max(0, limit - held))
    return SystemMemory(total=total, free=free)


def _limits(cgroups: Path, own: Path) -> Iterator[tuple[int, int]]:
    """Yield (limit, bytes held) of every control group around this process that has a limit."""
    for folder, names in _groups(cgroups, own):
        limit = _number(folder / names.limit)
        held = _number(folder / names.usage)
        if limit is not None and held is not None:
            yield limit, max(0, held - _reclaimable(folder, names))


def _groups(cgroups: Path, own: Path) -> Iterator[tuple[Path, _Names]]:
    """Yield the folders of our control group and of those around it.

    In a container the path may be that on the host; then the mount's root is ours.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # no Linux
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        names = _V1 if controllers else _V2
        root = cgroups / "memory" if controllers else cgroups
        folder = root / path.lstrip("/")
        yield from (
            (each, names) for each in (folder, *folder.parents) if each.is_relative_to(root)
        )


def _number(file: Path) -> int | None:
    """Return the number in a file; None where it is missing or says `max`."""
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path, names: _Names) -> int:
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    fields = (line.split() for line in lines)
    return next((int(value) for name, value in fields if name == names.reclaimable), 0)
