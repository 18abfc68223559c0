"""Which devices there are, found without loading an engine: this runs in the supervisor.

CUDA's are those that a CUDA program would see: `CUDA_VISIBLE_DEVICES` is obeyed.
Whether an engine can really use one, only that engine knows, in a worker.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.devices import nvml
from longscribe.adapters.devices.system_memory import SystemMemory, system_memory
from longscribe.types import Device

CPU_INFO = Path("/proc/cpuinfo")
SYSCTL = "/usr/sbin/sysctl"
LARGE_MAC = 36 * 2**30
"""Bytes. Up to here Metal lets a program have two thirds of a Mac's memory, beyond three quarters
(`recommendedMaxWorkingSetSize`)."""


def read_sysctl(name: str) -> str:
    """Return what macOS says under a name; empty if nothing."""
    try:
        done = subprocess.run(
            [SYSCTL, "-n", name], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where to look. Tests put another machine in the place of this one."""

    system: str
    """`Linux`, `Darwin`"""
    processor: str
    """`x86_64`, `arm64`"""
    environment: Mapping[str, str]
    sysctl: Callable[[str], str]
    gpus: Callable[[], tuple[nvml.Gpu, ...]]
    gpu: Callable[[str], nvml.Gpu | None]
    memory: Callable[[], SystemMemory]


def this_machine() -> Machine:
    """Return the machine that we run on."""
    return Machine(
        system=platform.system(),
        processor=platform.machine(),
        environment=os.environ,
        sysctl=read_sysctl,
        gpus=nvml.gpus,
        gpu=nvml.gpu,
        memory=system_memory,
    )


def devices(machine: Machine | None = None) -> tuple[Device, ...]:
    """Return the devices of this machine, the best first; the CPU is always there, as the last."""
    machine = machine or this_machine()
    memory = machine.memory()
    found = [*_cuda(machine, memory), *_mps(machine, memory)]
    return (*found, _cpu(machine, memory))


def visible_gpus(machine: Machine | None = None) -> tuple[nvml.Gpu, ...]:
    """Return the GPUs in CUDA's own numbering: the first is `cuda:0`.

    `CUDA_VISIBLE_DEVICES` names them by number or identity; as in CUDA, whatever
    stands behind the first name that fits no GPU is not seen.
    """
    machine = machine or this_machine()
    chosen = machine.environment.get("CUDA_VISIBLE_DEVICES")
    every = machine.gpus()
    if chosen is None:
        return every
    found: list[nvml.Gpu] = []
    for name in (each.strip() for each in chosen.split(",")):
        if name.isdecimal():
            one = every[int(name)] if int(name) < len(every) else None
        else:
            one = machine.gpu(name) if name.startswith(("GPU-", "MIG-")) else None
        if one is None:
            break
        found.append(one)
    return tuple(found)


def _cuda(machine: Machine, memory: SystemMemory) -> list[Device]:
    return [
        Device(
            name=f"cuda:{index}",
            model=gpu.model,
            memory=memory.total if gpu.memory is None else gpu.memory,
            free=memory.free if gpu.free is None else gpu.free,
            unified=gpu.memory is None,
        )
        for index, gpu in enumerate(visible_gpus(machine))
    ]


def _mps(machine: Machine, memory: SystemMemory) -> list[Device]:
    if (machine.system, machine.processor) != ("Darwin", "arm64"):
        return []
    limit = _metal_limit(machine, memory.total)
    return [
        Device(
            name="mps",
            model=machine.sysctl("machdep.cpu.brand_string") or "Apple silicon",
            memory=limit,
            free=min(limit, memory.free),
            unified=True,
        )
    ]


def _metal_limit(machine: Machine, total: int) -> int:
    """Return the bytes that the GPU should hold at most: the user's own limit, or macOS's."""
    wired = machine.sysctl("iogpu.wired_limit_mb")
    if wired.isdecimal() and int(wired) > 0:
        return min(total, int(wired) * 2**20)
    return total * 2 // 3 if total <= LARGE_MAC else total * 3 // 4


def _cpu(machine: Machine, memory: SystemMemory) -> Device:
    return Device(
        name="cpu",
        model=_processor_name(machine),
        memory=memory.total,
        free=memory.free,
        unified=True,
    )


def _processor_name(machine: Machine) -> str:
    if machine.system == "Darwin":
        return machine.sysctl("machdep.cpu.brand_string") or machine.processor
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, machine.processor)
