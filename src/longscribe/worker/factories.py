"""Adapters are named to a child as `package.module:attribute`, and found here."""

from __future__ import annotations

import importlib

from longscribe.errors import RecognizerError


def find_factory(name: str) -> object:
    """Return what stands at `package.module:attribute`.

    Raises:
        RecognizerError: there is nothing, or a library that it needs is missing.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecognizerError(
            f"{name!r} can't be loaded: {error}.", "Install the package that provides it."
        ) from error
