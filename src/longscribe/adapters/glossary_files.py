"""Glossary files: reading them from disk. What is in them is `core/bias/glossary.py`'s affair."""

from __future__ import annotations

from pathlib import Path

from longscribe.core.bias.glossary import LARGEST_FILE, parse_glossary
from longscribe.errors import GlossaryError
from longscribe.types import Glossary


def load_glossary(path: Path | None, *, may_be_empty: bool = False) -> Glossary:
    """Read a glossary file; an empty glossary if `path` is None.

    Raises:
        GlossaryError: it can't be read, something in it is wrong, or it holds nothing
            and `may_be_empty` doesn't allow that.
    """
    if path is None:
        return Glossary()
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)  # of a film given by mistake, no more
    except OSError as error:
        raise GlossaryError(
            f"The glossary {path} can't be read ({error.strerror}).", "Check --glossary."
        ) from error
    return parse_glossary(data, path.name, may_be_empty=may_be_empty)
