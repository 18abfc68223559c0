"""Channels that cancel each other, and channels that only seem to."""

from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.media.mixing import Channels, Downmix, Mix, mix_weights
from longscribe.adapters.media.pyav import open_media
from tests.media_samples import RATE, Track, speechlike, write


def talk(seconds: float, seed: int = 0) -> np.ndarray:
    return speechlike(seconds, seed=seed).astype(np.float32) / 32768


def noise(seconds: float, level: float, seed: int = 2) -> np.ndarray:
    samples = np.random.default_rng(seed).normal(size=round(seconds * RATE))
    return (samples * level).astype(np.float32)


def mixed(sound: np.ndarray, *, pieces=None, layout: str = "stereo"):
    """Return the mix and what was told, with the sound fed in pieces of these sizes."""
    names = tuple(channel.name for channel in av.AudioLayout(layout).channels)
    mix = Mix(mix_weights(av.AudioLayout(layout)), 1.0, names)
    told: list[tuple[float, str]] = []
    downmix = Downmix(lambda at, sentence: told.append((at, sentence)))
    out, at, sizes = [], 0, iter(pieces or [1024] * (sound.shape[1] // 1024 + 1))
    while at < sound.shape[1]:
        size = next(sizes)
        piece = np.ascontiguousarray(sound[:, at : at + size], dtype=np.float32)
        out += [each.samples[0] for each in downmix.feed(Channels(piece, RATE, mix))]
        at += size
    out += [each.samples[0] for each in downmix.flush()]
    return np.concatenate(out), told


def loudness(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(sound.astype(np.float64) ** 2)))


class TestCancelling:
    def test_one_channel_inverted(self):
        voice = talk(12)
        out, told = mixed(np.stack([voice, -voice]))
        assert np.abs(out) == pytest.approx(np.abs(voice))
        [(at, sentence)] = told
        assert at < 1.0
        assert "the channels cancel each other when mixed; channel 1 (FL) of 2" in sentence

    @pytest.mark.parametrize("decibels", [-2.0, -1.0, -0.2, 0.2, 1.0])
    def test_nearly_inverted(self, decibels):
        voice = talk(12)
        other = -voice * 10 ** (decibels / 20)
        out, told = mixed(np.stack([voice, other]))
        assert len(told) == 1
        louder = voice if decibels < 0 else other
        assert loudness(out) == pytest.approx(loudness(louder), rel=0.02)

    def test_inverted_for_a_part(self):
        voice = talk(60)
        other = voice.copy()
        other[22 * RATE : 40 * RATE] *= -1
        out, told = mixed(np.stack([voice, other]))
        assert len(told) == 1
        assert told[0][0] == pytest.approx(22.0, abs=1.0)
        # Before and behind it the mix is what it always was.
        assert np.array_equal(out[: 19 * RATE], voice[: 19 * RATE])
        assert np.array_equal(out[45 * RATE :], voice[45 * RATE :])
        whole = loudness(voice[23 * RATE : 39 * RATE])
        assert loudness(out[23 * RATE : 39 * RATE]) == pytest.approx(whole, rel=0.02)

    def test_surround(self):
        voice = talk(12)
        sound = np.zeros((6, len(voice)), dtype=np.float32)
        sound[0], sound[1] = voice, -voice
        out, told = mixed(sound, layout="5.1")
        assert "of 6" in told[0][1]
        assert loudness(out) == pytest.approx(loudness(voice), rel=0.02)

    def test_dialogue_in_the_centre_outlives_music_in_opposite_phase(self):
        voice, music = talk(12), noise(12, 0.1)
        sound = np.zeros((6, len(voice)), dtype=np.float32)
        sound[0], sound[1], sound[2] = music, -music, voice
        out, told = mixed(sound, layout="5.1")
        # In a pause of the dialogue there is nothing but the music.
        assert all(at % 7 > 4.8 for at, _ in told)
        for start in (0, 7 * RATE):
            spoken = slice(start + RATE // 4, start + 4 * RATE)
            assert np.corrcoef(out[spoken], voice[spoken])[0, 1] > 0.999

    def test_with_a_hum_of_its_own_in_each(self):
        voice = talk(12)
        sound = np.stack([voice + noise(12, 0.001, 3), -voice + noise(12, 0.001, 4)])
        _, told = mixed(sound)
        assert len(told) == 1


class TestNotCancelling:
    @pytest.mark.parametrize(
        ("left", "right"),
        [
            (talk(12), talk(12)),
            (talk(12), talk(12, seed=5)),
            (talk(12), np.zeros(12 * RATE, np.float32)),
            (noise(12, 0.1, 6), noise(12, 0.1, 7)),
            (np.zeros(12 * RATE, np.float32), np.zeros(12 * RATE, np.float32)),
            (noise(12, 1e-5), -noise(12, 1e-5)),
        ],
        ids=["mono", "two voices", "one side", "wide noise", "silence", "inaudible"],
    )
    def test_the_mix_is_bit_for_bit_the_sum(self, left, right):
        out, told = mixed(np.stack([left, right]))
        assert told == []
        half = np.float32(0.5)
        assert np.array_equal(out, left * half + right * half)

    def test_noise_in_opposite_phase_on_its_own_does_not_flip(self):
        """A voice in the middle with pauses, and noise that cancels in them: few changes."""
        voice, room = talk(60), noise(60, 0.02)
        _, told = mixed(np.stack([voice + room, voice - room]))
        assert len(told) <= 60 // 7 + 1  # at most once in each pause of two seconds
        _, told = mixed(np.stack([voice + room / 20, voice - room / 20]))
        assert len(told) <= 60 // 7 + 1


@pytest.mark.parametrize("seed", range(4))
def test_the_pieces_make_no_difference(seed):
    voice = talk(30)
    other = voice.copy()
    other[9 * RATE : 17 * RATE] *= -0.95
    sound = np.stack([voice, other])
    dice = np.random.default_rng(seed)
    whole, told = mixed(sound)
    pieces = [int(n) for n in dice.integers(1, 30_000, 5000)]
    again, told_again = mixed(sound, pieces=pieces)
    assert np.array_equal(whole, again)
    assert told == told_again


def test_a_file_with_one_channel_inverted(tmp_path):
    voice = talk(12)
    path = write(
        tmp_path / "a.flac",
        Track(
            sound=np.stack([voice, -voice]), rate=RATE, codec="flac", format="s16", layout="stereo"
        ),
    )
    reader = open_media(path, None)
    pcm = np.concatenate(list(reader.blocks()))
    assert np.abs(pcm).max() == pytest.approx(np.abs(voice).max() * 32768, abs=2)
    [(_, sentence)] = reader.problems()
    assert "is read alone" in sentence


def test_the_sample():
    path = Path(__file__).parents[2].parent / "shared" / "faults" / "inverted.flac"
    if not path.exists():
        pytest.skip("the folder of fault samples is not beside this checkout")
    pcm = np.concatenate(list(open_media(path, None).blocks()))
    assert np.abs(pcm.astype(int)).max() > 20_000
