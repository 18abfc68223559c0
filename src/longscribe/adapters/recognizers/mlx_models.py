"""Finding a Whisper model in mlx-whisper's format."""

from __future__ import annotations

from pathlib import Path

from longscribe.adapters.recognizers.hub_models import HubShelf, ModelFormat, broken_weights
from longscribe.adapters.recognizers.models import FoundModel

CONFIG = "config.json"
WEIGHTS = ("weights.safetensors", "weights.npz")
"""Either will do; the first is what newer conversions have."""

REPOSITORIES = {
    **{
        size: f"mlx-community/whisper-{size}-mlx"
        for size in (
            *("tiny.en", "tiny", "base.en", "base", "small.en", "small", "medium.en", "medium"),
            *("large-v1", "large-v2", "large-v3"),
        )
    },
    "large": "mlx-community/whisper-large-v3-mlx",
    "large-v3-turbo": "mlx-community/whisper-large-v3-turbo",
    "turbo": "mlx-community/whisper-large-v3-turbo",
    "distil-medium.en": "mlx-community/distil-whisper-medium.en",
    "distil-large-v3": "mlx-community/distil-whisper-large-v3",
}
"""faster-whisper's names, as far as somebody has converted the model."""


def _lacks(path: Path) -> list[str]:
    found = [] if (path / CONFIG).is_file() else [CONFIG]
    there = [name for name in WEIGHTS if (path / name).exists()]
    if not there:
        found.append(WEIGHTS[0])
    elif (fault := broken_weights(path / there[0])) is not None:
        found.append(f"{there[0]} ({fault})")
    return found


MLX_SHELF = HubShelf(
    ModelFormat(
        folder=f"a directory in mlx-whisper's format, with {CONFIG} and {WEIGHTS[0]}",
        repositories=REPOSITORIES,
        patterns=(CONFIG, *WEIGHTS),
        lacks=_lacks,
    )
)


def find_mlx_model(name: str) -> FoundModel:
    """Return the model called `name`: a directory, or a name of the hub (fetched if needed).

    Raises:
        UsageError: no such model is known.
        ModelError: the directory lacks a file, or the model is not on this machine
            and can't be fetched.
    """
    return MLX_SHELF.find(name)
