"""NVIDIA's management library, read through its C interface.

It comes with the driver, needs no CUDA and starts none: asking it takes no memory on
the GPU. The few calls needed here have kept their form since 2020 (nvml.h).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from dataclasses import dataclass

LIBRARY = "libnvidia-ml.so.1"
SUCCESS = 0
TOO_SMALL = 7
"""NVML_ERROR_INSUFFICIENT_SIZE"""
UNKNOWN_MEMORY = 2**64 - 1
"""NVML_VALUE_NOT_AVAILABLE, where the driver does not tell what a process holds."""
NAME_BYTES = 96


class _Memory(ctypes.Structure):
    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU as the driver knows it, in the order of the PCI bus."""

    uuid: str
    model: str
    memory: int | None
    """Bytes in all; None where the GPU has no memory of its own."""
    free: int | None


def gpus() -> tuple[Gpu, ...]:
    """Return all GPUs of the machine; none where there is no driver or it does not answer."""
    library = _library()
    if library is None:
        return ()
    return tuple(_describe(library, handle) for handle in _handles(library))


def gpu(uuid: str) -> Gpu | None:
    """Return the GPU, or the part of one (MIG), with this identity or a beginning of it."""
    library = _library()
    if library is None:
        return None
    handle = ctypes.c_void_p()
    if library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) == SUCCESS:
        return _describe(library, handle)
    return next((each for each in gpus() if each.uuid.startswith(uuid)), None)


def held_by_process(uuid: str, pid: int) -> int | None:
    """Return the bytes that a process holds on a GPU.

    None where the driver does not tell. In a container it knows processes by the
    numbers that the host gave them, so that none is found here.
    """
    library = _library()
    handle = ctypes.c_void_p()
    if (
        library is None
        or library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) != SUCCESS
    ):
        return None
    count = ctypes.c_uint(0)
    ask = library.nvmlDeviceGetComputeRunningProcesses_v3
    if ask(handle, ctypes.byref(count), None) not in {SUCCESS, TOO_SMALL}:
        return None
    room = (_Process * (count.value + 8))()  # some may start meanwhile
    count = ctypes.c_uint(len(room))
    if ask(handle, ctypes.byref(count), room) != SUCCESS:
        return None
    return next(
        (
            each.memory
            for each in room[: count.value]
            if each.pid == pid and each.memory != UNKNOWN_MEMORY
        ),
        None,
    )


@functools.cache
def _library() -> ctypes.CDLL | None:
    """Return the library, started; None where there is none. It ends with the process."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(LIBRARY)
        if library.nvmlInit_v2() == SUCCESS:
            return library
    return None


def _handles(library: ctypes.CDLL) -> Iterator[ctypes.c_void_p]:
    count = ctypes.c_uint(0)
    if library.nvmlDeviceGetCount_v2(ctypes.byref(count)) != SUCCESS:
        return
    for index in range(count.value):
        handle = ctypes.c_void_p()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == SUCCESS:
            yield handle


def _describe(library: ctypes.CDLL, handle: ctypes.c_void_p) -> Gpu:
    memory = _Memory()
    known = library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == SUCCESS
    return Gpu(
        uuid=_text(library.nvmlDeviceGetUUID, handle),
        model=_text(library.nvmlDeviceGetName, handle) or "NVIDIA GPU",
        memory=memory.total if known and memory.total else None,
        free=memory.free if known and memory.total else None,
    )


def _text(ask: ctypes._NamedFuncPointer, handle: ctypes.c_void_p) -> str:
    room = ctypes.create_string_buffer(NAME_BYTES)
    return room.value.decode() if ask(handle, room, NAME_BYTES) == SUCCESS else ""
