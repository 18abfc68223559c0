"""Other Pythons for tests: real venvs, made in a moment and without a network.

Nothing is downloaded: a venv gets links to some of the packages that are installed here, or
wheels that bring such links, so that pip has something to install.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from longscribe.worker.elsewhere import NEEDS

ENGINE = ("faster-whisper", "ctranslate2", "huggingface-hub", "tokenizers")
"""What the extra faster-whisper asks for."""


def packages_with_theirs(names: Iterable[str]) -> set[str]:
    """Return the names of installed packages and of all that they ask for."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            asked = distribution(name).requires or []
        except PackageNotFoundError:  # for another system or Python
            continue
        found.add(name)
        waiting += [re.match(r"[\w.-]+", one)[0] for one in asked if "extra ==" not in one]
    return found


def linked(folder: Path, names: Iterable[str]) -> Path:
    """Fill a folder with links to packages that are installed here, and to nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in packages_with_theirs(names):
        package = distribution(name)
        tops = {
            file.parts[0]
            for file in package.files or ()
            if file.parts[0] not in {"..", "__pycache__"}
        }
        for top in tops:
            link = folder / top
            if not link.exists():
                link.symlink_to(Path(str(package.locate_file(top))))
    return folder


def bare_venv(folder: Path) -> Path:
    """Make a venv without any package; return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder / "bin" / "python"


def worker_venv(folder: Path, names: Iterable[str] = (*NEEDS, *ENGINE)) -> Path:
    """Make a venv that sees what a worker needs; return its Python."""
    python = bare_venv(folder)
    links = linked(folder / "linked", names)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "linked.pth").write_text(f"{links}\n")
    return python


def wheels(folder: Path, *, links: Path | None) -> Path:
    """Write a wheel for each thing that `longscribe install faster-whisper` asks pip for.

    Args:
        folder: takes them.
        links: what the first of them puts on the path; None: they bring nothing.
    """
    folder.mkdir()
    for number, name in enumerate((*NEEDS, *ENGINE)):
        version = distribution(name).version
        stem = f"{name.replace('-', '_')}-{version}"
        files = {
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if number == 0 and links is not None:
            files["linked.pth"] = f"{links}\n"
        record = [*files, f"{stem}.dist-info/RECORD"]
        files[record[-1]] = "".join(f"{file},,\n" for file in record)
        with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
            for file, content in files.items():
                wheel.writestr(file, content)
    return folder
