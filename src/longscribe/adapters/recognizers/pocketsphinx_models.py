"""Finding PocketSphinx's model: the English one that comes with it, or a directory.

Runs in the supervisor, so it looks for the package's files and does not import it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from longscribe.adapters.recognizers.models import (
    FoundModel,
    ModelState,
    Whereabouts,
    file_identity,
    local_path,
)
from longscribe.config import Options
from longscribe.errors import ModelError, RecognizerError, UsageError

BUNDLED = "en-us"
_OWN_NAMES = {BUNDLED, Options.model_fields["model"].default}
"""Names of the bundled model. The default of `--model`, a Whisper, is one: whoever named none."""
ACOUSTIC = ("mdef", "means", "variances", "transition_matrices")
"""Files of an acoustic model that each has."""
_BEGINNINGS = {"mdef": (b"BMDF", b"FDMB", b"0.3"), **dict.fromkeys(ACOUSTIC[1:], (b"s3\n",))}
"""PocketSphinx ends the whole process over a file that it can't read, so we look first."""
_DICTIONARIES = ("*.dict", "*.dic")
_LANGUAGE_MODELS = ("*.lm.bin", "*.lm", "*.lm.gz", "*.lm.dmp", "*.lm.DMP")


@dataclass(frozen=True, kw_only=True)
class SphinxModel:
    """The three parts of a model."""

    acoustic: Path
    """A directory."""
    dictionary: Path
    language: Path
    """N-grams of words."""

    @property
    def files(self) -> tuple[Path, ...]:
        acoustic = (file for file in self.acoustic.iterdir() if file.is_file())
        return (*sorted(acoustic), self.dictionary, self.language)


class SphinxShelf:
    """Fulfils `ModelShelf` for the model that comes with PocketSphinx, and for directories."""

    names: Mapping[str, str] = {BUNDLED: "in the package pocketsphinx"}

    def look(self, name: str) -> Whereabouts:
        path = local_path(name)
        if path.exists():
            model_in(path)
            return Whereabouts(name=name, origin=str(path), state=ModelState.WHOLE, path=path)
        if name in _OWN_NAMES:
            return self.look_up(name)
        if name.startswith((".", "/", "~")) or "/" in name:
            raise ModelError(
                f"There is no model directory {name}.",
                f"Give one with an acoustic model ({', '.join(ACOUSTIC)}), or leave out --model.",
            )
        raise UsageError(
            f"The recognizer 'pocketsphinx' has no model {name!r}.",
            f"Leave out --model to use its own, {BUNDLED}; or give a directory.",
        )

    def look_up(self, name: str) -> Whereabouts:
        bundled = _bundled()
        state = ModelState.ABSENT if bundled is None else ModelState.WHOLE
        return Whereabouts(name=name, origin=self.names[BUNDLED], state=state, path=bundled)

    def cached(self) -> tuple[Whereabouts, ...]:
        """Return nothing: the hub has none."""
        return ()

    def fetch(self, name: str, folder: Path | None) -> Path:
        """Return the model that is here: there is none to fetch.

        Raises:
            RecognizerError: pocketsphinx is not installed.
            UsageError: another folder is wanted, or another model.
        """
        if folder is not None:
            raise UsageError(
                "The model of 'pocketsphinx' comes inside its package; there is nothing to fetch.",
                "On the other machine run: pip install 'longscribe[pocketsphinx]'.",
            )
        return self.look(name).path or _installed()


SPHINX_SHELF = SphinxShelf()


def find_sphinx_model(name: str) -> FoundModel:
    """Return the model called `name`: the bundled one, or a directory.

    Raises:
        RecognizerError: pocketsphinx is not installed.
        UsageError: `name` is that of another recognizer's model.
        ModelError: the directory holds no whole model.
    """
    path = SPHINX_SHELF.look(name).path or _installed()
    return FoundModel(path=path, identity=_identity(model_in(path)))


def _identity(model: SphinxModel) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for file in model.files:
        digest.update(f"{file.name}:{file_identity(file)};".encode())
    return digest.hexdigest()


def model_in(path: Path) -> SphinxModel:
    """Return the parts of the model in a directory.

    It is laid out as the bundled one: a directory with the acoustic model, a dictionary and a
    language model. An acoustic model by itself, such as one adapted to a speaker, goes with the
    bundled dictionary and language model.

    Raises:
        RecognizerError: the bundled parts are needed, and pocketsphinx is not installed.
        ModelError: a part is missing, or there are several of one.
    """
    if not path.is_dir():
        raise ModelError(f"--model {path} is a file; expected a directory.", "Give a directory.")
    if _is_acoustic(path):
        _check_acoustic(path)
        rest = model_in(_installed())
        return SphinxModel(acoustic=path, dictionary=rest.dictionary, language=rest.language)
    acoustic = [part for part in sorted(path.iterdir()) if part.is_dir() and _is_acoustic(part)]
    phones = {file for file in path.iterdir() if "phone" in file.name}  # n-grams of phones
    _check_acoustic(_only(acoustic, path, f"directory with {', '.join(ACOUSTIC)}"))
    return SphinxModel(
        acoustic=acoustic[0],
        dictionary=_only(_matching(path, _DICTIONARIES), path, "dictionary (*.dict)"),
        language=_only(
            [file for file in _matching(path, _LANGUAGE_MODELS) if file not in phones],
            path,
            "language model (*.lm.bin, *.lm)",
        ),
    )


def _is_acoustic(path: Path) -> bool:
    return all((path / name).is_file() for name in ACOUSTIC)


def _check_acoustic(path: Path) -> None:
    for name, beginnings in _BEGINNINGS.items():
        with (path / name).open("rb") as file:
            if not file.read(4).startswith(beginnings):
                raise ModelError(
                    f"{path / name} is no part of an acoustic model for PocketSphinx.",
                    "Fetch the model again.",
                )


def _matching(path: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({file for pattern in patterns for file in path.glob(pattern)})


def _only(found: list[Path], path: Path, what: str) -> Path:
    if len(found) == 1:
        return found[0]
    several = f"several: {', '.join(part.name for part in found)}" if found else "none"
    raise ModelError(
        f"The model directory {path} should hold one {what}, it holds {several}.",
        "Lay it out as PocketSphinx's own model: a directory with the acoustic model, "
        "a dictionary, a language model.",
    )


def _bundled() -> Path | None:
    """Return the directory of the model inside the package, if that is installed."""
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "model" / BUNDLED


def _installed() -> Path:
    """Return the directory of the bundled model.

    Raises:
        RecognizerError: pocketsphinx is not installed.
    """
    bundled = _bundled()
    if bundled is None:
        raise RecognizerError(
            "The recognizer 'pocketsphinx' needs pocketsphinx, which is not installed.",
            "Run: pip install 'longscribe[pocketsphinx]'.",
        )
    return bundled
