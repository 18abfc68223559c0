"""Looking at the machine: whether a transcription could start, and what would mend the rest.

Nothing is fetched and no engine is imported here: each recognizer is tried in a child.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from longscribe import wiring
from longscribe.adapters.devices.detection import devices
from longscribe.adapters.devices.environment import worker_environment
from longscribe.adapters.environments import registry
from longscribe.adapters.environments.trial import try_engine
from longscribe.adapters.recognizers.catalog import CATALOG, EngineKind
from longscribe.adapters.recognizers.hub_cache import hub_cache
from longscribe.adapters.recognizers.inventory import ModelEntry, here, inventory
from longscribe.adapters.recognizers.models import has_client
from longscribe.adapters.recognizers.pocketsphinx_models import SPHINX_SHELF
from longscribe.config import Options
from longscribe.core.choosing import AUTO
from longscribe.core.diagnosis import (
    JOBS,
    MODELS,
    DiskReport,
    EngineReport,
    Findings,
    Problem,
    WantedModel,
    can_start,
    find_problems,
)
from longscribe.errors import LongscribeError, RecognizerError

PATIENCE = 120.0
"""Seconds that a recognizer may take to be imported."""
_AT_ONCE = 2
_VARIABLES = (
    *("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("LONGSCRIBE_", "ASR_USE_", "PYTORCH_", "MPS_", "CUDA_", "NVIDIA_VISIBLE", "LD_LIBRARY_PATH"),
    *("OMP_", "GOMP_", "MKL_", "CT2_", "GGML_", "MLX_"),
)
"""Beginnings of the names of variables that engines, the hub's client or we ourselves read."""
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD")
_FLAG = {"1", "on", "yes", "true"}
"""As the hub's client reads a variable that switches something on."""


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What there is, and what of it is not as it should be."""

    findings: Findings
    models: tuple[ModelEntry, ...]
    """Those of which there is something on this machine."""
    variables: tuple[tuple[str, str], ...]
    """In force, by name."""
    for_workers: tuple[tuple[str, str], ...]
    """Variables that workers are given besides."""
    problems: tuple[Problem, ...]

    @property
    def can_start(self) -> bool:
        """Whether a transcription could start."""
        return can_start(self.problems)


def check_up(patience: float = PATIENCE) -> Checkup:
    """Look at everything. Takes as long as importing the engines does.

    Args:
        patience: seconds that each recognizer may take to be imported.
    """
    options, mistake = _options()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        reading = pool.submit(_trouble_with, wiring.MEDIA_READER, patience)
        hearing = pool.submit(_trouble_with, wiring.SPEECH_DETECTOR, patience)
        engines = tuple(pool.map(lambda kind: _try(kind, patience), CATALOG.values()))
    chosen, choice, mend = _choice(options, mistake)
    findings = Findings(
        devices=devices(),
        engines=engines,
        chosen=chosen,
        choice=choice,
        choice_mend=mend,
        model=_wanted(options, chosen),
        disks=_disks(options),
        reading=reading.result() or hearing.result(),
    )
    return Checkup(
        findings=findings,
        models=here(inventory()),
        variables=tuple(_variables()),
        for_workers=tuple(sorted(worker_environment(os.environ).added.items())),
        problems=find_problems(findings),
    )


def _options() -> tuple[Options, LongscribeError | None]:
    """Return what a transcription would run with, as the environment has it."""
    try:
        return Options.build(), None
    except LongscribeError as error:
        return Options.model_construct(), error


def _choice(options: Options, mistake: LongscribeError | None) -> tuple[str, str, str]:
    """Return the recognizer that would be used, why, and what to do if there is none."""
    try:
        if mistake is not None:
            raise mistake
        if options.recognizer != AUTO:
            wiring.recognizer(options.recognizer)
            told = f"Recognizer {options.recognizer}, as LONGSCRIBE_RECOGNIZER says."
            return options.recognizer, told, ""
        choice = wiring.chosen_recognizer(options, None)
    except LongscribeError as error:
        return "", error.found, error.remedy.removeprefix("Run: ").rstrip(".")
    return choice.recognizer, choice.reason, ""


def _try(kind: EngineKind, patience: float) -> EngineReport:
    """Import a recognizer in a child, under the Python that it would run under."""
    try:
        own = registry.python_for(kind.name)
    except LongscribeError as error:
        return _report(kind, installed=True, error=error)
    if own is None and kind.missing:
        missing = RecognizerError(f"not installed: {', '.join(kind.missing)}")
        return _report(kind, installed=False, error=missing)
    python = None if own is None else own.path
    factory = wiring.recognizer(kind.name).factory
    try:
        trial = try_engine(factory, python, patience, kind.packages)
    except LongscribeError as error:
        return _report(kind, installed=True, error=error, python=python)
    return EngineReport(
        name=kind.name,
        installed=True,
        python="" if python is None else str(python),
        works=True,
        versions=trial.found.versions,
        devices=trial.found.devices,
        trouble="",
        mend="",
    )


def _report(
    kind: EngineKind, *, installed: bool, error: LongscribeError, python: Path | None = None
) -> EngineReport:
    """Return the report on a recognizer that does not work."""
    told = error.remedy.partition("Run: ")[2].rstrip(".")
    again = kind.install.replace("pip install", "pip install --force-reinstall")
    return EngineReport(
        name=kind.name,
        installed=installed,
        python="" if python is None else str(python),
        works=False,
        versions=(),
        devices=(),
        trouble=error.found if told or not error.remedy else str(error),
        mend=told or (again if installed else kind.install),
    )


def _trouble_with(factory: str, patience: float) -> str:
    """Return why something of ours can't be loaded in a child; empty if it can."""
    try:
        try_engine(factory, None, patience)
    except LongscribeError as error:
        return error.found
    return ""


def _wanted(options: Options, chosen: str) -> WantedModel | None:
    """Return the model that would be used, and how much of it is here."""
    if not chosen:
        return None
    there, trouble = None, ""
    if chosen in CATALOG:
        try:
            there = CATALOG[chosen].shelf.look(options.model)
        except LongscribeError as error:
            trouble = str(error)
    state = "unknown" if there is None else str(there.state)
    return WantedModel(
        name=options.model,
        recognizer=chosen,
        state="absent" if trouble else state,
        missing=() if there is None else there.missing,
        offline=any(
            os.environ.get(name, "").lower() in _FLAG
            for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        ),
        trouble=trouble,
        client=has_client() or (chosen in CATALOG and CATALOG[chosen].shelf is SPHINX_SHELF),
    )


def _disks(options: Options) -> tuple[DiskReport, ...]:
    folders = {JOBS: wiring.output_dir(options).absolute(), MODELS: hub_cache().absolute()}
    return tuple(
        DiskReport(purpose=purpose, path=str(folder), free=shutil.disk_usage(_there(folder)).free)
        for purpose, folder in folders.items()
    )


def _there(folder: Path) -> Path:
    """Return the folder itself, or the nearest one above it that exists."""
    return next(each for each in (folder, *folder.parents) if each.is_dir())


def _variables() -> list[tuple[str, str]]:
    """Return the variables in force; of secrets only that they are set."""
    return [
        (name, "(set)" if any(part in name for part in _SECRET) else value)
        for name, value in sorted(os.environ.items())
        if name.startswith(_VARIABLES)
    ]
