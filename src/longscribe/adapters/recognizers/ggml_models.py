"""Finding a ggml Whisper model: a local file or directory, the hub's cache, or the hub.

Runs in the supervisor, so it loads no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from longscribe.adapters.recognizers import hub_cache
from longscribe.adapters.recognizers.ggml_file import check_whole
from longscribe.adapters.recognizers.models import (
    FoundModel,
    ModelState,
    Whereabouts,
    file_identity,
    local_path,
    no_client,
    not_given,
    unknown_model,
)
from longscribe.errors import ModelError

REPOSITORY = "ggerganov/whisper.cpp"
_QUANTIZED = {
    "tiny": ("q5_1", "q8_0"), "tiny.en": ("q5_1", "q8_0"),
    "base": ("q5_1", "q8_0"), "base.en": ("q5_1", "q8_0"),
    "small": ("q5_1", "q8_0"), "small.en": ("q5_1", "q8_0"),
    "medium": ("q5_0", "q8_0"), "medium.en": ("q5_0", "q8_0"),
    "large-v1": (), "large-v2": ("q5_0", "q8_0"), "large-v3": ("q5_0",),
    "large-v3-turbo": ("q5_0", "q8_0"),
}  # fmt: skip
NAMES = tuple(
    name for size, forms in _QUANTIZED.items() for name in (size, *(f"{size}-{f}" for f in forms))
)
"""The models of the repository. A test holds them together with pywhispercpp's list."""
OTHER_NAMES = {"large": "large-v3", "turbo": "large-v3-turbo"}
"""As faster-whisper understands them."""


class GgmlShelf:
    """Fulfils `ModelShelf` for models that are single files of one repository."""

    names: Mapping[str, str] = {name: f"{REPOSITORY}/ggml-{name}.bin" for name in NAMES} | {
        other: f"{REPOSITORY}/ggml-{name}.bin" for other, name in OTHER_NAMES.items()
    }

    def look(self, name: str) -> Whereabouts:
        path = local_path(name)
        if path.exists():
            path = file_in(path)
            check_whole(path)
            return Whereabouts(name=name, origin=str(path), state=ModelState.WHOLE, path=path)
        if name.startswith((".", "/", "~")) or "/" in name or name.endswith(".bin"):
            raise ModelError(
                f"There is no model file {name}.",
                "Give a ggml file or the directory that holds it, or a name such as "
                "large-v3-turbo.",
            )
        return self.look_up(name)

    def look_up(self, name: str) -> Whereabouts:
        file = self._file(name)
        folder = hub_cache.snapshot(REPOSITORY)
        cached = folder / file if folder is not None and (folder / file).is_file() else None
        whole = cached is not None and _is_whole(cached)
        there = ModelState.WHOLE if whole else ModelState.PARTIAL
        return Whereabouts(
            name=name,
            origin=self.names[name],
            state=there if cached is not None else ModelState.ABSENT,
            path=cached,
            missing=() if whole or cached is None else (f"{file} (cut short or damaged)",),
        )

    def cached(self) -> tuple[Whereabouts, ...]:
        """Return nothing: all of the repository's files have names."""
        return ()

    def fetch(self, name: str, folder: Path | None) -> Path:
        file = self._file(name)
        try:
            from huggingface_hub import hf_hub_download  # noqa: PLC0415 - of an extra
        except ImportError as error:
            raise no_client(name, error) from error

        def download(*, again: bool) -> Path:
            fetched = hf_hub_download(
                REPOSITORY,
                file,
                cache_dir=hub_cache.hub_cache(),
                local_dir=folder,
                force_download=again,
            )
            return Path(fetched)

        try:
            path = download(again=False)
            if not _is_whole(path):  # a file that is there but broken is not fetched again
                path = download(again=True)
        except Exception as error:
            raise not_given(
                name,
                error,
                f"With a network, run: hf download {REPOSITORY} {file} --local-dir models "
                f"there, copy the file here and use --model models/{file}.",
            ) from error
        check_whole(path)
        return path

    def _file(self, name: str) -> str:
        if name not in self.names:
            raise unknown_model(name, NAMES, "or give a file")
        return self.names[name].rpartition("/")[2]


GGML_SHELF = GgmlShelf()


def find_ggml_model(name: str) -> FoundModel:
    """Return the model called `name`: a file, a directory that holds one, or a name of the hub.

    Raises:
        UsageError: no such model is known.
        ModelError: the file is no whole model, or the model is not on this machine
            and can't be fetched.
    """
    there = GGML_SHELF.look(name)
    path = there.path if there.state is ModelState.WHOLE else None
    path = path or GGML_SHELF.fetch(name, None)
    return FoundModel(path=path, identity=file_identity(path))


def _is_whole(path: Path) -> bool:
    try:
        check_whole(path)
    except ModelError:
        return False
    return True


def file_in(path: Path) -> Path:
    """Return the model file that `path` is, or the only one in the directory `path`.

    Raises:
        ModelError: there is none there, or several.
    """
    if not path.is_dir():
        return path
    found = sorted(path.glob("ggml-*.bin"))
    if len(found) > 1:
        raise ModelError(
            f"The directory {path} holds several models: {', '.join(file.name for file in found)}.",
            "Give the one to use as --model.",
        )
    if not found:
        raise ModelError(
            f"The directory {path} holds no file ggml-*.bin.",
            "whisper.cpp reads files such as ggml-large-v3-turbo.bin; give one as --model.",
        )
    return found[0]
