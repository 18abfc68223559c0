"""Making an environment for a recognizer: a venv, what pip puts there, a trial, a marker.

The marker comes last, so what was cut short is never taken for an environment; it is
cleared away by the next install. A folder is never changed once it is marked: a new
environment gets a new folder, and the old one goes when the marker points elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from longscribe import version
from longscribe.adapters.environments import places, recipes, registry
from longscribe.adapters.environments.registry import Environment
from longscribe.adapters.environments.trial import Trial, try_engine
from longscribe.errors import InstallError, LongscribeError, UsageError

SHOWN = 12
"""Lines of pip's output that an error shows."""
_ASK = (
    "import json, sys; from importlib.metadata import requires; "
    "print(json.dumps([one for name in sys.argv[1:] for one in requires(name) or []]))"
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made."""

    recognizer: str
    factory: str
    """`package.module:attribute` of its `RecognizerFactory`."""
    python: str | None
    """The Python to make it with; None: ours, or whatever made the one that is there."""
    overrides: tuple[str, ...]
    """Requirements that take the place of whatever packages ask for under the same names."""

    @property
    def base(self) -> str:
        return self.python or sys.executable


Say = Callable[[str], None]
"""Takes a line for the person who waits."""


def install(order: Order, say: Say) -> tuple[Environment, Trial]:
    """Make an environment, unless the same is there and works; return it and its trial.

    Raises:
        UsageError: `python` is no Python that a worker can run under.
        InstallError: it can't be made, or another install of it is at work.
        RecognizerError: what was installed does not work.
    """
    requirements = (
        *recipes.engine_requirements(order.recognizer),
        *recipes.worker_requirements(),
    )
    for override in order.overrides:
        recipes.name_of(override)
    _check_base(order.base)
    with _locked(order.recognizer) as lock:
        for folder in registry.leftovers(order.recognizer):
            shutil.rmtree(folder, ignore_errors=True)
        there = _same(order, requirements)
        if there is not None:
            with contextlib.suppress(LongscribeError):
                return there, try_engine(order.factory, there.python)
            say(f"The environment in {there.path} no longer works; it is made anew.")
        return _make(order, requirements, lock, say)


def remove(recognizer: str) -> Environment | None:
    """Remove a recognizer's environment; return what it was, if its marker can be read.

    Raises:
        InstallError: an install of it is at work.
    """
    with _locked(recognizer):
        environment = registry.replaceable(recognizer)
        registry.unregister(recognizer)
        for folder in registry.leftovers(recognizer):
            shutil.rmtree(folder, ignore_errors=True)
        _log_of(recognizer).unlink(missing_ok=True)
    return environment


def _same(order: Order, requirements: tuple[str, ...]) -> Environment | None:
    there = registry.replaceable(order.recognizer)
    if there is None:
        return None
    if order.python not in (None, there.base):
        return None
    wanted = (requirements, order.overrides)
    return there if (there.requirements, there.overrides) == wanted else None


def _make(
    order: Order, requirements: tuple[str, ...], lock: int, say: Say
) -> tuple[Environment, Trial]:
    started = time.monotonic()
    folder = _free_folder(order.recognizer)
    log = _log_of(order.recognizer)
    say(f"Making {folder} with {order.base}.")
    say(f"What pip writes goes to {log}.")
    try:
        with log.open("w", encoding="utf-8") as out:
            steps = _Steps(python=folder / "bin" / "python", log=log, out=out.fileno(), lock=lock)
            steps.run([order.base, "-m", "venv", str(folder)], "make a venv")
            for what, arguments in _pip_steps(order, requirements, steps, folder):
                say(f"Installing {what}.")
                steps.pip(arguments, what)
        say("Trying it.")
        trial = try_engine(order.factory, steps.python)
        environment = Environment(
            recognizer=order.recognizer,
            folder=folder.name,
            base=order.base,
            requirements=requirements,
            overrides=order.overrides,
            made_by=version.__version__,
            seconds=round(time.monotonic() - started, 1),
        )
        registry.register(environment)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    for old in registry.leftovers(order.recognizer):
        shutil.rmtree(old, ignore_errors=True)
    return environment, trial


def _pip_steps(
    order: Order, requirements: tuple[str, ...], steps: _Steps, folder: Path
) -> Iterator[tuple[str, list[str]]]:
    """Yield what pip is told, in order, with a name for it.

    Overrides come first. Then the engine's own packages without what they ask for, and
    last what they ask for, less what is overridden: pip has no other way to leave a pin out.
    """
    if not order.overrides:
        yield order.recognizer, list(requirements)
        return
    yield ", ".join(order.overrides), list(order.overrides)
    overridden = {recipes.name_of(one) for one in order.overrides}
    engine = recipes.engine_requirements(order.recognizer)
    own = [one for one in engine if recipes.name_of(one) not in overridden]
    yield ", ".join(own), ["--no-deps", *own]
    asked = steps.ask([_ASK, *(recipes.name_of(one) for one in own)])
    rest = [
        one
        for one in [*recipes.without_extras(asked), *recipes.worker_requirements()]
        if recipes.name_of(one) not in overridden
    ]
    # So that nothing else replaces them on the way. A wheel or an URL can't stand in such a file.
    pins = folder / "overrides.txt"
    plain = [one for one in order.overrides if not one.endswith(".whl") and "@" not in one]
    pins.write_text("\n".join(plain) + "\n", encoding="utf-8")
    yield "what they ask for", ["--constraint", str(pins), *rest]


@dataclass(frozen=True, kw_only=True)
class _Steps:
    """Runs the commands of one install."""

    python: Path
    """Of the environment."""
    log: Path
    out: int
    """The log, open."""
    lock: int

    def pip(self, arguments: Sequence[str], what: str) -> None:
        """Let pip install something.

        Raises:
            InstallError: it can't.
        """
        options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
        self.run([str(self.python), "-m", "pip", "install", *options, *arguments], f"get {what}")

    def run(self, command: Sequence[str], to_do: str) -> None:
        """Run a command whose output goes to the log.

        Raises:
            InstallError: it fails.
        """
        # A child holds the lock as long as it runs, even if we are killed.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=self.out,
            env=_environment(),
            pass_fds=(self.lock,),
            check=False,
        )
        if done.returncode != 0:
            raise InstallError(
                f"Can't {to_do}: {_last_error(self.log) or f'exit status {done.returncode}'}.",
                f"All that was written is in {self.log}. Then run the same command again.",
            )

    def ask(self, arguments: Sequence[str]) -> list[str]:
        """Return what the environment's Python prints as JSON.

        Raises:
            InstallError: it fails.
        """
        command = [str(self.python), "-c", *arguments]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=self.out,
            env=_environment(),
            check=False,
            text=True,
        )
        if done.returncode != 0:
            raise InstallError(
                f"Can't find out what was installed: {_last_error(self.log)}.",
                f"All that was written is in {self.log}.",
            )
        found: list[str] = json.loads(done.stdout)
        return found


def _environment() -> dict[str, str]:
    """Return an environment without what points to packages of ours."""
    ours = {"PYTHONPATH", "PYTHONHOME", "__PYVENV_LAUNCHER__", "PIP_TARGET", "PIP_USER"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def _last_error(log: Path) -> str:
    """Return the line in which pip says what is wrong."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("ERROR:")]
    said = errors[-1] if errors else next((line for line in reversed(lines) if line), "")
    return said.rstrip(".")[:300]


def log_tail(recognizer: str) -> str:
    """Return the end of what the latest install wrote; empty if there is nothing."""
    try:
        lines = _log_of(recognizer).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(lines[-SHOWN:])


def _log_of(recognizer: str) -> Path:
    return places.environments() / f"{recognizer}.log"


def _free_folder(recognizer: str) -> Path:
    number = 1
    while (folder := places.environments() / f"{recognizer}-{number}").exists():
        number += 1
    return folder


def _check_base(base: str) -> None:
    """Refuse what is no Python for a worker.

    Raises:
        UsageError: it can't be run, is too old or lacks venv.
    """
    probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [base, "-c", probe],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(),
            check=False,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise UsageError(
            f"--python {base} can't be run: {error.strerror}.", "Expected a Python."
        ) from None
    numbers = done.stdout.strip().split(".")
    if done.returncode != 0 or len(numbers) != 2 or not all(map(str.isdigit, numbers)):
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        told = f" ({lines[-1].strip()[:200]})" if lines else ""
        raise UsageError(f"--python {base} is no Python that can make a venv{told}.")
    if tuple(map(int, numbers)) < (3, 11):
        raise UsageError(
            f"--python {base} is Python {'.'.join(numbers)}; a worker needs 3.11 or newer."
        )


@contextmanager
def _locked(recognizer: str) -> Iterator[int]:
    """Keep other installs of the same environment away; give the lock's descriptor.

    Raises:
        InstallError: another one, or the pip that it left behind, is at work.
    """
    home = places.environments()
    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home / f"{recognizer}.lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InstallError(
            f"{home} can't be written ({error.strerror}).",
            f"Give {places.HOME} another folder.",
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield descriptor
    except BlockingIOError:
        raise InstallError(
            f"Another install of {recognizer!r} is at work in {home}.", "Wait until it has ended."
        ) from None
    finally:
        os.close(descriptor)
