"""Which alignment model it is, before any is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from longscribe import wiring
from longscribe.adapters.recognizers.whisperx_models import REQUIRED, find_aligner, local_aligner
from longscribe.config import Options
from longscribe.errors import ModelError, UsageError


def folder_with(path: Path, weights: bytes = b"\0" * 64) -> Path:
    path.mkdir()
    for name in REQUIRED:
        (path / name).write_text("{}")
    (path / "pytorch_model.bin").write_bytes(weights)
    return path


def test_a_name_is_its_own_identity() -> None:
    for name in ("auto", "none", "WAV2VEC2_ASR_BASE_960H", "owner/wav2vec2"):
        assert find_aligner(name).identity == name


def test_a_folder_is_known_by_its_files(tmp_path: Path) -> None:
    one, same = (find_aligner(str(folder_with(tmp_path / name))) for name in ("a", "b"))
    other = find_aligner(str(folder_with(tmp_path / "c", b"\1" * 64)))
    assert one == same
    assert one != other


def test_a_folder_called_auto_is_not_meant_by_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder_with(tmp_path / "auto")
    assert local_aligner("auto") is None
    assert find_aligner("auto").identity == "auto"
    assert local_aligner("./auto") == tmp_path / "auto"


@pytest.mark.parametrize("name", ["/no/such", "./no", "~/no", "a/b/c"])
def test_a_path_must_be_there(name: str) -> None:
    with pytest.raises(ModelError, match="is not there; expected a folder"):
        find_aligner(name)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="is a file; expected a folder"):
        find_aligner(str(tmp_path / "file"))


def test_a_folder_must_be_whole(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "a")
    (folder / "vocab.json").unlink()
    with pytest.raises(ModelError, match=r"lacks vocab\.json\."):
        find_aligner(str(folder))
    (folder / "vocab.json").write_text("{}")
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.safetensors\."):
        find_aligner(str(folder))
    (folder / "model.safetensors").write_bytes(b"\xff" * 20)
    with pytest.raises(ModelError, match=r"lacks model\.safetensors \(damaged"):
        find_aligner(str(folder))


def test_only_whisperx_takes_one() -> None:
    assert wiring.aligner(Options(recognizer="whisperx", align_model="none")) is not None
    assert wiring.aligner(Options(recognizer="faster-whisper")) is None
    with pytest.raises(UsageError, match="Leave out --align-model"):
        wiring.aligner(Options(recognizer="faster-whisper", align_model="none"))


def test_a_path_that_cannot_be_is_one_clear_line() -> None:
    with pytest.raises(UsageError, match="--align-model ~nosuchuser/x is no path"):
        local_aligner("~nosuchuser/x")
