"""What all tests share: where the models are, and how tests that need one are left out without it.

`@pytest.mark.needs_model` asks for the demo model, `@pytest.mark.needs_real_model` for real
Whisper (base; `needs_real_model("tiny.en")` for another). The fixtures below ask for what they
return by themselves.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import real_speech

MODEL = Path(__file__).parent.parent / "demo" / "model"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a model where it can't be run, and say why."""
    reason = _why_no_model()
    for item in items:
        if reason and item.get_closest_marker("needs_model"):
            item.add_marker(pytest.mark.skip(reason=reason))
        for marker in item.iter_markers("needs_real_model"):
            for name in marker.args or (real_speech.BASE,):
                if lacking := real_speech.why_no_model(name):
                    item.add_marker(pytest.mark.skip(reason=lacking))


def _why_no_model() -> str | None:
    if not (MODEL / "model.bin").is_file():
        return f"{MODEL} has no model.bin"
    if importlib.util.find_spec("faster_whisper") is None:
        return "faster-whisper is not installed"
    return None


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The developer's own LONGSCRIBE_… variables must not decide how tests end.

    Nor is anything written to the developer's home.
    """
    for name in list(os.environ):
        if name.startswith(("LONGSCRIBE_", "ASR_USE_")):
            del os.environ[name]
    os.environ["LONGSCRIBE_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def real_base() -> Path:
    """Whisper base, multilingual, in CTranslate2's format."""
    return _real_model(real_speech.BASE)


@pytest.fixture(scope="session")
def real_tiny_en() -> Path:
    """Whisper tiny.en, English only, in CTranslate2's format."""
    return _real_model(real_speech.TINY_EN)


def _real_model(name: str) -> Path:
    if reason := real_speech.why_no_model(name):
        pytest.skip(reason)
    return real_speech.model(name)


@pytest.fixture(scope="session")
def human_speech() -> Callable[[str], Path]:
    """Return a function from a name in shared/speech to its path; it skips where there is none."""

    def find(name: str) -> Path:
        if reason := real_speech.why_no_speech(name):
            pytest.skip(reason)
        return real_speech.SPEECH / name

    return find


@pytest.fixture(scope="session")
def sentences() -> list[real_speech.Spoken]:
    """Short recordings of people with their words, wherever they come from; at least one."""
    if reason := real_speech.why_no_sentences():
        pytest.skip(reason)
    return real_speech.sentences()
