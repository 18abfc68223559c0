"""What all tests share: where the demo model is, and how tests that need it are left out without it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

MODEL = Path(__file__).parent.parent / "demo" / "model"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the model where it can't be run, and say why."""
    reason = _why_no_model()
    if reason:
        for item in items:
            if item.get_closest_marker("needs_model"):
                item.add_marker(pytest.mark.skip(reason=reason))


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
