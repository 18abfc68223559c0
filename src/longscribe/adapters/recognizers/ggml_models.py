"""Finding a ggml Whisper model: a local file or directory, the hub's cache, or the hub.

Runs in the supervisor, so it loads no engine.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from longscribe.adapters.recognizers.ggml_file import check_whole
from longscribe.adapters.recognizers.models import FoundModel
from longscribe.errors import ModelError, UsageError
from longscribe.fingerprint import fingerprint_file

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


def find_ggml_model(name: str) -> FoundModel:
    """Return the model called `name`: a file, a directory that holds one, or a name of the hub.

    Raises:
        UsageError: no such model is known.
        ModelError: the file is no whole model, or the model is not on this machine
            and can't be fetched.
    """
    path = Path(name).expanduser()
    if path.exists():
        path = file_in(path)
    elif name.startswith((".", "/", "~")) or "/" in name or name.endswith(".bin"):
        raise ModelError(
            f"There is no model file {name}.",
            "Give a ggml file or the directory that holds it, or a name such as large-v3-turbo.",
        )
    else:
        path = _from_hub(name)
    check_whole(path)
    return FoundModel(path=path, identity=fingerprint_file(path))


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


def _from_hub(name: str) -> Path:
    """Return the model's file in the hub's cache, fetching it if it is not there."""
    known = OTHER_NAMES.get(name, name)
    if known not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"Unknown model {name!r}.{hint}", f"Known names: {', '.join(NAMES)}; or give a file."
        )
    file = f"ggml-{known}.bin"
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise ModelError(
            f"To fetch the model {name!r}, {error.name} is needed, which is not installed.",
            "Run: pip install 'longscribe[whisper-cpp]'.",
        ) from error
    try:
        return Path(hf_hub_download(REPOSITORY, file, local_files_only=True))
    except OSError:  # not in the cache yet
        pass
    try:
        return Path(hf_hub_download(REPOSITORY, file))
    except Exception as error:
        # The hub's client raises its own errors, those of its HTTP library and OSErrors.
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"The model {name!r} is not on this machine, and the hub can't give it "
            f"({lines[0].strip().rstrip('.')[:200]}).",
            f"With a network, run: hf download {REPOSITORY} {file} --local-dir models "
            f"there, copy the file here and use --model models/{file}.",
        ) from error
