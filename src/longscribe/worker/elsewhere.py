"""Runs a worker under another Python, which needs to know nothing of Longscribe.

Run by its path, `OTHER_PYTHON …/worker/elsewhere.py longscribe.worker.recognizer`: so it
is the first file of ours that the other Python reads. The package comes from the folder
that this file lies in, whatever that Python may have installed under the same name;
everything else comes from that Python's own packages. Our own packages stay off its
path: they are built for another Python.

Only the standard library is imported before it is known what is there, and nothing
newer than Python 3.7 is written here: so an old Python, or one without the packages
that a worker needs, says so in one message instead of a traceback.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import struct
import sys
import zlib

OLDEST = (3, 11)
NEEDS = ("numpy", "psutil", "pydantic", "pydantic-settings", "pyspellchecker", "rapidfuzz")
"""What a worker needs besides its engine, as pip calls it. A test holds this to what it imports."""


def main() -> None:
    """Run the module named by the first argument, as `python -m` would."""
    running = "{} (Python {}.{}.{})".format(sys.executable, *sys.version_info[:3])
    if sys.version_info < OLDEST:
        _refuse(
            "{} is too old: a worker needs Python {}.{} or newer.".format(running, *OLDEST),
            "Name a newer one in longscribe.toml, or install with a newer --python.",
        )
        return
    _provide_package(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    try:
        lifeline = importlib.import_module("longscribe.worker.lifeline")
        module = importlib.import_module(sys.argv[1])
    except ImportError as error:
        _refuse(
            f"{running} can't run a worker: {error}.",
            f"Run: {sys.executable} -m pip install {' '.join(NEEDS)}.",
        )
        return
    module.serve(lifeline.Lifeline())


def _provide_package(folder: str) -> None:
    """Make `import longscribe` mean the package in `folder`."""
    spec = importlib.util.spec_from_file_location(
        "longscribe",
        os.path.join(folder, "__init__.py"),  # noqa: PTH118
        submodule_search_locations=[folder],
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["longscribe"] = package
    spec.loader.exec_module(package)


def _refuse(found: str, remedy: str) -> None:
    """Say what is wrong as a message of the protocol (`messages.Broke`, in its own frame)."""
    message = {
        "type": "broke",
        "kind": "error",
        "slug": "worker-start",
        "found": found,
        "remedy": remedy,
        "traceback": "",
    }
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack(">4sII", b"LSC1", len(body), zlib.crc32(body)) + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
