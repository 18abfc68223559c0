"""Finding a CTranslate2 Whisper model: a local directory, the hub's cache, or the hub."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path

from longscribe.errors import ModelError, UsageError
from longscribe.fingerprint import fingerprint_file

REQUIRED = ("config.json", "model.bin", "tokenizer.json")
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
REPOSITORIES = {
    **{
        size: f"Systran/faster-whisper-{size}"
        for size in (
            *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
            *("large-v1", "large-v2", "large-v3"),
        )
    },
    "large": "Systran/faster-whisper-large-v3",
    **{
        f"distil-{size}": f"Systran/faster-distil-whisper-{size}"
        for size in ("large-v2", "medium.en", "small.en", "large-v3")
    },
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}
"""Model name → repository on the hub, as in faster-whisper (which the supervisor can't
import: it loads CTranslate2). A test holds the two tables together."""
PATTERNS = [*REQUIRED, "preprocessor_config.json", "vocabulary.*"]


@dataclass(frozen=True, kw_only=True)
class FoundModel:
    """A model on this machine."""

    path: Path
    identity: str
    """Digest of its files: the same weights are the same model wherever they lie."""


def find_ct2_model(name: str) -> FoundModel:
    """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

    Raises:
        UsageError: no such model is known.
        ModelError: the directory lacks a file, or the model is not on this machine
            and can't be fetched.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        _check_complete(path)
    elif path.exists():
        raise ModelError(
            f"--model {name} is a file; expected a directory.",
            f"Give the directory that holds {REQUIRED[1]}.",
        )
    elif name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ModelError(
            f"There is no model directory {name}.",
            f"A CTranslate2 model directory holds {', '.join(REQUIRED)}.",
        )
    else:
        path = _from_hub(name)
        _check_complete(path)
    return FoundModel(path=path, identity=_identity(path))


def _check_complete(path: Path) -> None:
    missing = [name for name in REQUIRED if not (path / name).is_file()]
    if not any((path / name).is_file() for name in VOCABULARIES):
        missing.append(VOCABULARIES[0])
    if missing:
        raise ModelError(
            f"The model directory {path} lacks {', '.join(missing)}.",
            "Fetch it again, or convert the model with ct2-transformers-converter "
            "--copy_files tokenizer.json preprocessor_config.json.",
        )


def _identity(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path.iterdir()):
        if file.is_file() and file.name in {*REQUIRED, *VOCABULARIES, "preprocessor_config.json"}:
            digest.update(f"{file.name}:{fingerprint_file(file)};".encode())
    return digest.hexdigest()


def _repository(name: str) -> str:
    """Return the hub's repository for a model name, as faster-whisper maps them."""
    if "/" in name:
        return name
    if name not in REPOSITORIES:
        close = difflib.get_close_matches(name, REPOSITORIES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"Unknown model {name!r}.{hint}",
            f"Known names: {', '.join(REPOSITORIES)}; "
            "or give a local directory or a hub repository.",
        )
    return REPOSITORIES[name]


def _from_hub(name: str) -> Path:
    """Return the model's folder in the hub's cache, fetching what is not there."""
    repository = _repository(name)
    try:
        from huggingface_hub import snapshot_download  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise ModelError(
            f"To fetch the model {name!r}, {error.name} is needed, which is not installed.",
            "Run: pip install 'longscribe[faster-whisper]'.",
        ) from error
    try:
        return Path(snapshot_download(repository, allow_patterns=PATTERNS, local_files_only=True))
    except OSError:  # not in the cache yet
        pass
    try:
        return Path(snapshot_download(repository, allow_patterns=PATTERNS))
    except Exception as error:
        # The hub's client raises its own errors, those of its HTTP library and OSErrors.
        raise ModelError(
            f"The model {name!r} is not on this machine, and the hub can't give it "
            f"({_first_line(error)}).",
            f"With a network, run: hf download {repository} --local-dir models/{_folder(name)} "
            f"there, copy that folder here and use --model models/{_folder(name)}. "
            "Offline you can use any local CTranslate2 Whisper directory, "
            "such as the project's own demo/model.",
        ) from error


def _folder(name: str) -> str:
    return name.rpartition("/")[2]


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")[:200]


def take_as_given(name: str) -> FoundModel:
    """Return the model of a recognizer that finds its models itself."""
    path = Path(name)
    identity = _identity(path) if path.is_dir() else name
    return FoundModel(path=path, identity=identity)
