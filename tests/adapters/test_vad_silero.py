"""The speech detector: right values, the same however the audio comes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longscribe.adapters.media.pyav import open_media
from longscribe.adapters.vad import silero
from longscribe.adapters.vad.silero import FRAME, SileroDetector
from longscribe.errors import ModelError, WorkerStartError
from tests.media_samples import RATE, speechlike

DEMO = Path(__file__).parents[2] / "demo"
CLIP = speechlike(20.0)


def heard(pcm, cuts=(), detector=None):
    """Return the probabilities of `pcm` handed over in the pieces between `cuts`."""
    detector = detector or SileroDetector()
    values = []
    for piece in np.split(pcm, sorted(cuts)):
        values.extend(detector.probabilities(piece))
    return values + list(detector.flush())


@pytest.fixture(scope="module")
def whole():
    return heard(CLIP)


def test_one_value_for_each_frame(whole):
    assert SileroDetector().frame == FRAME == 512
    assert len(whole) == -(-len(CLIP) // FRAME)
    assert all(isinstance(value, float) and 0 <= value <= 1 for value in whole)


def test_it_tells_speech_from_silence(whole):
    values = np.array(whole)
    seconds = np.arange(len(values)) * FRAME / RATE % 7
    assert np.median(values[(seconds > 0.5) & (seconds < 4.5)]) > 0.9
    assert np.median(values[seconds > 5.5]) < 0.1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, len(CLIP)), max_size=40))
def test_cuts_change_nothing(cuts):
    assert heard(CLIP, cuts) == heard(CLIP)


@pytest.mark.parametrize("size", [1, 160, 511, 512, 513, 8000, 16_384, 16_385])
def test_block_sizes_change_nothing(whole, size):
    length = min(len(CLIP), 2000 * size)
    expected = whole if length == len(CLIP) else heard(CLIP[:length])
    assert heard(CLIP[:length], range(size, length, size)) == expected


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 32 * 512, 32 * 512 + 1])
def test_short_recordings(length):
    values = heard(CLIP[:length])
    assert len(values) == -(-length // FRAME)


def test_after_the_end_it_is_as_new(whole):
    detector = SileroDetector()
    heard(CLIP[:100_000], detector=detector)
    assert heard(CLIP, detector=detector) == whole


def test_it_keeps_no_more_than_a_batch():
    detector = SileroDetector()
    for start in range(0, len(CLIP), 1000):
        detector.probabilities(CLIP[start : start + 1000])
        assert detector._pending.base is None  # a view would hold all it came from
        assert len(detector._pending) < 32 * FRAME


def test_the_values_are_those_of_faster_whisper(whole):
    reference = pytest.importorskip(
        "faster_whisper.vad", reason="needs faster-whisper, the other home of this network"
    )
    frames = len(CLIP) // FRAME
    audio = CLIP[: frames * FRAME].astype(np.float32) / 32768
    theirs = reference.get_vad_model()(audio).reshape(-1)
    # Theirs zeroes the end of the last frame, where ours hears it.
    assert np.abs(np.array(whole[: frames - 1]) - theirs[:-1]).max() < 1e-3


def test_real_voices():
    if not (DEMO / "sample.flac").exists():
        pytest.skip("demo/sample.flac has not been made (demo/make_sample.py makes it)")
    pcm = np.concatenate(list(open_media(DEMO / "sample.flac", None).blocks()))
    values = np.array(heard(pcm))
    said = np.zeros(len(values), dtype=bool)
    utterances = json.loads((DEMO / "sample.json").read_text())
    for utterance in utterances:
        first, last = (round(utterance[key] * RATE / FRAME) for key in ("start", "end"))
        said[first:last] = True
        assert np.mean(values[first:last] > 0.5) > 0.5, utterance
    assert np.mean(values[said] > 0.5) > 0.8
    assert np.mean(values[~said] > 0.5) < 0.3


class TestMissing:
    def test_onnxruntime(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(WorkerStartError, match="without onnxruntime"):
            SileroDetector()

    def test_the_file(self, monkeypatch):
        monkeypatch.setattr(silero, "_FILE", "none.onnx")
        with pytest.raises(ModelError, match=r"none\.onnx can't be loaded"):
            SileroDetector()

    def test_a_damaged_file(self, monkeypatch, tmp_path):
        (tmp_path / "silero.onnx").write_bytes(b"not a network")
        monkeypatch.setattr(silero, "_FILE", "silero.onnx")
        monkeypatch.setattr(silero.resources, "files", lambda _: tmp_path)
        with pytest.raises(ModelError, match="reinstall longscribe") as caught:
            SileroDetector()
        assert "\n" not in str(caught.value)
