"""The demo model in the formats that other recognizers read, made when a test needs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support import MODEL, ROOT, exclusively


def exported(kind: str, factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the demo model as `kind`, made once for all processes of a run."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out = shared / f"demo-model-{kind}"
    with exclusively(shared / f"demo-model-{kind}.lock"):
        if not out.is_dir():
            unfinished = out.with_suffix(".unfinished")
            command = [sys.executable, "-m", "tools.demo_model.export", kind, MODEL, unfinished]
            subprocess.run(command, cwd=ROOT, check=True)
            unfinished.rename(out)
    return out
