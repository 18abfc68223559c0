"""Finding a model of some format: a local directory, the hub's cache, or the hub.

A download that was cut short is never taken for a model: weights are measured
by what they say of their own length, without being read.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.recognizers.models import FoundModel
from longscribe.errors import ModelError, UsageError
from longscribe.fingerprint import fingerprint_file


@dataclass(frozen=True, kw_only=True)
class ModelFormat:
    """What the models of an engine look like, and where they are."""

    extra: str
    """The extra that brings the engine."""
    folder: str
    """What a directory of this format is called in messages, with its article."""
    repositories: Mapping[str, str]
    """Model name → repository on the hub."""
    patterns: tuple[str, ...]
    """The files worth fetching; they make up the model's identity."""
    lacks: Callable[[Path], list[str]]
    """Which files a directory lacks, with a word on those that are there but broken."""


def find_hub_model(name: str, form: ModelFormat) -> FoundModel:
    """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

    Raises:
        UsageError: no such model is known.
        ModelError: the directory lacks a file, or the model is not on this machine
            and can't be fetched.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        _check_complete(path, form)
    elif path.exists():
        raise ModelError(
            f"--model {name} is a file; expected a directory.",
            f"Give {form.folder}.",
        )
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(f"There is no model directory {name}.", f"Give {form.folder}.")
    else:
        path = _from_hub(name, form)
        _check_complete(path, form)
    return FoundModel(path=path, identity=_identity(path, form))


def _check_complete(path: Path, form: ModelFormat) -> None:
    missing = form.lacks(path)
    if missing:
        raise ModelError(
            f"The model directory {path} lacks {', '.join(missing)}.",
            f"Expected {form.folder}; fetch or convert it again.",
        )


def _identity(path: Path, form: ModelFormat) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.iterdir()):
        if file.is_file() and any(file.match(pattern) for pattern in form.patterns):
            digest.update(f"{file.name}:{fingerprint_file(file)};".encode())
    return digest.hexdigest()


def _repository(name: str, form: ModelFormat) -> str:
    if "/" in name:
        return name
    if name not in form.repositories:
        close = difflib.get_close_matches(name, form.repositories, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"Unknown model {name!r}.{hint}",
            f"Known names: {', '.join(form.repositories)}; "
            "or give a local directory or a hub repository.",
        )
    return form.repositories[name]


def _from_hub(name: str, form: ModelFormat) -> Path:
    """Return the model's folder in the hub's cache, fetching what is not there."""
    repository = _repository(name, form)
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise ModelError(
            f"To fetch the model {name!r}, {error.name} is needed, which is not installed.",
            f"Run: pip install 'longscribe[{form.extra}]'.",
        ) from error
    patterns = list(form.patterns)
    try:
        cached = Path(snapshot_download(repository, allow_patterns=patterns, local_files_only=True))
    except OSError:  # not in the cache yet
        pass
    else:
        if not form.lacks(cached):
            return cached
    try:
        return Path(snapshot_download(repository, allow_patterns=patterns))
    except Exception as error:
        # The hub's client raises its own errors, those of its HTTP library and OSErrors.
        folder = repository.rpartition("/")[2]
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"The model {name!r} is not on this machine, and the hub can't give it "
            f"({lines[0].strip().rstrip('.')[:200]}).",
            f"With a network, run: hf download {repository} --local-dir models/{folder} "
            f"there, copy that folder here and use --model models/{folder}.",
        ) from error


# --- weights that are whole ---


def broken_weights(file: Path) -> str | None:
    """Return what is wrong with a file of weights, in a few words; None if nothing is."""
    if not file.is_file():
        return "missing"
    try:
        if file.suffix == ".npz":
            zipfile.ZipFile(file).close()  # its table stands at the end
        elif file.stat().st_size < _safetensors_length(file):
            return "cut short"
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, zipfile.BadZipFile):
        return "damaged or cut short"
    return None


def _safetensors_length(file: Path) -> int:
    """Return how long a file of safetensors says it is: 8 bytes, its header, its tensors."""
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        if size > file.stat().st_size:
            raise ValueError("the header is longer than the file")
        header = json.loads(opened.read(size))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return 8 + int(size) + max(ends, default=0)
