"""Levels: of the same frames as the detector's probabilities, however the audio comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longscribe.worker.levels import FLOOR, LevelMeter
from tests.media_samples import speechlike

CLIP = speechlike(3.0)


def measured(pcm, cuts=()):
    meter = LevelMeter(512)
    return [
        *(level for piece in np.split(pcm, sorted(cuts)) for level in meter.feed(piece)),
        *meter.flush(),
    ]


@given(st.lists(st.integers(0, len(CLIP)), max_size=30))
def test_cuts_change_nothing(cuts):
    assert measured(CLIP, cuts) == measured(CLIP)


def test_known_levels():
    times = np.arange(512) / 16_000
    sine = np.round(32767 * np.sin(2 * np.pi * 1000 * times)).astype(np.int16)
    full = np.full(512, -32768, dtype=np.int16)
    silence = np.zeros(512, dtype=np.int16)
    least = np.ones(512, dtype=np.int16)
    found = measured(np.concatenate((sine, full, silence, least)))
    assert found == pytest.approx([-3.01, 0.0, FLOOR, -90.31], abs=0.01)


@pytest.mark.parametrize("length", [0, 1, 512, 513, 1500])
def test_a_begun_frame_counts(length):
    assert len(measured(CLIP[:length])) == -(-length // 512)
