"""cuBLAS is found where pip puts it, and missed before a model is loaded."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from longscribe.adapters.recognizers.ct2_libraries import CUBLAS, IN_PACKAGES, load_cublas

try:
    ctypes.CDLL(CUBLAS[1])
except OSError:
    HERE = False
else:
    HERE = True

pytestmark = pytest.mark.skipif(HERE, reason="the loader finds cuBLAS 12 on this machine")

ASK = """
import ctypes, sys
from longscribe.adapters.recognizers.ct2_libraries import load_cublas
print(load_cublas(sys.argv[1:]))
"""


def asked(folder: Path) -> str:
    """Ask in a process of its own: what is loaded stays loaded."""
    command = [sys.executable, "-c", ASK, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def any_library() -> Path:
    """Return some shared library that can be loaded under any name."""
    with Path("/proc/self/maps").open() as maps:
        paths = (line.split()[-1] for line in maps if "/" in line and ".so" in line)
        return next(Path(path) for path in paths if "ld-" not in path and Path(path).is_file())


def test_a_machine_without_it_is_told_from_one_with_it(tmp_path: Path) -> None:
    assert not load_cublas([str(tmp_path)])
    assert asked(tmp_path) == "False"


@pytest.mark.skipif(sys.platform != "linux", reason="takes a library from /proc/self/maps")
def test_what_pip_installed_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / IN_PACKAGES
    folder.mkdir(parents=True)
    for name in CUBLAS:
        shutil.copy(any_library(), folder / name)
    assert asked(tmp_path) == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="takes a library from /proc/self/maps")
def test_one_of_the_two_is_not_enough(tmp_path: Path) -> None:
    folder = tmp_path / IN_PACKAGES
    folder.mkdir(parents=True)
    shutil.copy(any_library(), folder / CUBLAS[0])
    (folder / CUBLAS[1]).write_bytes(b"no library")
    assert asked(tmp_path) == "False"
