"""Finding a model of some format: a local directory, the hub's cache, or the hub.

A download that was cut short is never taken for a model: weights are measured
by what they say of their own length, without being read.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.recognizers import hub_cache
from longscribe.adapters.recognizers.models import (
    FoundModel,
    ModelState,
    Whereabouts,
    digest_files,
    local_path,
    no_client,
    not_given,
    unknown_model,
)
from longscribe.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class ModelFormat:
    """What the models of an engine look like, and where they are."""

    folder: str
    """What a directory of this format is called in messages, with its article."""
    repositories: Mapping[str, str]
    """Model name → repository on the hub."""
    patterns: tuple[str, ...]
    """The files worth fetching; they make up the model's identity."""
    lacks: Callable[[Path], list[str]]
    """Which files a directory lacks, with a word on those that are there but broken."""
    offline: str = ""
    """What else can be done where the hub is out of reach."""


class HubShelf:
    """Fulfils `ModelShelf` for models that are directories, each a repository of the hub."""

    def __init__(self, form: ModelFormat) -> None:
        self.form = form
        self.names = form.repositories

    def find(self, name: str) -> FoundModel:
        """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

        Raises:
            UsageError: no such model is known.
            ModelError: the directory lacks a file, or the model is not on this machine
                and can't be fetched.
        """
        there = self.look(name)
        path = there.path if there.state is ModelState.WHOLE else None
        path = path or self.fetch(name, None)
        return FoundModel(path=path, identity=self._identity(path))

    def look(self, name: str) -> Whereabouts:
        path = local_path(name)
        if path.is_dir():
            self._check_complete(path)
            return Whereabouts(name=name, origin=str(path), state=ModelState.WHOLE, path=path)
        if path.exists():
            raise ModelError(
                f"--model {name} is a file; expected a directory.", f"Give {self.form.folder}."
            )
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise ModelError(f"There is no model directory {name}.", f"Give {self.form.folder}.")
        return self.look_up(name)

    def look_up(self, name: str) -> Whereabouts:
        return self._in_cache(name, self._repository(name))

    def cached(self) -> tuple[Whereabouts, ...]:
        named = set(self.names.values())
        found = [self._in_cache(one, one) for one in hub_cache.repositories() if one not in named]
        return tuple(one for one in found if one.state is ModelState.WHOLE)

    def fetch(self, name: str, folder: Path | None) -> Path:
        repository = self._repository(name)
        try:
            from huggingface_hub import snapshot_download  # noqa: PLC0415 - of an extra
        except ImportError as error:
            raise no_client(name, error) from error

        def download(*, again: bool) -> Path:
            fetched = snapshot_download(
                repository,
                allow_patterns=list(self.form.patterns),
                cache_dir=hub_cache.hub_cache(),
                local_dir=folder,
                force_download=again,
            )
            return Path(fetched)

        try:
            path = download(again=False)
            if self.form.lacks(path):  # a file that is there but broken is not fetched again
                path = download(again=True)
        except Exception as error:
            copied = f"models/{repository.rpartition('/')[2]}"
            raise not_given(
                name,
                error,
                f"With a network, run: hf download {repository} --local-dir {copied} there, "
                f"copy that folder here and use --model {copied}. {self.form.offline}".strip(),
            ) from error
        self._check_complete(path)
        return path

    def _in_cache(self, name: str, repository: str) -> Whereabouts:
        path = hub_cache.snapshot(repository)
        missing = () if path is None else tuple(self.form.lacks(path))
        there = ModelState.PARTIAL if missing else ModelState.WHOLE
        state = ModelState.ABSENT if path is None else there
        return Whereabouts(name=name, origin=repository, state=state, path=path, missing=missing)

    def _check_complete(self, path: Path) -> None:
        missing = self.form.lacks(path)
        if missing:
            raise ModelError(
                f"The model directory {path} lacks {', '.join(missing)}.",
                f"Expected {self.form.folder}; fetch or convert it again.",
            )

    def _identity(self, path: Path) -> str:
        return digest_files(
            file
            for file in path.iterdir()
            if any(file.match(pattern) for pattern in self.form.patterns)
        )

    def _repository(self, name: str) -> str:
        if "/" in name:
            return name
        if name not in self.names:
            raise unknown_model(name, self.names, "or give a local directory or a hub repository")
        return self.names[name]


# --- weights that are whole ---


def broken_weights(file: Path) -> str | None:
    """Return what is wrong with a file of weights, in a few words; None if nothing is."""
    try:
        if not file.is_file():
            return "missing"
        if file.suffix == ".npz":
            zipfile.ZipFile(file).close()  # its table stands at the end
        elif file.stat().st_size < _safetensors_length(file):
            return "cut short"
    except _NOT_WEIGHTS:
        return "damaged or cut short"
    return None


_NOT_WEIGHTS = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, zipfile.BadZipFile),
)
"""What reading a file raises that can't be read, or is something else than it should be."""


def _safetensors_length(file: Path) -> int:
    """Return how long a file of safetensors says it is: 8 bytes, its header, its tensors."""
    with file.open("rb") as opened:
        (size,) = struct.unpack("<Q", opened.read(8))
        if size > file.stat().st_size:
            raise ValueError("the header is longer than the file")
        header = json.loads(opened.read(size))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return 8 + int(size) + max(ends, default=0)
