"""Quiet recordings are raised, others are left alone, and nothing is made of silence."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from longscribe.adapters.media.leveling import AHEAD, BEHIND, QUIET, TARGET, Leveler
from longscribe.adapters.media.pyav import open_media
from longscribe.adapters.vad.silero import SileroDetector
from longscribe.config import Options
from longscribe.core.speech import speech_spans
from tests.media_samples import RATE, Track, speechlike, write


@cache
def half_a_minute() -> np.ndarray:
    return speechlike(28).astype(np.float32)


def talk(seconds: float, peak: float) -> np.ndarray:
    """Return a voice whose loudest sample is at `peak` dBFS."""
    sound = np.tile(half_a_minute(), round(seconds // 28 + 1))[: round(seconds * RATE)]
    return sound / np.abs(sound).max() * np.float32(10 ** (peak / 20))


def leveled(sound: np.ndarray, *, pieces=None):
    told: list[tuple[int, str]] = []
    leveler = Leveler(lambda at, sentence: told.append((at, sentence)))
    out, at, sizes = [], 0, iter(pieces or [8000] * (len(sound) // 8000 + 1))
    while at < len(sound):
        size = next(sizes)
        out += leveler.feed(sound[at : at + size])
        at += size
    out += leveler.flush()
    return np.concatenate(out), told, leveler


def speech(pcm: np.ndarray) -> int:
    """Return the samples in which the detector hears speech."""
    detector = SileroDetector()
    heard = [*detector.probabilities(pcm), *detector.flush()]
    settings = Options.build(model="any").speech_settings
    return sum(s.length for s in speech_spans(heard, 512, settings, in_speech=False))


class TestNormal:
    @pytest.mark.parametrize("peak", [-0.1, -12.0, -30.0, -39.0])
    def test_bit_for_bit_the_same(self, peak):
        sound = talk(100, peak)
        out, told, leveler = leveled(sound)
        assert np.array_equal(out, sound)
        assert told == []
        assert leveler.peak == pytest.approx(10 ** (peak / 20), rel=1e-3)

    def test_quiet_for_less_than_six_minutes(self):
        sound = np.concatenate([talk(10, -20.0), talk(BEHIND + AHEAD - 15, -60.0), talk(10, -20.0)])
        out, told, _ = leveled(sound)
        assert np.array_equal(out, sound)
        assert told == []

    @pytest.mark.parametrize("level", [0.0, 1e-5])
    def test_silence_stays_silence(self, level):
        sound = (np.random.default_rng(0).normal(size=RATE * 100) * level).astype(np.float32)
        out, told, _ = leveled(sound)
        assert np.array_equal(out, sound)
        assert told == []


class TestQuiet:
    @pytest.mark.parametrize("peak", [-41.0, -50.0, -60.0, -70.0])
    def test_raised_to_the_target(self, peak):
        out, told, leveler = leveled(talk(100, peak))
        assert 0.7 * TARGET < np.abs(out[RATE:]).max() < 1.6 * TARGET
        [(at, sentence)] = told
        assert at == 0
        assert "the recording is very quiet" in sentence
        assert leveler.peak == pytest.approx(10 ** (peak / 20), rel=1e-3)  # as it was recorded

    def test_a_click_does_not_hide_it(self):
        """The recorder's own switch, loud, at the beginning."""
        sound = talk(100, -55.0)
        sound[2000:2300] = 0.9
        out, told, _ = leveled(sound)
        assert len(told) == 1
        assert np.abs(out[2 * RATE :]).max() > 0.7 * TARGET

    def test_a_loud_part_ends_it_a_minute_before(self):
        loud = talk(60, -6.0)
        sound = np.concatenate([talk(200, -55.0), loud])
        out, _, _ = leveled(sound)
        assert np.array_equal(out[-60 * RATE :], loud)
        assert np.abs(out[: 130 * RATE]).max() > 0.7 * TARGET
        assert np.abs(np.diff(out)).max() < 1.0  # no step, no clipping

    @pytest.mark.parametrize("seed", range(2))
    def test_the_pieces_make_no_difference(self, seed):
        sound = np.concatenate([talk(100, -55.0), talk(20, -10.0), talk(420, -50.0)])
        whole, told, _ = leveled(sound)
        sizes = [int(n) for n in np.random.default_rng(seed).integers(1, 50_000, 10_000)]
        again, told_again, _ = leveled(sound, pieces=sizes)
        assert np.array_equal(whole, again)
        assert told == told_again

    def test_no_more_than_a_minute_is_held(self):
        leveler = Leveler(lambda *_: None)
        given = 0
        for number in range(300):
            given += sum(map(len, leveler.feed(np.zeros(RATE, dtype=np.float32))))
            assert (number + 1) * RATE - given <= (AHEAD + 1) * RATE


class TestFiles:
    def read(self, path: Path):
        reader = open_media(path, None)
        return np.concatenate(list(reader.blocks())), reader

    @pytest.mark.parametrize("peak", [-50.0, -55.0, -60.0, -65.0])
    def test_the_detector_hears_what_it_hears_aloud(self, tmp_path, peak):
        aloud = speech((talk(30, -12.0) * 32768).astype(np.int16))
        track = Track(sound=talk(30, peak).reshape(1, -1), rate=RATE, codec="flac", format="s32")
        pcm, reader = self.read(write(tmp_path / "a.flac", track))
        assert speech(pcm) == pytest.approx(aloud, rel=0.1)
        assert reader.peak == pytest.approx(10 ** (peak / 20), rel=0.05)

    @pytest.mark.parametrize("level", [-50.0, -60.0, -70.0])
    def test_noise_is_no_speech(self, tmp_path, level):
        noise = np.random.default_rng(4).normal(size=(1, RATE * 120)) * 10 ** (level / 20)
        track = Track(sound=noise.astype(np.float32), rate=RATE, codec="flac", format="s16")
        pcm, _ = self.read(write(tmp_path / "a.flac", track))
        assert speech(pcm) == 0

    def test_the_sample(self):
        path = Path(__file__).parents[2].parent / "shared" / "faults" / "quiet-55dB.flac"
        if not path.exists():
            pytest.skip("the folder of fault samples is not beside this checkout")
        pcm, _ = self.read(path)
        assert speech(pcm) > 6 * RATE
        assert np.abs(pcm).max() > QUIET * 32768
