"""Finding the model with which WhisperX aligns words: wav2vec 2.0, trained to write letters.

Runs in the supervisor, so it loads nothing. A model named by the hub is loaded, and
fetched, in the worker: which one that is may depend on the language.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.recognizers.hub_models import broken_weights
from longscribe.adapters.recognizers.models import digest_files, local_path
from longscribe.errors import ModelError

AUTO = "auto"
"""WhisperX's own choice for the language, where that can be had."""
NONE = "none"
"""No alignment model: word times come from Whisper's attention."""
REQUIRED = ("config.json", "preprocessor_config.json", "vocab.json")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_FOLDER = "a folder of a wav2vec 2.0 model as transformers saves it"


@dataclass(frozen=True, kw_only=True)
class FoundAligner:
    """An alignment model, as far as it is known before the language is."""

    identity: str
    """Digest of its files, or its name."""


def find_aligner(name: str) -> FoundAligner:
    """Return the alignment model called `name`: a folder, or a name that WhisperX knows.

    Raises:
        ModelError: the folder is not there, or lacks a file.
    """
    path = local_aligner(name)
    if path is None:
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise ModelError(f"--align-model {name} is not there; expected {_FOLDER}.")
        return FoundAligner(identity=name)
    if not path.is_dir():
        raise ModelError(f"--align-model {name} is a file; expected {_FOLDER}.")
    _check_complete(path)
    return FoundAligner(identity=digest_files(path.iterdir()))


def local_aligner(name: str) -> Path | None:
    """Return the absolute path of what is here under that name; None: it is a name only."""
    if name in (AUTO, NONE):
        return None
    path = local_path(name, "--align-model")
    return path.absolute() if path.exists() else None


def _check_complete(path: Path) -> None:
    missing = [name for name in REQUIRED if not (path / name).is_file()]
    weights = [path / name for name in WEIGHTS if (path / name).is_file()]
    if not weights:
        missing.append(WEIGHTS[0])
    elif weights[0].suffix == ".safetensors" and (told := broken_weights(weights[0])):
        missing.append(f"{weights[0].name} ({told})")
    if missing:
        raise ModelError(
            f"The alignment model in {path} lacks {', '.join(missing)}.",
            f"Expected {_FOLDER}; fetch it again.",
        )
