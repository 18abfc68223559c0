"""Where Longscribe keeps what is its own and belongs to no job.

`LONGSCRIBE_HOME` puts all of it into one folder. Without it the settings file lies
where the system's programs keep theirs, the environments and this machine's own key
where their data are, and the digests of files that were read before with the caches:

- Linux: `longscribe/` in `$XDG_CONFIG_HOME` (or `~/.config`), in `$XDG_DATA_HOME` (or
  `~/.local/share`), and in `$XDG_CACHE_HOME` (or `~/.cache`);
- macOS: `~/Library/Application Support/longscribe/` for all.

A settings file in the current folder is not read on purpose: it names programs to be
run, and recordings often lie in folders that came from elsewhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from longscribe.paths import absolute, expanded, home

HOME = "LONGSCRIBE_HOME"
CONFIG = "LONGSCRIBE_CONFIG"
SETTINGS_FILE = "longscribe.toml"


def settings_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the settings file is, if there is one."""
    named = environ.get(CONFIG)
    if named:
        return expanded(named)
    return _folder(environ, "XDG_CONFIG_HOME", ".config") / SETTINGS_FILE


def environments(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds what `longscribe install` makes."""
    return _folder(environ, "XDG_DATA_HOME", ".local/share") / "environments"


def own_key(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the key is by which runs begun here are known (`adapters/marks.py`).

    Raises:
        RuntimeError: there is no home.
    """
    return _folder(environ, "XDG_DATA_HOME", ".local/share") / "own-key"


def known_contents(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that holds digests of large files; it may be removed at any time.

    Raises:
        RuntimeError: there is no home.
    """
    return _folder(environ, "XDG_CACHE_HOME", ".cache") / "contents"


def _folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    own = environ.get(HOME)
    if own:
        return absolute(expanded(own))
    if sys.platform == "darwin":
        return home() / "Library" / "Application Support" / "longscribe"
    # Its rules ask for a relative path in the variable to be ignored (XDG base directories).
    base = Path(environ.get(variable, ""))
    return (base if base.is_absolute() else home() / default) / "longscribe"
