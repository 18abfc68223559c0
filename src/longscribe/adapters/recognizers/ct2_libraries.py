"""The CUDA libraries that CTranslate2 needs and does not bring.

Its wheels are built for CUDA 12 and open `libcublas.so.12` by name at the first product of
matrices; a machine may have a GPU and a driver and still lack it. So it is looked for before
a model is loaded: where the loader looks, then in the packages `nvidia-cublas-cu12` of pip.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterable
from pathlib import Path

CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")
"""In the order in which they need each other."""
IN_PACKAGES = "nvidia/cublas/lib"
HOW_TO_HAVE_CUBLAS = (
    "Run: pip install nvidia-cublas-cu12. With the libraries of CUDA 13 see "
    "docs/how-to/run-on-a-gpu.md. Or use --device cpu."
)


def load_cublas(folders: Iterable[str] = ()) -> bool:
    """Load cuBLAS for CUDA 12 into this process; tell whether it is there.

    A library that is loaded is found by its name afterwards, wherever it lies.

    Args:
        folders: where packages may lie; those of this Python if none are given.
    """
    places = [Path(folder) / IN_PACKAGES for folder in folders or sys.path]
    return all(_load(name, places) for name in CUBLAS)


def _load(name: str, places: Iterable[Path]) -> bool:
    for path in (name, *(str(place / name) for place in places if (place / name).is_file())):
        try:
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False
