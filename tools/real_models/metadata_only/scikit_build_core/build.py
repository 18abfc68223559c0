"""A build backend that builds nothing: it says what a source distribution says of itself.

`pip download` asks the build backend of a source distribution for its metadata, and for that
would first install what builds it. Found in place of the backend, this answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def prepare_metadata_for_build_wheel(
    metadata_directory: str, config_settings: dict[str, Any] | None = None
) -> str:
    """Write the metadata of the source distribution in the current folder; return its folder."""
    del config_settings
    text = Path("PKG-INFO").read_text(encoding="utf-8")
    fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    folder = f"{fields['Name']}-{fields['Version']}.dist-info"
    (Path(metadata_directory) / folder).mkdir()
    (Path(metadata_directory) / folder / "METADATA").write_text(text, encoding="utf-8")
    return folder
