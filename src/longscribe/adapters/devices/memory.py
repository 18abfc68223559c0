"""What a worker's process and its device really hold, and giving back what nobody needs.

Runs in the worker. An engine's library is asked only if the recognizer has loaded
it already (`sys.modules`); nothing is imported here for the asking. What each
number leaves out stands in docs/design/memory.md.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import psutil

from longscribe.adapters.devices import nvml
from longscribe.adapters.devices.detection import visible_gpus
from longscribe.adapters.devices.system_memory import system_memory
from longscribe.types import MemoryReading

MLX_CACHE = 512 * 2**20
"""Bytes of freed buffers that MLX may keep for reuse within a batch."""
RUSAGE_INFO_V0 = 0
"""From macOS's <sys/resource.h>."""


class _RusageInfoV0(ctypes.Structure):
    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        ("user_time", ctypes.c_uint64),
        ("system_time", ctypes.c_uint64),
        ("pkg_idle_wkups", ctypes.c_uint64),
        ("interrupt_wkups", ctypes.c_uint64),
        ("pageins", ctypes.c_uint64),
        ("wired_size", ctypes.c_uint64),
        ("resident_size", ctypes.c_uint64),
        ("phys_footprint", ctypes.c_uint64),
        ("proc_start_abstime", ctypes.c_uint64),
        ("proc_exit_abstime", ctypes.c_uint64),
    )


@dataclass(frozen=True, kw_only=True)
class GpuMemory:
    """What a GPU's keeper tells, in bytes."""

    allocated: int
    """In use by this process."""
    reserved: int
    """In use, or kept by this process for reuse."""
    peak: int = 0
    """Most that was in use since it was last counted anew; 0 where nobody counts."""
    memory: int | None = None
    """That it may hold in all."""
    free: int | None = None


class Keeper(Protocol):
    """Whoever hands out a GPU's memory: an engine's allocator, or the driver."""

    def read(self) -> GpuMemory:
        """Return what is held now."""
        ...

    def release(self) -> None:
        """Give back what is kept for reuse only."""
        ...

    def count_anew(self) -> None:
        """Forget the peak so far."""
        ...

    def limit(self, held: int) -> None:
        """Let this process hold no more than so many bytes, where the keeper can see to it."""
        ...


@dataclass(frozen=True, kw_only=True)
class TorchMps:
    """torch's allocator on Apple's GPU."""

    torch: Any

    def read(self) -> GpuMemory:
        mps = self.torch.mps
        driver, recommended = mps.driver_allocated_memory(), mps.recommended_max_memory()
        return GpuMemory(
            allocated=mps.current_allocated_memory(),
            reserved=driver,
            memory=recommended,
            free=max(0, recommended - driver),
        )

    def release(self) -> None:
        # What a kernel in flight still needs can't be given back.
        self.torch.mps.synchronize()
        self.torch.mps.empty_cache()

    def count_anew(self) -> None:
        """Do nothing: torch counts no peak there."""

    def limit(self, held: int) -> None:
        share = held / self.torch.mps.recommended_max_memory()
        self.torch.mps.set_per_process_memory_fraction(min(share, 2.0))


@dataclass(frozen=True, kw_only=True)
class TorchCuda:
    """torch's allocator on a CUDA GPU."""

    torch: Any
    index: int

    def read(self) -> GpuMemory:
        cuda = self.torch.cuda
        free, memory = cuda.mem_get_info(self.index)
        return GpuMemory(
            allocated=cuda.memory_allocated(self.index),
            reserved=cuda.memory_reserved(self.index),
            peak=cuda.max_memory_allocated(self.index),
            memory=memory,
            free=free,
        )

    def release(self) -> None:
        self.torch.cuda.synchronize(self.index)
        self.torch.cuda.empty_cache()

    def count_anew(self) -> None:
        self.torch.cuda.reset_peak_memory_stats(self.index)

    def limit(self, held: int) -> None:
        _, memory = self.torch.cuda.mem_get_info(self.index)
        self.torch.cuda.set_per_process_memory_fraction(min(held / memory, 1.0), self.index)


@dataclass(frozen=True, kw_only=True)
class Mlx:
    """MLX's allocator, on whatever device it works."""

    mx: Any

    def read(self) -> GpuMemory:
        active, kept = self.mx.get_active_memory(), self.mx.get_cache_memory()
        memory = _mlx_limit(self.mx)
        return GpuMemory(
            allocated=active,
            reserved=active + kept,
            peak=self.mx.get_peak_memory(),
            memory=memory,
            free=None if memory is None else max(0, memory - active - kept),
        )

    def release(self) -> None:
        self.mx.synchronize()
        self.mx.clear_cache()

    def limit_cache(self) -> None:
        """Let MLX keep only a little for reuse; by itself it keeps all that it ever had."""
        self.mx.set_cache_limit(MLX_CACHE)

    def count_anew(self) -> None:
        self.mx.reset_peak_memory()

    def limit(self, held: int) -> None:
        self.mx.set_memory_limit(held)
        self.mx.set_cache_limit(min(MLX_CACHE, held))


def _mlx_limit(mx: Any) -> int | None:
    """Return what Metal recommends for a program; None where MLX does not tell."""
    if not mx.metal.is_available():
        return None
    ask = getattr(mx, "device_info", None) or mx.metal.device_info  # its place in older versions
    found = ask().get("max_recommended_working_set_size")
    return None if found is None else int(found)


@dataclass(frozen=True, kw_only=True)
class Driver:
    """NVIDIA's driver, for engines that tell nothing themselves (CTranslate2, whisper.cpp)."""

    uuid: str
    free_before: int
    """On the GPU when this process held nothing there."""
    shared_by: int = 1
    """Workers of the job on this GPU."""

    def read(self) -> GpuMemory:
        now = nvml.gpu(self.uuid)
        if now is None or now.memory is None or now.free is None:
            return GpuMemory(allocated=0, reserved=0)
        held = nvml.held_by_process(self.uuid, os.getpid())
        if held is None:
            # In a container the driver knows us by another number. Then what is missing since
            # we began counts as ours and our fellows'; other programs on the GPU make it wrong.
            held = max(0, self.free_before - now.free) // self.shared_by
        return GpuMemory(allocated=held, reserved=held, memory=now.memory, free=now.free)

    def release(self) -> None:
        """Do nothing: only the engine could, and it does not offer to."""

    def count_anew(self) -> None:
        """Do nothing: the driver counts no peak."""

    def limit(self, held: int) -> None:
        """Do nothing: the driver keeps no limits; the supervisor does."""


@dataclass(kw_only=True)
class ProcessMemory:
    """Fulfils `WorkerMemory` for a recognizer on `device`.

    Args:
        device: where the recognizer works, once it is loaded.
        modules: what is imported (`sys.modules`).
        free_before: bytes free on each GPU, by its identity, before the recognizer was loaded.
        shared_by: workers of the job on that device.
    """

    device: str = "cpu"
    modules: Mapping[str, ModuleType] = field(default_factory=lambda: sys.modules)
    free_before: Mapping[str, int] = field(default_factory=dict)
    shared_by: int = 1

    def __post_init__(self) -> None:
        self._process = psutil.Process()
        self._trim = _heap_trimmer()

    def settle(self, device: str, shared_by: int = 1) -> None:
        """Take note of where the recognizer works, now that it is loaded, and with how many."""
        self.device = device
        self.shared_by = shared_by

    def read(self) -> MemoryReading:
        """Return what is held now."""
        keeper = self._keeper()
        gpu = GpuMemory(allocated=0, reserved=0) if keeper is None else keeper.read()
        resident, private = self._own()
        system = system_memory()
        on_cpu = self.device == "cpu"
        return MemoryReading(
            device=self.device,
            resident=resident,
            private=private,
            system_free=system.free,
            allocated=gpu.allocated,
            reserved=gpu.reserved,
            peak=gpu.peak,
            device_memory=system.total if on_cpu else gpu.memory,
            device_free=system.free if on_cpu else gpu.free,
        )

    def count_anew(self) -> None:
        """Forget the peak so far."""
        keeper = self._keeper()
        if keeper is not None:
            keeper.count_anew()

    def release(self) -> None:
        """Give back what an engine keeps for reuse on a device that shares the machine's memory.

        Cheap enough after every batch. On a CUDA GPU what is kept harms nobody, and
        asking for it again would cost time.
        """
        keeper = self._keeper()
        if keeper is not None and not self.device.startswith("cuda"):
            keeper.release()

    def clean_up(self) -> None:
        """Give back all that nobody needs: after a chunk, or when memory gets short."""
        gc.collect()
        keeper = self._keeper()
        if keeper is not None:
            keeper.release()
        self._trim()

    def limit(self, held: int) -> None:
        """Tell the engine to make do with so many bytes, where it can."""
        keeper = self._keeper()
        if keeper is not None:
            keeper.limit(held)

    def _keeper(self) -> Keeper | None:
        """Return who hands out the device's memory: the engine that is loaded."""
        mx = self.modules.get("mlx.core")
        if mx is not None:
            return Mlx(mx=mx)
        torch = self.modules.get("torch")
        kind, _, index = self.device.partition(":")
        if kind == "mps" and torch is not None:
            return TorchMps(torch=torch)
        if kind != "cuda":
            return None
        # faster-whisper may have brought torch along without using it.
        if torch is not None and "ctranslate2" not in self.modules:
            return TorchCuda(torch=torch, index=int(index or 0))
        gpus = visible_gpus()
        if int(index or 0) >= len(gpus):
            return None
        uuid = gpus[int(index or 0)].uuid
        free_before = self.free_before.get(uuid, 0)
        return Driver(uuid=uuid, free_before=free_before, shared_by=self.shared_by)

    def _own(self) -> tuple[int, int]:
        """Return what the process holds: resident, and its own alone."""
        resident = self._process.memory_info().rss
        if sys.platform == "darwin":
            return resident, _footprint() or resident
        try:
            return resident, self._process.memory_full_info().uss
        except (psutil.Error, OSError):  # kernels without /proc/PID/smaps
            return resident, resident


def open_memory() -> ProcessMemory:
    """Return what reads this process's memory; to be called before a recognizer is loaded."""
    return ProcessMemory(free_before={gpu.uuid: gpu.free or 0 for gpu in visible_gpus()})


def _footprint() -> int | None:
    """Return what macOS's Activity Monitor calls the memory of this process."""
    usage = _RusageInfoV0()
    ask = ctypes.CDLL(None).proc_pid_rusage
    if ask(os.getpid(), RUSAGE_INFO_V0, ctypes.byref(usage)) != 0:
        return None
    return int(usage.phys_footprint)


def _heap_trimmer() -> Callable[[], object]:
    """Return what gives freed pages of the C heap back to the system (glibc keeps many)."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            return lambda: trim(0)
    return lambda: None
