"""What a worker holds: read for real on the CPU and from MLX, and from what stands in for a Mac.

On a real CUDA GPU: tests/adapters/test_cuda.py.
"""

from __future__ import annotations

import ctypes
import inspect
import os
import subprocess
import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from longscribe.adapters.devices import memory as reading
from longscribe.adapters.devices import nvml
from longscribe.adapters.devices.memory import (
    MLX_CACHE,
    Driver,
    ProcessMemory,
    TorchCuda,
    open_memory,
)
from longscribe.config import Options
from longscribe.types import ChunkResult, LanguageGuess
from longscribe.worker.messages import BatchDone, ChunkDecoded, LanguageHeard, MemoryRead
from longscribe.worker.watching import MemoryWatch
from tests.e2e.support import ROOT

MEBIBYTE = 2**20
GIB = 2**30


# --- the process ------------------------------------------------------------------


def test_memory_that_is_taken_is_seen_and_memory_that_is_given_back_too():
    memory = open_memory()
    before = memory.read()
    block = bytearray(os.urandom(MEBIBYTE)) * 128
    held = memory.read()
    assert 120 * MEBIBYTE < held.private - before.private < 160 * MEBIBYTE
    assert held.held == held.private == held.needed
    assert held.resident >= held.private > 0
    assert (held.device, held.allocated, held.reserved) == ("cpu", 0, 0)
    assert held.device_memory is not None
    assert 0 < held.system_free <= held.device_memory
    del block
    memory.clean_up()
    assert memory.read().private - before.private < 40 * MEBIBYTE


@pytest.mark.skipif(sys.platform != "linux", reason="glibc keeps freed pages, others need not")
def test_clean_up_gives_back_what_the_c_library_keeps():
    """Many small blocks with one left on top stay with the process until it is trimmed."""
    code = (
        "from longscribe.adapters.devices.memory import open_memory\n"
        "memory = open_memory(); before = memory.read().private\n"
        "blocks = [bytes([n % 250]) * 100_000 for n in range(1500)]; last = b'x' * 100_001\n"
        "del blocks\n"
        "kept = memory.read().private - before; memory.clean_up()\n"
        "print(kept, memory.read().private - before)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "MALLOC_TOP_PAD_": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    kept, after = map(int, done.stdout.split())
    if kept < 50 * MEBIBYTE:
        pytest.skip("this C library keeps nothing")
    assert after < kept / 4


def test_the_footprint_is_asked_of_macos_as_its_header_says(monkeypatch):
    """`struct rusage_info_v0` of <sys/resource.h>: a UUID, then ten numbers of 64 bits."""
    fields = dict(reading._RusageInfoV0._fields_)
    assert ctypes.sizeof(reading._RusageInfoV0) == 16 + 10 * 8
    assert list(fields)[8] == "phys_footprint"

    def proc_pid_rusage(pid: int, flavor: int, out: Any) -> int:
        assert (pid, flavor) == (os.getpid(), 0)
        ctypes.cast(out, ctypes.POINTER(reading._RusageInfoV0)).contents.phys_footprint = 43 * GIB
        return 0

    monkeypatch.setattr(sys, "platform", "darwin")
    library = SimpleNamespace(proc_pid_rusage=proc_pid_rusage)
    monkeypatch.setattr(reading.ctypes, "CDLL", lambda _: library)
    found = open_memory().read()
    assert found.private == 43 * GIB
    assert found.resident < 43 * GIB, "which is what RSS hides"


# --- torch on Apple's GPU ---------------------------------------------------------


class FakeMps:
    """`torch.mps`, with the signatures of torch 2.13. Notes what is called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.tensors, self.driver, self.recommended = 2 * GIB, 5 * GIB, 10 * GIB

    def current_allocated_memory(self) -> int:
        return self.tensors

    def driver_allocated_memory(self) -> int:
        return self.driver

    def recommended_max_memory(self) -> int:
        return self.recommended

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def empty_cache(self) -> None:
        self.calls.append("empty_cache")
        self.driver = self.tensors

    def set_per_process_memory_fraction(self, fraction) -> None:
        if not isinstance(fraction, float):
            raise TypeError("Invalid type for fraction argument, must be `float`")
        if fraction < 0 or fraction > 2:
            raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~2")
        self.calls.append(("fraction", fraction))


@pytest.fixture
def mps() -> FakeMps:
    return FakeMps()


@pytest.fixture
def on_a_mac(mps: FakeMps) -> ProcessMemory:
    torch = ModuleType("torch")
    torch.mps = mps  # type: ignore[attr-defined]
    memory = ProcessMemory(modules={"torch": torch})
    memory.settle("mps")
    return memory


def test_the_stand_in_has_the_real_signatures(mps: FakeMps):
    torch = pytest.importorskip("torch")
    for name, method in inspect.getmembers(FakeMps, inspect.isfunction):
        if not name.startswith("_"):
            real = inspect.signature(getattr(torch.mps, name))
            own = inspect.signature(method)
            assert list(real.parameters) == list(own.parameters)[1:], name


def test_what_a_mac_holds_is_what_the_driver_gave(on_a_mac: ProcessMemory, mps: FakeMps):
    found = on_a_mac.read()
    assert found.device == "mps"
    assert (found.allocated, found.reserved) == (2 * GIB, 5 * GIB)
    assert (found.device_memory, found.device_free) == (10 * GIB, 5 * GIB)
    assert found.held == 5 * GIB, "not the little that the process seems to hold"
    assert found.kept == 3 * GIB


def test_clean_up_waits_for_the_gpu_and_empties_the_cache(on_a_mac: ProcessMemory, mps: FakeMps):
    on_a_mac.clean_up()
    assert mps.calls == ["synchronize", "empty_cache"]
    assert on_a_mac.read().held == 2 * GIB
    mps.calls.clear()
    on_a_mac.release()
    assert mps.calls == ["synchronize", "empty_cache"], "after each batch as well"


def test_a_limit_is_a_share_of_what_metal_recommends(on_a_mac: ProcessMemory, mps: FakeMps):
    on_a_mac.limit(4 * GIB)
    on_a_mac.limit(100 * GIB)
    assert mps.calls == [("fraction", 0.4), ("fraction", 2.0)]


def test_torch_on_the_cpu_is_not_asked_about_a_gpu(mps: FakeMps):
    torch = ModuleType("torch")
    torch.mps = mps  # type: ignore[attr-defined]
    memory = ProcessMemory(modules={"torch": torch})
    memory.clean_up()
    memory.limit(GIB)
    assert memory.read().reserved == 0
    assert mps.calls == []


# --- CUDA, as far as it goes without a GPU ----------------------------------------


def test_torch_on_cuda_is_asked_about_the_workers_own_gpu():
    torch = SimpleNamespace()
    memory = ProcessMemory(device="cuda:3", modules={"torch": torch})  # type: ignore[dict-item]
    assert memory._keeper() == TorchCuda(torch=torch, index=3)


def test_what_the_driver_tells_stands_in_for_engines_that_tell_nothing(monkeypatch):
    gpu = nvml.Gpu(uuid="GPU-1", model="NVIDIA", memory=24 * GIB, free=20 * GIB)
    monkeypatch.setattr(reading, "visible_gpus", lambda: (gpu,))
    monkeypatch.setattr(nvml, "gpu", lambda _: gpu)
    engines = {"ctranslate2": ModuleType("ctranslate2"), "torch": ModuleType("torch")}
    memory = ProcessMemory(device="cuda:0", modules=engines, free_before={"GPU-1": 23 * GIB})
    assert isinstance(memory._keeper(), Driver), "ctranslate2's memory is not torch's"
    assert memory.read().held == 3 * GIB, "what is missing since this process began"
    monkeypatch.setattr(nvml, "held_by_process", lambda *_: 2 * GIB)
    assert memory.read().held == 2 * GIB
    memory.clean_up()
    memory.limit(GIB)


# --- MLX --------------------------------------------------------------------------


@pytest.fixture
def mx() -> Any:
    return pytest.importorskip("mlx.core")


def test_mlx_says_what_it_holds_and_gives_it_back(mx: Any):
    memory = open_memory()
    memory.clean_up()
    before = memory.read()
    memory.count_anew()
    array = mx.zeros((1024, 4096))
    mx.eval(array)
    held = memory.read()
    assert held.allocated - before.allocated >= 16 * MEBIBYTE
    assert held.peak >= held.allocated
    del array
    freed = memory.read()
    assert freed.kept - before.kept >= 16 * MEBIBYTE, "MLX keeps it for reuse"
    memory.release()
    released = memory.read()
    assert released.kept == 0
    assert released.allocated <= before.allocated
    assert released.peak >= held.allocated
    memory.count_anew()
    assert memory.read().peak < held.allocated


def test_mlx_is_told_of_a_limit(mx: Any):
    before = mx.set_memory_limit(2 * GIB)
    cache = mx.set_cache_limit(GIB)
    try:
        open_memory().limit(3 * GIB)
        assert mx.set_memory_limit(before) == 3 * GIB
        assert mx.set_cache_limit(cache) == MLX_CACHE
    finally:
        mx.set_memory_limit(before)
        mx.set_cache_limit(cache)


# --- while a chunk is decoded -----------------------------------------------------


class Told:
    """The worker's end of the line."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, message: Any) -> None:
        self.sent.append(message)


def batch() -> BatchDone:
    return BatchDone(chunk_id=0, windows=1, samples=1)


def done() -> ChunkDecoded:
    return ChunkDecoded(result=ChunkResult(chunk_id=0, windows=()), seconds=1.0, peak_memory=1)


def watching(memory: Any, **changes: Any) -> tuple[MemoryWatch, Told]:
    told = Told()
    settings = Options.build(**changes).memory_settings
    return MemoryWatch(memory, settings, told), told  # type: ignore[arg-type]


def test_each_batch_is_followed_by_what_is_held_and_the_chunk_by_a_clean_up(
    on_a_mac: ProcessMemory, mps: FakeMps
):
    watch, _ = watching(on_a_mac, isolation="off")
    first, read, last = watch.follow(iter([batch(), done()]))
    assert isinstance(first, BatchDone)
    assert isinstance(read, MemoryRead)
    assert read.memory.reserved == 2 * GIB, "released before it is read"
    assert isinstance(last, ChunkDecoded)
    assert last.memory is not None
    assert last.memory.device == "mps"
    assert last.most_memory >= 2 * GIB
    assert mps.calls.count("empty_cache") == 2


def test_telling_the_language_is_followed_by_a_clean_up(on_a_mac: ProcessMemory, mps: FakeMps):
    watch, _ = watching(on_a_mac, isolation="off")
    heard = LanguageHeard(guess=LanguageGuess(language="en", probability=1.0), windows=1)
    assert list(watch.follow([heard])) == [heard]
    assert mps.calls == ["synchronize", "empty_cache"]


def test_beyond_seven_tenths_a_worker_tidies_up_between_batches(monkeypatch):
    torch = ModuleType("torch")
    cuda = SimpleNamespace(
        mem_get_info=lambda _: (GIB, 24 * GIB), memory_allocated=lambda _: GIB,
        max_memory_allocated=lambda _: 3 * GIB, memory_reserved=lambda _: cuda.reserved,
        reset_peak_memory_stats=lambda _: None, synchronize=lambda _: None,
        empty_cache=lambda: setattr(cuda, "reserved", GIB), reserved=8 * GIB,
        set_per_process_memory_fraction=lambda share, index: None,
    )  # fmt: skip
    torch.cuda = cuda  # type: ignore[attr-defined]
    memory = ProcessMemory(device="cuda:0", modules={"torch": torch})
    watch, _ = watching(memory, memory_limit="10GiB", isolation="on")
    _, read, last = watch.follow(iter([batch(), done()]))
    assert isinstance(read, MemoryRead)
    assert read.cleaned_from == 8 * GIB
    assert read.memory.held == GIB
    assert isinstance(last, ChunkDecoded)
    assert last.most_memory == 3 * GIB, "the peak that torch counted, not what it kept"


def test_a_thread_reads_while_a_chunk_takes_long_and_only_then():
    memory = open_memory()
    watch, told = watching(memory)
    watch._settings = type(watch._settings)(**{**vars(watch._settings), "sample_every": 0.01})
    time.sleep(0.05)
    assert told.sent == []
    waited = threading.Event()

    def steps():
        while len(told.sent) < 3:
            waited.wait(0.01)
        yield done()

    *_, last = watch.follow(steps())
    assert isinstance(last, ChunkDecoded)
    count = len(told.sent)
    assert all(isinstance(message, MemoryRead) for message in told.sent)
    waited.wait(0.1)
    assert len(told.sent) <= count + 1, "at most what was being read when the chunk ended"


def test_loading_tells_the_engine_of_the_users_limit(on_a_mac: ProcessMemory, mps: FakeMps):
    watch, _ = watching(on_a_mac, memory_limit="5GiB")
    assert watch.loaded("mps").device == "mps"
    assert ("fraction", 0.5) in mps.calls
    mps.calls.clear()
    watching(on_a_mac)[0].loaded("mps")
    assert not [call for call in mps.calls if call[0] == "fraction"]
