"""Longscribe transcribes hours of speech and cannot lose the work.

Exports only, and lazily: child processes live in this package too, and they
must not load what only the supervisor needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from longscribe.version import __version__

if TYPE_CHECKING:
    from longscribe.adapters.glossary_files import load_glossary
    from longscribe.api import bias_report, events, resume, transcribe
    from longscribe.config import Options
    from longscribe.errors import LongscribeError
    from longscribe.types import Gap, Glossary, Segment, Span, Term, Transcript, Word

_HOMES = {
    "bias_report": "api",
    "events": "api",
    "load_glossary": "adapters.glossary_files",
    "resume": "api",
    "transcribe": "api",
    "Options": "config",
    "LongscribeError": "errors",
    "Gap": "types",
    "Glossary": "types",
    "Segment": "types",
    "Span": "types",
    "Term": "types",
    "Transcript": "types",
    "Word": "types",
}

__all__ = [
    "Gap",
    "Glossary",
    "LongscribeError",
    "Options",
    "Segment",
    "Span",
    "Term",
    "Transcript",
    "Word",
    "__version__",
    "bias_report",
    "events",
    "load_glossary",
    "resume",
    "transcribe",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'longscribe' has no attribute {name!r}")
    return getattr(import_module(f"longscribe.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
