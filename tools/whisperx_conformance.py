"""Makes WhisperX's environment with the command that users have, and runs its tests there.

Run by `make conformance-whisperx`. WhisperX pins torch 2.8, whose package for Linux holds
gigabytes of CUDA. On Linux without an NVIDIA driver the torch of constraints.txt takes its
place (get a build for the CPU: PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu).
torchaudio's package on PyPI holds libraries that need CUDA; without a library torchaudio
goes on without it (`_extension/utils.py`), and alignment needs none: they are left out.
`--own-pins` installs what WhisperX asks for.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = ROOT / ".venv" / "longscribe"
NEVER = "; python_version < '3'"
TESTS = ("tests/ports/test_recognizer_conformance.py", "tests/adapters/test_whisperx.py")
TOOLS = ("pytest", "av", "jiwer", "onnxruntime", "rich", "pysubs2", "pyyaml", "typer")
"""What the tests and what they import need besides the worker's packages."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--own-pins", action="store_true", help="install what WhisperX asks for")
    own_pins = parser.parse_args().own_pins or sys.platform != "linux" or shutil.which("nvidia-smi")
    started = time.monotonic()
    python = environment([] if own_pins else cpu_overrides(HOME / "wheels"))
    print(f"environment: {time.monotonic() - started:.0f} s", flush=True)
    started = time.monotonic()
    # The package comes from the source folder: the environment does not hold it.
    path = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    in_it = [python, "-m", "pytest", *TESTS, "-k", "whisperx", "-p", "no:cacheprovider"]
    first = subprocess.run(in_it, cwd=ROOT, env=path, check=False)
    over_it = [sys.executable, "-m", "pytest", "tests/e2e/test_whisperx_apart.py"]
    with_home = {**os.environ, "WHISPERX_HOME": str(HOME)}
    second = subprocess.run(over_it, cwd=ROOT, env=with_home, check=False)
    print(f"tests: {time.monotonic() - started:.0f} s", flush=True)
    return first.returncode or second.returncode


def environment(overrides: list[str]) -> Path:
    """Make the environment if it is not there, with what the tests need; return its Python."""
    command = [sys.executable, "-m", "longscribe", "install", "whisperx"]
    for override in overrides:
        command += ["--override", override]
    subprocess.run(command, env={**os.environ, "LONGSCRIBE_HOME": str(HOME)}, check=True)
    (python,) = HOME.glob("environments/whisperx-*/bin/python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *TOOLS]
    subprocess.run(pip, check=True)
    return python


def cpu_overrides(folder: Path) -> list[str]:
    """Return what takes the place of WhisperX's pins on torch and its kin."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (torch,) = re.findall(r"^torch==\S+$", pins, re.MULTILINE)
    if not list(folder.glob("torchaudio-*.whl")):
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "torchaudio"]
        subprocess.run([*pip, "--dest", folder / "whole"], check=True)
        (whole,) = folder.glob("whole/torchaudio-*.whl")
        without_libraries(whole, folder / whole.name)
    (wheel,) = folder.glob("torchaudio-*.whl")
    unneeded = ("torchvision", "torchcodec", "triton")
    return [torch, str(wheel), *(name + NEVER for name in unneeded)]


def without_libraries(whole: Path, bare: Path) -> None:
    """Write a wheel again without its native libraries."""
    unfinished = bare.with_suffix(".unfinished")
    with (
        zipfile.ZipFile(whole) as old,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            if entry.filename.endswith(".so"):
                continue
            content = old.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                content = "".join(one for one in lines if ".so," not in one).encode()
            new.writestr(entry, content)
    unfinished.rename(bare)


if __name__ == "__main__":
    sys.exit(main())
