"""`longscribe install`: environments of their own for recognizers."""

from __future__ import annotations

from pathlib import Path

from longscribe import wiring
from longscribe.adapters.environments import places, recipes, registry
from longscribe.adapters.environments.install import Order, install, log_tail, remove
from longscribe.adapters.environments.settings_file import chosen_python, chosen_pythons
from longscribe.cli.terminal import messages, results, shown, shown_lines
from longscribe.errors import InstallError, LongscribeError


def install_engine(recognizer: str, python: str | None, overrides: tuple[str, ...]) -> None:
    """Make an environment, saying what is being done.

    Raises:
        UsageError, InstallError, RecognizerError, WorkerStartError: it can't be made.
    """
    console = results(soft_wrap=True, highlight=True)
    recipes.engine_requirements(recognizer)  # refuses what it does not know
    order = Order(
        recognizer=recognizer,
        factory=wiring.recognizer(recognizer).factory,
        python=python,
        overrides=overrides,
    )
    try:
        made, trial = install(order, lambda line: console.print(shown(line), highlight=False))
    except InstallError:
        tail = log_tail(recognizer)
        if tail:
            messages(soft_wrap=True).print(f"[dim]{shown_lines(tail)}[/dim]")
        raise
    console.print(
        f"[bold]{shown(recognizer)}[/bold] works under {shown(made.python)} "
        f"(Python {trial.python}, {_size(made.path) / 2**20:.0f} MB, "
        f"made in {made.seconds:.0f} s, imported in {trial.seconds:.0f} s).",
        highlight=False,
    )
    chosen = chosen_pythons().get(recognizer)
    if chosen is not None:
        console.print(
            f"[yellow]But {shown(places.settings_file())} names {shown(chosen)} "
            f"for it, which goes before.[/yellow]"
        )


def list_environments() -> None:
    """Print the Pythons that recognizers run under, if not this one."""
    console = results(soft_wrap=True)
    chosen = chosen_pythons()
    made = registry.marked()
    for name in chosen:
        console.print(f"[bold]{shown(name)}[/bold]: {shown(_told_of_chosen(name))}")
    for name in made:
        told = _told_of_made(name, used=name not in chosen)
        console.print(f"[bold]{shown(name)}[/bold]: {shown(told)}")
    if not chosen and not made:
        console.print("No recognizer has a Python of its own.")


def _told_of_chosen(recognizer: str) -> str:
    try:
        path = chosen_python(recognizer)
    except LongscribeError as error:
        return f"broken: {error}"
    return f"{path} ({places.settings_file()})"


def _told_of_made(recognizer: str, *, used: bool) -> str:
    try:
        one = registry.installed(recognizer)
    except LongscribeError as error:
        return f"broken: {error}"
    if one is None:
        return "removed just now"
    state = f"{_size(one.path) / 2**20:.0f} MB" if one.python.exists() else "gone"
    if not used:
        state += ", not used"
    return f"{one.python} (longscribe install, {state})"


def remove_environment(recognizer: str) -> None:
    """Remove an environment.

    Raises:
        InstallError: there is none, or an install of it is at work.
    """
    if recognizer not in registry.marked() and not registry.leftovers(recognizer):
        raise InstallError(
            f"There is no environment of {recognizer!r} in {places.environments()}.",
            "See: longscribe install --list.",
        )
    remove(recognizer)
    results().print(f"The environment of {shown(recognizer)} is removed.")


def _size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
