"""The rows of the table: which tool, called how. Same weights, beam and language for all."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench._common import ROOT
from bench.long_form_parts.peers import BEAM
from bench.long_form_parts.recordings import Recording, unsaid_terms

LANGUAGE = "en"
TERMS = 20
"""Words in a glossary of which nobody says any."""
OURS, OURS_PROMPT, OURS_VERIFY, BEFORE = (
    "longscribe",
    "longscribe-prompt",
    "longscribe-verify",
    "longscribe-before",
)
SEQUENTIAL, SEQUENTIAL_VAD, BATCHED, BATCHED_TIMESTAMPS = (
    "sequential",
    "sequential-vad",
    "batched",
    "batched-timestamps",
)
OPENAI, WHISPER_CPP = "openai", "whisper-cpp"


@dataclass(frozen=True, kw_only=True)
class Given:
    """What decides how the tools are called."""

    model: Path
    compute_type: str
    device: str
    openai_model: str | None = None
    """Weights for openai/whisper: a file, or a name that it knows."""
    ggml_model: Path | None = None
    """Weights for whisper.cpp."""
    before: Path | None = None
    """A checkout of Longscribe that this one is compared with."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A line of the table."""

    key: str
    label: str
    bias: str = ""
    """Longscribe's mode with a glossary; empty without one."""
    unavailable: str = ""
    """Why it is left out; empty if it is not."""

    @property
    def ours(self) -> bool:
        """Whether Longscribe's command is run, of this checkout or another."""
        return self.key.startswith(OURS)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A command for one recording, and where it writes."""

    command: tuple[str, ...]
    env: dict[str, str] | None
    out: Path
    """JSON with `segments`; Longscribe's has `coverage` too."""


def rows_of(given: Given) -> list[Row]:
    """Return all rows, those that can't be run with the reason."""
    unsaid = f"{TERMS} unsaid terms"
    found = [Row(key=OURS, label="Longscribe")]
    found += [
        Row(key=key, label=f"Longscribe, `--bias {bias}`, {unsaid}", bias=bias)
        for key, bias in ((OURS_VERIFY, "verify"), (OURS_PROMPT, "prompt"))
    ]
    if given.before is not None:
        found.append(Row(key=BEFORE, label=f"Longscribe before ({given.before.name})"))
    missing = "" if _installed("faster_whisper") else "faster-whisper is not installed"
    found += [
        Row(key=key, label=f"faster-whisper, {label}", unavailable=missing)
        for key, label in (
            (SEQUENTIAL, "sequential"),
            (SEQUENTIAL_VAD, "sequential, `vad_filter`"),
            (BATCHED, "batched, its defaults"),
            (BATCHED_TIMESTAMPS, "batched with timestamps"),
        )
    ]
    openai = _why_not("whisper", "openai-whisper", given.openai_model, "--openai-model")
    cpp = _why_not("pywhispercpp", "pywhispercpp", given.ggml_model, "--ggml-model")
    return [
        *found,
        Row(key=OPENAI, label="openai/whisper", unavailable=openai),
        Row(key=WHISPER_CPP, label="whisper.cpp", unavailable=cpp),
    ]


def _installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _why_not(module: str, package: str, weights: object, option: str) -> str:
    if not _installed(module):
        return f"{package} is not installed"
    return "" if weights else f"no weights for it: give {option}"


# --- commands ----------------------------------------------------------------


def call(row: Row, recording: Recording, given: Given, folder: Path) -> Call:
    """Return how a row transcribes a recording; `folder` is fresh, all goes there."""
    if row.ours:
        return _longscribe(row, recording, given, folder)
    out = folder / "peer.json"
    weights = {OPENAI: given.openai_model, WHISPER_CPP: given.ggml_model}.get(row.key, given.model)
    command = [sys.executable, "-m", "bench.long_form_parts.peers", row.key, str(recording.media)]
    command += [str(out), "--model", str(weights), *_options(given)]
    return Call(command=tuple(command), env=None, out=out)


def _longscribe(row: Row, recording: Recording, given: Given, folder: Path) -> Call:
    command = [sys.executable, "-m", "longscribe", "transcribe", str(recording.media)]
    command += ["--model", str(given.model), "--recognizer", "faster-whisper", *_options(given)]
    command += ["--beam-size", str(BEAM), "-f", "json", "--output-dir", str(folder)]
    if row.bias:
        glossary = folder / "unsaid.txt"
        glossary.write_text("\n".join(unsaid_terms(recording, TERMS)) + "\n", encoding="utf-8")
        command += ["--bias", row.bias, "--glossary", str(glossary)]
    env = dict(os.environ)
    # Not what is installed: another checkout may be asked for, and settings from outside are not.
    env = {name: value for name, value in env.items() if not name.startswith("LONGSCRIBE_")}
    env["PYTHONPATH"] = str(_source(row, given))
    return Call(command=tuple(command), env=env, out=folder / f"{recording.media.stem}.json")


def _options(given: Given) -> list[str]:
    device = ["--device", given.device, "--compute-type", given.compute_type]
    return [*device, "--language", LANGUAGE]


def _source(row: Row, given: Given) -> Path:
    root = given.before if row.key == BEFORE and given.before is not None else ROOT
    return root / "src"


# --- what a result depends on ------------------------------------------------


def digest(row: Row, recording: Recording, given: Given) -> str:
    """Return what must be the same for a kept result to stand: audio, weights, options, code."""
    parts = [row.key, row.bias, given.compute_type, given.device, str(BEAM), LANGUAGE]
    parts += [_digest_of_file(recording.media)]
    if row.bias:
        parts += unsaid_terms(recording, TERMS)
    if row.ours:
        parts += [_digest_of_code(_source(row, given))]
    packages = {OPENAI: ("openai-whisper",), WHISPER_CPP: ("pywhispercpp",)}
    parts += [_version(name) for name in packages.get(row.key, ("faster-whisper", "ctranslate2"))]
    weights = {OPENAI: given.openai_model, WHISPER_CPP: given.ggml_model}
    path = Path(weights.get(row.key) or given.model)
    file = path / "model.bin" if path.is_dir() else path
    parts.append(_digest_of_file(file) if file.is_file() else str(path))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _digest_of_file(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@functools.cache
def _digest_of_code(source: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        found.update(str(path.relative_to(source)).encode() + path.read_bytes())
    return found.hexdigest()


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""


def versions(rows: Sequence[Row]) -> str:
    """Return the versions of the packages that the rows stand for."""
    packages = ["faster-whisper", "ctranslate2"]
    packages += [] if _row_missing(rows, OPENAI) else ["openai-whisper"]
    packages += [] if _row_missing(rows, WHISPER_CPP) else ["pywhispercpp"]
    return ", ".join(filter(None, map(_version, packages)))


def _row_missing(rows: Sequence[Row], key: str) -> bool:
    return all(row.key != key for row in rows)
