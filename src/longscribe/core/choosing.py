"""Which recognizer `auto` is: a table by device, and what of it is installed.

The choice depends on nothing that changes from run to run, such as which models were
fetched, and a job keeps the recognizer that it was begun with: results of another one
would not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longscribe.errors import RecognizerError

AUTO = "auto"
"""As `--recognizer`, and as `--device`."""

PREFERENCES: dict[str, tuple[str, ...]] = {
    # Metal through MLX is quickest; CTranslate2 has no Metal.
    "mps": ("mlx", "transformers", "whisper.cpp"),
    "cuda": ("faster-whisper", "transformers", "whisperx", "whisper.cpp"),
    # whisper.cpp can't verify terms by their acoustics, torch is slower than CTranslate2;
    # WhisperX takes one prompt for all windows, and MLX on a CPU is for tests.
    "cpu": ("faster-whisper", "whisper.cpp", "transformers", "whisperx", "mlx", "pocketsphinx"),
}
"""Kind of device → recognizers that run on it, the best first."""

LAST_RESORT = "pocketsphinx"
"""It knows English only and makes many errors: it is taken where there is nothing else."""
LAST_RESORT_LANGUAGE = "en"

FIRST_INSTALL = {"mps": "mlx", "cuda": "faster-whisper", "cpu": "faster-whisper"}
"""Kind of the best device → the extra to install where there is no recognizer yet."""


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """A recognizer, as far as the choice needs to know it."""

    name: str
    installed: bool
    reads_model: bool
    """Knows the model that is asked for: its name, or its format."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the job asks for."""

    device: str
    """As `--device` says it."""
    language: str | None
    """None: it is to be detected."""
    translate: bool


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A recognizer, and why."""

    recognizer: str
    reason: str
    """A sentence."""


def choose_recognizer(
    asked: Asked, kinds: Sequence[str], engines: Sequence[EngineState], begun_with: str | None
) -> Choice:
    """Choose a recognizer.

    Args:
        asked: what the job asks for.
        kinds: of the devices there are, the best first.
        engines: the recognizers that are known.
        begun_with: the one that the job was begun with on the same device; None: a new job.

    Raises:
        RecognizerError: none is installed that can do it.
    """
    wanted = [asked.device.partition(":")[0]] if asked.device != AUTO else list(kinds)
    rows = {kind: PREFERENCES[kind] for kind in wanted if kind in PREFERENCES}
    here = [engine for engine in engines if engine.installed and _can(engine.name, asked)]
    # Where none reads the model, the first choice says what is wrong with it.
    fitting = [engine.name for engine in here if engine.reads_model] or [e.name for e in here]
    if begun_with in fitting:
        return Choice(
            recognizer=begun_with,
            reason=f"Recognizer {begun_with}, with which this job was begun.",
        )
    for kind, row in rows.items():
        for name in row:
            if name in fitting:
                installed = [engine.name for engine in engines if engine.installed]
                return Choice(recognizer=name, reason=_reason(name, kind, installed, fitting))
    raise _none(asked, kinds, [engine.name for engine in engines if engine.installed])


def _can(name: str, asked: Asked) -> bool:
    if name != LAST_RESORT:
        return True
    return asked.language in (None, LAST_RESORT_LANGUAGE) and not asked.translate


def _reason(name: str, kind: str, installed: Sequence[str], fitting: Sequence[str]) -> str:
    of = f"of those installed here ({', '.join(installed)})"
    if len(installed) == 1:
        why = "the only one installed here"
    elif len(fitting) < len(installed):
        others = ", ".join(other for other in installed if other not in fitting)
        why = f"the first choice for {kind} {of}; {others} can't do this job or read this model"
    else:
        why = f"the first choice for {kind} {of}"
    warning = (
        " It knows English only and makes many errors; to have Whisper, run: "
        f"pip install 'longscribe[{FIRST_INSTALL['cpu']}]'."
        if name == LAST_RESORT
        else ""
    )
    return f"Recognizer {name}, {why}.{warning}"


def _none(asked: Asked, kinds: Sequence[str], installed: Sequence[str]) -> RecognizerError:
    kind = next((kind for kind in kinds if kind in FIRST_INSTALL), "cpu")
    kind = kind if asked.device == AUTO else asked.device.partition(":")[0]
    command = f"Run: pip install 'longscribe[{FIRST_INSTALL[kind]}]'."
    if not installed:
        return RecognizerError("No recognizer is installed.", command)
    return RecognizerError(
        f"No recognizer is installed that can do this on {kind} "
        f"(there is only {', '.join(installed)}).",
        command if kind == "cpu" else f"{command[:-1]}; or use --device cpu.",
    )
