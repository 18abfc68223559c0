"""Which devices there are, by what stands in for other machines, and what a worker is told of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from longscribe.adapters.devices import nvml
from longscribe.adapters.devices.detection import (
    Machine,
    devices,
    this_machine,
    visible_gpus,
)
from longscribe.adapters.devices.environment import FALLBACK, IGNORED, worker_environment
from longscribe.adapters.devices.system_memory import SystemMemory, system_memory
from longscribe.adapters.executors import child
from longscribe.core.watermarks import HIGH, LOW
from tests.e2e.support import ROOT

GIB = 2**30
BIG = nvml.Gpu(uuid="GPU-aaaa-1", model="NVIDIA Big", memory=80 * GIB, free=70 * GIB)
SMALL = nvml.Gpu(uuid="GPU-bbbb-2", model="NVIDIA Small", memory=8 * GIB, free=8 * GIB)
SHARING = nvml.Gpu(uuid="GPU-cccc-3", model="NVIDIA Spark", memory=None, free=None)
GPUS = (BIG, SMALL)


def linux(*gpus: nvml.Gpu, **environment: str) -> Machine:
    return Machine(
        system="Linux",
        processor="x86_64",
        environment=environment,
        sysctl=lambda _: "",
        gpus=lambda: gpus,
        gpu=lambda uuid: next((gpu for gpu in gpus if gpu.uuid.startswith(uuid)), None),
        memory=lambda: SystemMemory(total=32 * GIB, free=20 * GIB),
    )


def mac(total: int, free: int = 4 * GIB, **sysctl: str) -> Machine:
    names = {"machdep.cpu.brand_string": "Apple M2 Pro", "iogpu.wired_limit_mb": "0", **sysctl}
    return replace(
        linux(),
        system="Darwin",
        processor="arm64",
        sysctl=lambda name: names.get(name, ""),
        memory=lambda: SystemMemory(total=total, free=free),
    )


# --- detection --------------------------------------------------------------------


def test_this_machine_has_a_cpu_with_memory():
    *_, cpu = devices()
    assert (cpu.name, cpu.kind, cpu.unified) == ("cpu", "cpu", True)
    assert cpu.model
    assert 0 < cpu.free <= cpu.memory <= psutil.virtual_memory().total


def test_nothing_native_is_loaded_for_the_asking():
    code = (
        "import sys, json; from longscribe.adapters.devices import detection, environment, memory; "
        "detection.devices(); environment.worker_environment({}); memory.open_memory().read(); "
        "engines = ['torch', 'mlx', 'mlx.core', 'ctranslate2', 'onnxruntime', 'av', 'numpy']; "
        "print(json.dumps([name for name in engines if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_a_gpu_comes_before_the_cpu():
    found = devices(linux(*GPUS))
    assert [device.name for device in found] == ["cuda:0", "cuda:1", "cpu"]
    assert [device.model for device in found[:2]] == ["NVIDIA Big", "NVIDIA Small"]
    assert (found[0].memory, found[0].free, found[0].unified) == (80 * GIB, 70 * GIB, False)


def test_a_gpu_without_memory_of_its_own_shares_the_machines():
    [gpu, _] = devices(linux(SHARING))
    assert (gpu.memory, gpu.free, gpu.unified) == (32 * GIB, 20 * GIB, True)


@pytest.mark.parametrize(
    ("chosen", "seen"),
    [
        ("", []), ("-1", []), ("0", [BIG]), ("1,0", [SMALL, BIG]), ("1", [SMALL]),
        ("GPU-bbbb", [SMALL]), ("0, GPU-bbbb-2", [BIG, SMALL]), ("7", []), ("1,7,0", [SMALL]),
        ("nonsense,0", []),
    ],
)  # fmt: skip
def test_cuda_visible_devices_is_obeyed_as_cuda_does(chosen, seen):
    machine = linux(*GPUS, CUDA_VISIBLE_DEVICES=chosen)
    assert list(visible_gpus(machine)) == seen
    assert [device.model for device in devices(machine)[:-1]] == [gpu.model for gpu in seen]


def test_apples_gpu_by_the_platform():
    [mps, cpu] = devices(mac(16 * GIB))
    assert (mps.name, mps.model, mps.unified) == ("mps", "Apple M2 Pro", True)
    assert mps.memory == 16 * GIB * 2 // 3
    assert mps.free == 4 * GIB
    assert cpu.model == "Apple M2 Pro"


def test_what_metal_lets_a_program_have():
    assert devices(mac(64 * GIB))[0].memory == 48 * GIB
    assert devices(mac(16 * GIB, **{"iogpu.wired_limit_mb": "14336"}))[0].memory == 14 * GIB
    [mps, _] = devices(mac(16 * GIB, free=15 * GIB))
    assert mps.free == mps.memory, "no more is free than may be had"


def test_other_macs_have_no_mps():
    assert [device.name for device in devices(replace(mac(GIB), processor="x86_64"))] == ["cpu"]


def test_without_a_driver_there_are_no_gpus():
    """Its library is looked up and not found, or found and asked: either way nothing is raised."""
    assert isinstance(nvml.gpus(), tuple)
    assert nvml.gpu("GPU-of-nobody") is None
    assert nvml.held_by_process("GPU-of-nobody", os.getpid()) is None
    assert this_machine().gpus is nvml.gpus


# --- memory of a container --------------------------------------------------------


def control_group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n", encoding="ascii")


def test_a_container_has_no_more_than_its_limit(tmp_path):
    control_group(
        tmp_path / "box", memory__max=str(GIB), memory__current=str(GIB // 2),
        memory__stat=f"anon 5\ninactive_file {GIB // 4}\nactive_file 7",
    )  # fmt: skip
    control_group(tmp_path, memory__max="max", memory__current="123")
    own = tmp_path / "own"
    own.write_text("0::/box\n", encoding="ascii")
    found = system_memory(tmp_path, own)
    assert found.total == GIB
    assert found.free == GIB // 2 + GIB // 4, "pages of files give way"


def test_the_tightest_of_all_groups_around_counts(tmp_path):
    control_group(tmp_path / "a", memory__max=str(GIB), memory__current=str(GIB - 1000))
    control_group(tmp_path / "a" / "b", memory__max=str(2 * GIB), memory__current="0")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n", encoding="ascii")
    assert system_memory(tmp_path, own) == SystemMemory(total=GIB, free=1000)


def test_control_groups_of_the_first_version_too(tmp_path):
    control_group(
        tmp_path / "memory" / "box",
        memory__limit_in_bytes=str(GIB), memory__usage_in_bytes=str(GIB // 2),
        memory__stat="total_inactive_file 100",
    )  # fmt: skip
    own = tmp_path / "own"
    own.write_text("5:cpu,cpuacct:/other\n4:memory:/box\n0::/\n", encoding="ascii")
    assert system_memory(tmp_path, own) == SystemMemory(total=GIB, free=GIB // 2 + 100)


def test_in_a_container_that_sees_only_its_own_group(tmp_path):
    """The path is that on the host; what is mounted is the group itself."""
    control_group(tmp_path, memory__max=str(GIB), memory__current="0")
    own = tmp_path / "own"
    own.write_text("0::/kubepods/pod-7/box\n", encoding="ascii")
    assert system_memory(tmp_path, own).total == GIB


def test_where_there_are_no_control_groups(tmp_path):
    found = system_memory(tmp_path, tmp_path / "none")
    assert found.total == psutil.virtual_memory().total


# --- environment ------------------------------------------------------------------


def test_a_mac_gets_both_marks_and_no_silent_fallback():
    found = worker_environment({}, system="Darwin")
    assert found.added[HIGH] == "1.0"
    assert found.added[LOW] == "0.8"
    assert found.added[FALLBACK] == "0"
    assert found.notices == ()


def test_what_the_user_has_set_stays():
    given = {HIGH: "0.0", LOW: "0.0", FALLBACK: "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}
    found = worker_environment(given, system="Darwin")
    assert found.added == {}
    assert found.notices == ()


def test_one_mark_of_the_users_gets_a_fitting_other_and_that_is_said():
    found = worker_environment({HIGH: "0.5"}, system="Darwin")
    assert found.added[LOW] == "0.5"
    assert HIGH not in found.added
    [notice] = found.notices
    assert HIGH in notice
    assert LOW in notice


def test_a_variable_that_nothing_reads_is_named():
    [notice] = worker_environment({IGNORED: "4096"}, system="Darwin").notices
    assert IGNORED in notice
    assert "no effect" in notice


def test_elsewhere_no_word_of_macs():
    found = worker_environment({IGNORED: "4096"}, system="Linux")
    assert found.added == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert found.notices == ()


def test_a_worker_is_started_with_them(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    for name in (HIGH, LOW):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(FALLBACK, "1")
    given = child._environment()
    assert (given[HIGH], given[LOW]) == ("1.0", "0.8")
    assert given[FALLBACK] == "1", "set by the user"
