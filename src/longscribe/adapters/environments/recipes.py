"""What an environment for a recognizer must hold: its extra, and what every worker needs."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, requires

from longscribe.errors import InstallError
from longscribe.worker.elsewhere import NEEDS

EXTRAS = {
    "faster-whisper": "faster-whisper",
    "mlx": "mlx",
    "pocketsphinx": "pocketsphinx",
    "transformers": "transformers",
    "whisper.cpp": "whisper-cpp",
    "whisperx": "whisperx",
}
"""Recognizer → the extra of this package that brings its engine."""

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_EXTRA = re.compile(r"""\s*(?:and\s+)?extra\s*==\s*['"]([^'"]+)['"]""")


def engine_requirements(recognizer: str) -> tuple[str, ...]:
    """Return what pip must install for a recognizer's engine.

    Raises:
        InstallError: there is no recipe for it, or this package does not know its own
            requirements.
    """
    if recognizer not in EXTRAS:
        raise InstallError(
            f"There is no environment to be made for {recognizer!r}.",
            f"Known: {', '.join(EXTRAS)}. For a recognizer from elsewhere make one yourself "
            "and name its Python in the settings file.",
        )
    found = tuple(
        _without_extra(requirement)
        for requirement in _own_requirements()
        if _extra_of(requirement) == EXTRAS[recognizer]
    )
    if not found:
        raise InstallError(
            f"Longscribe's metadata here know no extra {EXTRAS[recognizer]!r}: they are stale.",
            "Install Longscribe again.",
        )
    return found


def worker_requirements() -> tuple[str, ...]:
    """Return what pip must install for any worker, with our own bounds on versions.

    Raises:
        InstallError: as above.
    """
    return tuple(
        requirement
        for requirement in _own_requirements()
        if _extra_of(requirement) is None and name_of(requirement) in NEEDS
    )


def name_of(requirement: str) -> str:
    """Return the normalized name of the package in a requirement, a wheel's path or a URL.

    >>> name_of("Torch_Audio>=2; python_version < '4'"), name_of("./torch_audio-2-py3-none-any.whl")
    ('torch-audio', 'torch-audio')

    Raises:
        InstallError: there is no name in it.
    """
    bare = requirement.partition(";")[0].strip()
    if bare.endswith(".whl"):
        bare = bare.rpartition("/")[2].partition("-")[0]
    found = _NAME.match(bare)
    if found is None:
        raise InstallError(
            f"{requirement!r} is no requirement.", "Expected one as for pip, such as torch==2.8.0."
        )
    return re.sub(r"[-_.]+", "-", found[1]).lower()


def without_extras(requirements: list[str]) -> list[str]:
    """Return requirements less those that only an extra brings."""
    return [one for one in requirements if _extra_of(one) is None]


def _own_requirements() -> list[str]:
    try:
        return requires("longscribe") or []
    except PackageNotFoundError:
        raise InstallError(
            "Longscribe runs from its source here, so what its recognizers need is not known.",
            "Install it as a package: pip install --editable . in its folder.",
        ) from None


def _extra_of(requirement: str) -> str | None:
    found = _EXTRA.search(requirement.partition(";")[2])
    return found[1] if found else None


def _without_extra(requirement: str) -> str:
    what, _, marker = requirement.partition(";")
    rest = _EXTRA.sub("", marker).strip().removesuffix("and").strip()
    rest = rest[1:-1] if re.fullmatch(r"\([^()]*\)", rest) else rest
    return f"{what.strip()}; {rest}" if rest else what.strip()
