"""`bootstrap.sh` on other machines: what it finds, and what it would install."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def stub(folder: Path, name: str, code: str) -> None:
    """Put a command before those of this machine."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{code}\n")
    (folder / name).chmod(0o755)


def bootstrap(
    folder: Path, *arguments: str, path: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    base = {name: value for name, value in os.environ.items() if name not in {"PYTHON", "EXTRAS"}}
    return subprocess.run(
        [ROOT / "bootstrap.sh", *arguments],
        env={**base, "PATH": path or f"{folder}:{os.environ['PATH']}", **variables},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def machine(folder: Path, system: str, processor: str, *, nvidia: bool = False) -> None:
    stub(folder, "uname", f"case $1 in -s) echo {system} ;; -m) echo {processor} ;; esac")
    stub(folder, "nvidia-smi", "exit 0" if nvidia else "exit 9")
    stub(folder, "python3", f'exec {sys.executable} "$@"')


@pytest.mark.parametrize(
    ("system", "processor", "nvidia", "extras"),
    [
        ("Darwin", "arm64", False, "mlx,faster-whisper"),
        ("Darwin", "x86_64", False, "faster-whisper"),
        ("Linux", "x86_64", True, "faster-whisper,cuda"),
        ("Linux", "aarch64", False, "faster-whisper"),
    ],
)
def test_the_extras_fit_the_machine(
    tmp_path: Path, system: str, processor: str, nvidia: bool, extras: str
) -> None:
    machine(tmp_path, system, processor, nvidia=nvidia)
    done = bootstrap(tmp_path, "--plan")
    assert done.returncode == 0, done.stderr
    assert f"gets {extras} (Python " in done.stdout
    more = bootstrap(tmp_path, "--plan", EXTRAS="whisper-cpp,score")
    assert f"gets {extras},whisper-cpp,score (" in more.stdout


def test_the_extras_exist() -> None:

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"mlx", "faster-whisper", "cuda", "score"} <= set(project["optional-dependencies"])


def test_another_system_is_refused(tmp_path: Path) -> None:
    machine(tmp_path, "MINGW64_NT-10.0", "x86_64")
    done = bootstrap(tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr.strip() == "error: Longscribe runs on Linux and macOS, not on MINGW64_NT-10.0."
    )


OLD = 'case "$2" in *split*) echo 3.9.6 ;; *) exit 1 ;; esac'


def test_an_old_python_is_named_and_what_to_do_is_told(tmp_path: Path) -> None:
    stub(tmp_path, "old", OLD)
    done = bootstrap(tmp_path, PYTHON=str(tmp_path / "old"))
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"needs Python 3.11 or newer; {tmp_path / 'old'} is 3.9.6" in line
    assert "PYTHON=python3.12" in line
    gone = bootstrap(tmp_path, PYTHON="python-that-is-not")
    assert gone.stderr.strip() == "error: there is no Python python-that-is-not."


def test_a_newer_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    machine(tmp_path, "Linux", "x86_64")
    stub(tmp_path, "python3", OLD)
    stub(tmp_path, "python3.13", f'exec {sys.executable} "$@"')
    for name in ("python3.14", "python3.12", "python3.11"):
        stub(tmp_path, name, OLD)
    assert bootstrap(tmp_path, "--plan").returncode == 0
    stub(tmp_path, "python3.13", OLD)
    done = bootstrap(tmp_path, "--plan")
    assert done.returncode == 1
    assert "there is none on the PATH" in done.stderr


def test_make_says_the_same_of_an_old_python(tmp_path: Path) -> None:
    stub(tmp_path, "old", OLD)
    clone = tmp_path / "clone"
    clone.mkdir()
    for name in ("Makefile", "bootstrap.sh", "pyproject.toml", "constraints.txt"):
        (clone / name).write_bytes((ROOT / name).read_bytes())
    (clone / "bootstrap.sh").chmod(0o755)
    done = subprocess.run(
        ["make", "demo", f"PYTHON={tmp_path / 'old'}"],
        cwd=clone, capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "MAKEFLAGS"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert not (clone / ".venv").exists()
