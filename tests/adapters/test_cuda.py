"""On a real CUDA GPU, with torch: what is read of its memory, and what happens when it runs out.

    PYTHONPATH=src python3 -m pytest tests/adapters/test_cuda.py

needs torch, transformers and Longscribe's own requirements; skipped without a GPU.
"""

from __future__ import annotations

import difflib
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

for needed in ("av", "onnxruntime", "psutil", "pydantic_settings", "rapidfuzz", "safetensors"):
    pytest.importorskip(needed)
torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
if not torch.cuda.is_available():
    pytest.skip("torch sees no CUDA GPU here", allow_module_level=True)

from longscribe import Options, events  # noqa: E402
from longscribe.adapters.devices import nvml  # noqa: E402
from longscribe.adapters.devices.detection import devices, visible_gpus  # noqa: E402
from longscribe.adapters.devices.memory import Driver, ProcessMemory, open_memory  # noqa: E402
from longscribe.job_events import (  # noqa: E402
    AttemptFailed,
    ChunkFinished,
    JobEvent,
    RunFinished,
    WorkerReady,
)
from longscribe.types import FailureKind  # noqa: E402
from tests.adapters import gpu_stage  # noqa: E402
from tests.e2e.support import MODEL, RATE, document, sample_audio  # noqa: E402
from tests.exports import exported  # noqa: E402

MEBIBYTE = 2**20
BLOCK = 256 * MEBIBYTE
SHORT_OF_MEMORY = "tests.adapters.gpu_stage:load"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (MODEL / "model.bin").is_file():
        pytest.skip(f"{MODEL} has no model.bin")
    return exported("hugging-face", tmp_path_factory)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 200 s of the sample: more than eight windows."""
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(sample_audio()[: 200 * RATE].tobytes())
    return path


@pytest.fixture
def memory() -> Iterator[ProcessMemory]:
    torch.cuda.empty_cache()
    found = open_memory()
    found.settle("cuda:0")
    yield found
    torch.cuda.empty_cache()


# --- what there is and what is held ------------------------------------------------


def test_the_gpu_is_found_without_torch_as_torch_finds_it() -> None:
    found = [device for device in devices() if device.kind == "cuda"]
    assert len(found) == torch.cuda.device_count()
    assert devices()[-1].name == "cpu"
    for index, device in enumerate(found):
        assert device.name == f"cuda:{index}"
        assert device.model == torch.cuda.get_device_name(index)
        total = torch.cuda.get_device_properties(index).total_memory
        assert abs(device.memory - total) < 0.05 * total
        assert 0 < device.free <= device.memory


def test_an_allocation_is_seen_and_clean_up_gives_it_back(memory: ProcessMemory) -> None:
    before = memory.read()
    block = torch.zeros(BLOCK, dtype=torch.uint8, device="cuda:0")
    with_block = memory.read()
    assert with_block.device == "cuda:0"
    assert with_block.allocated - before.allocated >= BLOCK
    assert with_block.held - before.held >= BLOCK
    assert with_block.device_memory == torch.cuda.mem_get_info(0)[1]
    assert with_block.private > 0
    assert with_block.system_free > 0
    del block
    freed = memory.read()
    assert freed.allocated - before.allocated < BLOCK
    assert freed.kept - before.kept >= BLOCK, "torch keeps it for reuse"
    memory.clean_up()
    cleaned = memory.read()
    assert cleaned.kept <= before.kept
    assert cleaned.held - before.held < BLOCK
    assert cleaned.device_free is not None
    assert with_block.device_free is not None
    assert cleaned.device_free > with_block.device_free


def test_the_driver_sees_what_an_engine_holds_that_says_nothing(memory: ProcessMemory) -> None:
    """As CTranslate2 does: what the driver tells is all there is."""
    torch.zeros(1, device="cuda:0")  # the context of this process takes memory of its own
    [gpu, *_] = visible_gpus()
    keeper = Driver(uuid=gpu.uuid, free_before=gpu.free or 0)
    before = keeper.read()
    block = torch.zeros(BLOCK, dtype=torch.uint8, device="cuda:0")
    held = keeper.read()
    del block
    assert held.memory == gpu.memory
    assert held.reserved - before.reserved >= BLOCK
    assert nvml.gpu(gpu.uuid[:12]) is not None, "the beginning of an identity will do"


def test_a_limit_makes_torch_refuse(memory: ProcessMemory) -> None:
    memory.limit(memory.read().held + BLOCK)
    try:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            torch.zeros(3 * BLOCK, dtype=torch.uint8, device="cuda:0")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, 0)


def test_hidden_gpus_are_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [device.name for device in devices()] == ["cpu"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nvml.gpus()[0].uuid)
    assert [device.name for device in devices()] == ["cuda:0", "cpu"]


# --- jobs ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Run:
    events: list[JobEvent]
    text: str

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def complete(self) -> bool:
        return [event.gaps for event in self.of(RunFinished)] == [0]


def transcribed(talk: Path, out: Path, model: Path, **changes: Any) -> Run:
    values = {
        "model": str(model), "recognizer": "transformers", "device": "cuda", "language": "en",
        "output_dir": out, "retry_delay": 0.0, "bias": "off", **changes,
    }  # fmt: skip
    found = list(events(talk, Options.build(**values)))
    segments = document(out, talk.stem)["segments"]
    return Run(events=found, text="".join(segment["text"] for segment in segments))


@pytest.fixture(scope="module")
def on_cpu(talk: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("cpu")
    return transcribed(talk, out, model, device="cpu", compute_type="float32")


def likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.split(), other.split(), autojunk=False).ratio()


@pytest.mark.parametrize("compute_type", ["float32", "default", "int8"])
def test_the_gpu_hears_what_the_cpu_hears(
    talk: Path, model: Path, on_cpu: Run, tmp_path: Path, compute_type: str
) -> None:
    run = transcribed(talk, tmp_path, model, compute_type=compute_type)
    assert run.complete
    assert {event.device for event in run.of(WorkerReady)} == {"cuda:0"}
    assert len(on_cpu.text.split()) > 200
    assert likeness(run.text, on_cpu.text) > (0.98 if compute_type == "float32" else 0.9)


def test_memory_that_runs_out_makes_batches_smaller(
    talk: Path, model: Path, on_cpu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch has room for one window, not for eight: the ladder finds the way by itself."""
    monkeypatch.setenv(gpu_stage.SCARCE, "some")
    run = transcribed(
        talk, tmp_path, model, recognizer=SHORT_OF_MEMORY, compute_type="float32", batch_size=8
    )
    failures = run.of(AttemptFailed)
    assert failures, "memory did not run out"
    assert {event.failure.kind for event in failures} == {FailureKind.OOM}
    assert all("out of memory" in event.failure.message for event in failures)
    assert "fewer windows" in failures[0].next_step
    assert run.complete
    assert {event.device for event in run.of(WorkerReady)} == {"cuda:0"}, "the GPU was enough"
    assert likeness(run.text, on_cpu.text) > 0.98


def test_without_any_room_the_job_ends_on_the_cpu(
    talk: Path, model: Path, on_cpu: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(gpu_stage.SCARCE, "none")
    run = transcribed(
        talk, tmp_path, model, recognizer=SHORT_OF_MEMORY, compute_type="float32", batch_size=8
    )
    kinds = [event.failure.kind for event in run.of(AttemptFailed)]
    assert set(kinds) == {FailureKind.OOM}
    assert len(kinds) >= 3
    assert run.complete
    assert run.of(ChunkFinished)
    assert "cpu" in {event.device for event in run.of(WorkerReady)}
    assert likeness(run.text, on_cpu.text) > 0.9
