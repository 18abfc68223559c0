"""The recognizers as one finds them on a machine: their packages, their models.

Nothing is imported to find out: an engine's libraries take seconds to load, and may crash.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from longscribe.adapters.environments import registry
from longscribe.adapters.recognizers.ct2_models import CT2_SHELF
from longscribe.adapters.recognizers.ggml_models import GGML_SHELF
from longscribe.adapters.recognizers.mlx_models import MLX_SHELF
from longscribe.adapters.recognizers.models import ModelShelf
from longscribe.adapters.recognizers.pocketsphinx_models import SPHINX_SHELF
from longscribe.adapters.recognizers.transformers_models import TRANSFORMERS_SHELF
from longscribe.errors import LongscribeError


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """A recognizer that Longscribe knows."""

    name: str
    modules: tuple[str, ...]
    """What must be there to be imported."""
    packages: tuple[str, ...]
    """Whose versions are worth knowing."""
    install: str
    """The command that brings it."""
    shelf: ModelShelf

    @property
    def installed(self) -> bool:
        """Whether it is here: in an environment of its own, or beside this program."""
        return self.own_python is not None or not self.missing

    @property
    def own_python(self) -> str | None:
        """The Python of its own that it runs under; None if that is ours, or gone."""
        try:
            found = registry.python_for(self.name)
        except LongscribeError:
            return None
        return None if found is None else str(found.path)

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the modules that this program can't import."""
        return tuple(name for name in self.modules if not _is_there(name))

    def reads(self, model: str) -> bool:
        """Tell whether it knows a model by its name, or a local one by its format."""
        try:
            self.shelf.look(model)
        except LongscribeError:
            return False
        return True


def _is_there(module: str) -> bool:
    """Tell whether a module can be found; a mere folder of its name is none."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


def _extra(name: str) -> str:
    return f"pip install 'longscribe[{name}]'"


CATALOG: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        EngineKind(
            name="faster-whisper",
            modules=("faster_whisper", "ctranslate2"),
            packages=("faster-whisper", "ctranslate2"),
            install=_extra("faster-whisper"),
            shelf=CT2_SHELF,
        ),
        EngineKind(
            name="mlx",
            modules=("mlx_whisper",),
            packages=("mlx-whisper", "mlx"),
            install=_extra("mlx"),
            shelf=MLX_SHELF,
        ),
        EngineKind(
            name="pocketsphinx",
            modules=("pocketsphinx",),
            packages=("pocketsphinx",),
            install=_extra("pocketsphinx"),
            shelf=SPHINX_SHELF,
        ),
        EngineKind(
            name="transformers",
            modules=("transformers", "torch"),
            packages=("transformers", "torch"),
            install=_extra("transformers"),
            shelf=TRANSFORMERS_SHELF,
        ),
        EngineKind(
            name="whisper.cpp",
            modules=("_pywhispercpp",),
            packages=("pywhispercpp",),
            install=_extra("whisper-cpp"),
            shelf=GGML_SHELF,
        ),
        EngineKind(
            name="whisperx",
            modules=("whisperx",),
            packages=("whisperx", "faster-whisper", "ctranslate2", "torch"),
            install="longscribe install whisperx",
            shelf=CT2_SHELF,
        ),
    )
}
"""Name as in `--recognizer` → what it is. Has an entry for each of `wiring.RECOGNIZERS`."""
