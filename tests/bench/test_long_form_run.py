"""The benchmark on human recordings, run as a whole on one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jiwer")
pytest.importorskip("whisper_normalizer", reason="whisper-normalizer is not installed")

from bench._common import ROOT
from bench.long_form_parts.rows import BATCHED, OURS, SEQUENTIAL


@pytest.mark.needs_real_model("tiny.en")
def test_the_benchmark_runs_on_a_sentence(real_tiny_en: Path, sentences, tmp_path: Path) -> None:
    spoken = sentences[0]
    speech = tmp_path / "speech"
    speech.mkdir()
    shutil.copy(spoken.media, speech)
    (speech / spoken.media.name).with_suffix(".txt").write_text(spoken.text, encoding="utf-8")

    def bench() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "bench/long_form.py", "--speech", speech, "--non-speech", "0"]
        command += ["--model", real_tiny_en, "--rows", OURS, BATCHED, SEQUENTIAL, "openai"]
        command += ["--work", tmp_path / "work", "--json", tmp_path / "found.json"]
        return subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    done = bench()
    missed = "**missed**" in done.stdout
    assert done.returncode == missed, done.stdout + done.stderr
    assert "WER" in done.stdout
    assert "- left out: openai/whisper: " in done.stdout
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert not found["failures"]
    assert [row["row"] for row in found["rows"]] == [OURS, SEQUENTIAL, BATCHED]
    for row in found["rows"]:
        (one,) = row["recordings"]
        assert one["wer"] <= 10
        assert one["cpu_seconds"] > 0
        assert one["peak_bytes"] > 50 << 20
    again = bench()
    assert again.stderr == ""  # nothing was run
    assert again.stdout == done.stdout
