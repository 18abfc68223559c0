"""The cache of the Hugging Face hub, read without its client.

    models--OWNER--NAME/refs/main               the commit that `main` was when it was fetched
    models--OWNER--NAME/snapshots/COMMIT/FILE   links to files in blobs/
    models--OWNER--NAME/blobs/….incomplete      a download that broke off

So a model that is here is found at once, also where the client is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from longscribe.paths import expanded

_MODELS = "models--"


def hub_cache() -> Path:
    """Return the cache's folder, which may not exist: as the client finds it."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return expanded(os.environ[variable])
    home = os.environ.get("HF_HOME")
    if not home:
        home = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")  # noqa: PTH118
    return expanded(home) / "hub"


def snapshot(repository: str) -> Path | None:
    """Return the folder with what was fetched of `repository`; maybe not all of it."""
    base = hub_cache() / (_MODELS + repository.replace("/", "--"))
    try:
        commit = (base / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = base / "snapshots" / commit
    return folder if folder.is_dir() else None


def repositories() -> Iterator[str]:
    """Yield the repositories of which something was fetched, in order of their names."""
    for folder in sorted(hub_cache().glob(f"{_MODELS}*--*")):
        yield folder.name.removeprefix(_MODELS).replace("--", "/", 1)


def size(path: Path) -> int:
    """Return the bytes of a file, or of the files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
