"""Finding a Whisper model in the format of transformers: OpenAI's own and fine-tunes."""

from __future__ import annotations

import json
from pathlib import Path

from longscribe.adapters.recognizers.hub_models import HubShelf, ModelFormat, broken_weights
from longscribe.adapters.recognizers.models import FoundModel

REQUIRED = ("config.json", "tokenizer.json")
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
"""Names the parts of weights that are split."""

REPOSITORIES = {
    **{
        size: f"openai/whisper-{size}"
        for size in (
            *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
            *("large-v2", "large-v3"),
        )
    },
    "large-v1": "openai/whisper-large",
    "large": "openai/whisper-large-v3",
    "large-v3-turbo": "openai/whisper-large-v3-turbo",
    "turbo": "openai/whisper-large-v3-turbo",
    **{
        f"distil-{size}": f"distil-whisper/distil-{size}"
        for size in ("large-v2", "medium.en", "small.en", "large-v3", "large-v3.5")
    },
}
"""faster-whisper's names."""


def _lacks(path: Path) -> list[str]:
    found = [name for name in REQUIRED if not (path / name).is_file()]
    parts = [WEIGHTS] if (path / WEIGHTS).exists() or not (path / INDEX).exists() else _parts(path)
    if not parts:
        found.append(f"{INDEX} (damaged)")
    for name in parts:
        fault = broken_weights(path / name)
        if fault is not None:
            found.append(name if fault == "missing" else f"{name} ({fault})")
    return found


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the files that hold the weights of a whole model."""
    names = [WEIGHTS] if (path / WEIGHTS).is_file() else _parts(path)
    return tuple(path / name for name in names)


def _parts(path: Path) -> list[str]:
    """Return the files that the index names; none if it can't be read."""
    try:
        index = json.loads((path / INDEX).read_text(encoding="utf-8"))
        return sorted(set(index["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


TRANSFORMERS_SHELF = HubShelf(
    ModelFormat(
        folder=f"a directory as on the Hugging Face hub, with {', '.join(REQUIRED)} and {WEIGHTS}",
        repositories=REPOSITORIES,
        patterns=(*REQUIRED, "generation_config.json", WEIGHTS, INDEX, "model-*.safetensors"),
        lacks=_lacks,
    )
)


def find_transformers_model(name: str) -> FoundModel:
    """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

    Raises:
        UsageError: no such model is known.
        ModelError: the directory lacks a file, or the model is not on this machine
            and can't be fetched.
    """
    return TRANSFORMERS_SHELF.find(name)
