"""What `longscribe doctor` makes of what it found: every problem with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from longscribe.types import Device

LITTLE_DISK = 2 * 10**9
"""Bytes. A large model takes up to 3 GB, an hour of audio 115 MB while it is transcribed."""
NO_DISK = 50 * 10**6
LITTLE_MEMORY = 10**9
"""Bytes. The smallest Whisper models need about half of it."""


@dataclass(frozen=True, kw_only=True)
class EngineReport:
    """A recognizer, as it was found and tried."""

    name: str
    installed: bool
    python: str
    """The Python that runs it, if that is not the one that runs Longscribe."""
    works: bool
    """It could be imported, in a child."""
    versions: tuple[tuple[str, str], ...]
    """Package, version."""
    devices: tuple[str, ...]
    """Kinds of device that it says it can use."""
    trouble: str
    """Why it does not work, or does not count as installed."""
    mend: str


@dataclass(frozen=True, kw_only=True)
class WantedModel:
    """The model that a transcription would use."""

    name: str
    recognizer: str
    state: str
    """`whole`, `partial`, `absent`; `unknown` where the recognizer finds it itself."""
    missing: tuple[str, ...]
    offline: bool
    """The hub may not be asked (`HF_HUB_OFFLINE`)."""
    trouble: str
    """Why there can be no such model."""
    client: bool = True
    """The hub's client can be imported, or is not needed."""


@dataclass(frozen=True, kw_only=True)
class DiskReport:
    """Room on the disk of a folder, in bytes."""

    purpose: str
    path: str
    free: int


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that was found."""

    devices: tuple[Device, ...]
    engines: tuple[EngineReport, ...]
    chosen: str
    """The recognizer that a transcription would use; empty if there is none."""
    choice: str
    """Why that one, or why none, as a sentence."""
    choice_mend: str
    model: WantedModel | None
    disks: tuple[DiskReport, ...]
    reading: str
    """Why media can't be read; empty if they can."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is not as it should be."""

    found: str
    mend: str
    """What to do; mostly a command."""
    blocking: bool
    """No transcription can start."""


def find_problems(findings: Findings) -> tuple[Problem, ...]:
    """Return every problem, the blocking ones first."""
    found = [
        *_of_choice(findings),
        *_of_engines(findings),
        *_of_model(findings.model),
        *_of_room(findings),
    ]
    if findings.reading:
        found.append(
            Problem(
                found=f"Media can't be read: {findings.reading}",
                mend="pip install --force-reinstall av onnxruntime",
                blocking=True,
            )
        )
    return tuple(sorted(found, key=lambda problem: not problem.blocking))


def can_start(problems: Sequence[Problem]) -> bool:
    """Tell whether a transcription could start."""
    return not any(problem.blocking for problem in problems)


def _of_choice(findings: Findings) -> Iterator[Problem]:
    if not findings.chosen:
        yield Problem(found=findings.choice, mend=findings.choice_mend, blocking=True)


def _of_engines(findings: Findings) -> Iterator[Problem]:
    kinds = [device.kind for device in findings.devices]
    for engine in findings.engines:
        if engine.trouble and (engine.installed or engine.name == findings.chosen):
            yield Problem(
                found=f"The recognizer {engine.name} does not work: {engine.trouble}",
                mend=engine.mend,
                blocking=engine.name == findings.chosen,
            )
        elif engine.name == findings.chosen and kinds[0] == "cuda" and engine.devices == ("cpu",):
            yield Problem(
                found=f"There is a CUDA device, but {engine.name} as it is installed can't use it.",
                mend=_CUDA.get(engine.name, "pip install 'longscribe[faster-whisper,cuda]'"),
                blocking=False,
            )


_CUDA = {
    "faster-whisper": "pip install nvidia-cublas-cu12",
    "transformers": "pip install --force-reinstall torch",
    "whisper.cpp": "GGML_CUDA=1 pip install --no-binary pywhispercpp --force-reinstall "
    "pywhispercpp",
}
"""Recognizer → what makes it use a CUDA device: where torch is built for the CPU, pip must be told
of an index with its other builds."""


def _of_model(model: WantedModel | None) -> Iterator[Problem]:
    if model is None or model.state in {"whole", "unknown"}:
        return
    fetch = f"longscribe models fetch {model.name} --recognizer {model.recognizer}"
    if model.trouble:
        yield Problem(found=model.trouble, mend="longscribe models list", blocking=True)
        return
    if model.state == "partial":
        found = (
            f"Only a part of the model {model.name} is here: it lacks {', '.join(model.missing)}."
        )
    else:
        found = f"The model {model.name} is not on this machine yet."
    if not model.client:
        yield Problem(
            found=f"{found} The hub's client, which fetches it, is not installed.",
            mend="pip install huggingface-hub",
            blocking=True,
        )
    elif model.offline:
        yield Problem(
            found=f"{found} HF_HUB_OFFLINE forbids to fetch it.",
            mend=f"HF_HUB_OFFLINE=0 {fetch}",
            blocking=True,
        )
    else:
        found += " It will be fetched when it is first used."
        yield Problem(found=found, mend=fetch, blocking=False)


def _of_room(findings: Findings) -> Iterator[Problem]:
    for disk in findings.disks:
        if disk.free < LITTLE_DISK:
            yield Problem(
                found=f"There is little room for {disk.purpose}: {disk.free / 10**9:.1f} GB "
                f"in {disk.path}.",
                mend=f"Free some, or choose another disk: {_ELSEWHERE[disk.purpose]}",
                blocking=disk.free < NO_DISK,
            )
    for device in findings.devices:
        if device.kind == "cpu" and device.free < LITTLE_MEMORY:
            yield Problem(
                found=f"Little memory is free: {device.free / 10**9:.1f} GB.",
                mend="Close other programs, or use a small model: --model small",
                blocking=False,
            )


JOBS, MODELS = "jobs", "models"
_ELSEWHERE = {JOBS: "--output-dir", MODELS: "HF_HOME"}
