"""The short form of the fuzz of media files: thirty of the five hundred.

`python -m tests.faults.fuzz_media` (or `make fuzz`) reads all of them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

from tests.faults.fuzz_media import MUTATIONS, mutate

ROOT = Path(__file__).parents[2]


def test_thirty_mutated_files() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.fuzz_media", "--files", "30"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = {kind: int(count) for kind, count in re.findall(r"'([a-z ]+)': (\d+)", done.stdout)}
    assert counted["read"] + counted["refused"] == 30
    assert counted["read"] >= 15
    assert counted["whole runs"] == 3


def test_a_seed_gives_the_same_file() -> None:
    original, others = bytes(range(256)) * 40, [b"another" * 500]
    made = [mutate(original, others, random.Random(f"1-{n}")) for n in range(40)]
    assert made == [mutate(original, others, random.Random(f"1-{n}")) for n in range(40)]
    assert sum(content != original for content, _ in made) > 35
    assert len({how for _, how in made}) > len(MUTATIONS)
