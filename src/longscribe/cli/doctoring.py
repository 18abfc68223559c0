"""`longscribe doctor`: what there is, what is wrong with it, and the commands that mend it."""

from __future__ import annotations

import json
import platform
from typing import Any

from rich.table import Table

from longscribe import __version__
from longscribe.adapters.recognizers.inventory import ModelEntry, by_model
from longscribe.cli.terminal import Terminal, print_plain, results, shown
from longscribe.core.diagnosis import EngineReport, Problem
from longscribe.doctor import Checkup, check_up

EXIT_CAN_START, EXIT_CAN_NOT = 0, 1


def print_checkup(*, as_json: bool) -> int:
    """Look at the machine and print what was found; return 0 if a transcription could start."""
    checkup = check_up()
    if as_json:
        print_plain(json.dumps(_document(checkup), ensure_ascii=False, indent=1))
    else:
        _print_for_people(checkup, results())
    return EXIT_CAN_START if checkup.can_start else EXIT_CAN_NOT


def gigabytes(size: int) -> str:
    """Return bytes as people read them."""
    return f"{size / 10**9:.1f} GB" if size >= 10**8 else f"{size / 10**6:.1f} MB"


def _print_for_people(checkup: Checkup, console: Terminal) -> None:
    found = checkup.findings
    console.print(f"Longscribe {__version__}, Python {platform.python_version()}")
    devices = Table("device", "", "memory", "free", title="Devices", title_justify="left")
    for device in found.devices:
        memory, free = gigabytes(device.memory), gigabytes(device.free)
        devices.add_row(device.name, shown(device.model), memory, free)
    console.print(devices)
    engines = Table("recognizer", "", "runs on", title="Recognizers", title_justify="left")
    for engine in found.engines:
        engines.add_row(engine.name, shown(_state(engine)), ", ".join(engine.devices))
    console.print(engines)
    console.print(shown(found.choice))
    if checkup.models:
        models = Table("recognizer", "model", "size", "", title="Models", title_justify="left")
        for model, readers in by_model(checkup.models):
            lacks = f"a part: lacks {', '.join(model.missing)}" if model.missing else ""
            size = gigabytes(model.size)
            models.add_row(readers, shown(model.name), size, shown(lacks))
        console.print(models)
    for disk in found.disks:
        console.print(
            f"room for {disk.purpose}: {gigabytes(disk.free)} in {shown(disk.path)}",
            soft_wrap=True,
        )
    for name, value in checkup.variables:
        console.print(shown(f"{name}={value}"), soft_wrap=True)
    for name, value in checkup.for_workers:
        console.print(shown(f"{name}={value} (given to workers)"), soft_wrap=True)
    _print_problems(checkup.problems, console)


def _state(engine: EngineReport) -> str:
    if not engine.installed:
        return "not installed"
    if not engine.works:
        return f"does not work: {engine.trouble}"
    where = f" in {engine.python}" if engine.python else ""
    return ", ".join(f"{name} {version}" for name, version in engine.versions) + where


def _print_problems(problems: tuple[Problem, ...], console: Terminal) -> None:
    if not problems:
        console.print("[green]No problems.[/green]")
    for problem in problems:
        colour, word = ("red", "error") if problem.blocking else ("yellow", "warning")
        console.print(f"[{colour}]{word}:[/{colour}] {shown(problem.found)}", soft_wrap=True)
        if problem.mend:
            console.print(f"    {shown(problem.mend)}", soft_wrap=True)


def plain_model(entry: ModelEntry) -> dict[str, object]:
    """Return a model as plain values. Its fields are documented and stay."""
    return {
        "recognizer": entry.recognizer,
        "name": entry.name,
        "origin": entry.origin,
        "state": str(entry.state),
        "path": None if entry.path is None else str(entry.path),
        "size": entry.size,
        "missing": list(entry.missing),
    }


def _document(checkup: Checkup) -> dict[str, Any]:
    """Return everything as plain values. Its fields are documented and stay."""
    found = checkup.findings
    return {
        "longscribe": __version__,
        "python": platform.python_version(),
        "can_start": checkup.can_start,
        "recognizer": found.chosen or None,
        "reason": found.choice,
        "model": None
        if found.model is None
        else {
            "name": found.model.name,
            "state": found.model.state,
            "missing": list(found.model.missing),
            "offline": found.model.offline,
        },
        "devices": [
            {
                "name": device.name,
                "model": device.model,
                "memory": device.memory,
                "free": device.free,
                "unified": device.unified,
            }
            for device in found.devices
        ],
        "engines": [
            {
                "name": engine.name,
                "installed": engine.installed,
                "works": engine.works,
                "python": engine.python or None,
                "versions": dict(engine.versions),
                "devices": list(engine.devices),
                "trouble": engine.trouble or None,
                "mend": engine.mend or None,
            }
            for engine in found.engines
        ],
        "models": [plain_model(model) for model in checkup.models],
        "disks": [
            {"purpose": disk.purpose, "path": disk.path, "free": disk.free} for disk in found.disks
        ],
        "variables": dict(checkup.variables),
        "worker_variables": dict(checkup.for_workers),
        "problems": [
            {
                "found": problem.found,
                "mend": problem.mend or None,
                "blocking": problem.blocking,
            }
            for problem in checkup.problems
        ],
    }
