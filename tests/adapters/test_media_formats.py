"""Every kind of file gives its sound at the right time, 16 kHz mono."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.media.pyav import open_media
from longscribe.types import MediaInfo
from tests.media_samples import RATE, Track, bursts, damage, onsets, truncate, write

AT = [0.5, 1.25, 3.0]
LENGTH = 4.0
CLOSE = 0.02
"""Seconds."""


def read(path: Path, track: int | None = None):
    reader = open_media(path, track)
    blocks = list(reader.blocks())
    problems = reader.problems()
    info = reader.info
    reader.close()
    assert all(block.dtype == np.int16 and block.ndim == 1 for block in blocks)
    assert all(len(block) <= RATE for block in blocks)
    return np.concatenate(blocks), info, problems


def at(times, within=CLOSE):
    return pytest.approx(times, abs=within)


def sound_of(rate, channels=1, loud=None):
    """Bursts in every channel, or in channel `loud` only."""
    mono = bursts(rate, LENGTH, AT)
    sound = np.repeat(mono, channels, axis=0)
    if loud is not None:
        sound[[n for n in range(channels) if n != loud]] = 0
    return sound


PLAIN = [
    ("s16.wav", Track(sound=sound_of(16_000), rate=16_000, codec="pcm_s16le")),
    ("24bit.wav", Track(sound=sound_of(48_000), rate=48_000, codec="pcm_s24le")),
    ("float.wav", Track(sound=sound_of(44_100), rate=44_100, codec="pcm_f32le")),
    ("double.wav", Track(sound=sound_of(22_050), rate=22_050, codec="pcm_f64le")),
    ("s64.wav", Track(sound=sound_of(16_000), rate=16_000, codec="pcm_s64le")),
    ("u8.wav", Track(sound=sound_of(11_025), rate=11_025, codec="pcm_u8")),
    ("telephone.wav", Track(sound=sound_of(8_000), rate=8_000, codec="pcm_mulaw")),
    ("192k.wav", Track(sound=sound_of(192_000), rate=192_000, codec="pcm_s32le")),
    ("planar.mka", Track(sound=sound_of(44_100, 2), rate=44_100, codec="alac", layout="stereo")),
    ("a.flac", Track(sound=sound_of(44_100), rate=44_100, codec="flac", format="s16")),
    ("192k.flac", Track(sound=sound_of(192_000), rate=192_000, codec="flac", format="s32")),
    ("a.mp3", Track(sound=sound_of(44_100, 2), rate=44_100, codec="libmp3lame", layout="stereo")),
    ("a.opus", Track(sound=sound_of(48_000), rate=48_000, codec="libopus")),
    ("a.webm", Track(sound=sound_of(48_000), rate=48_000, codec="libopus")),
    ("a.m4a", Track(sound=sound_of(44_100, 2), rate=44_100, codec="aac", layout="stereo")),
    ("a.avi", Track(sound=sound_of(48_000), rate=48_000, codec="libmp3lame")),
    ("a.flv", Track(sound=sound_of(44_100), rate=44_100, codec="libmp3lame")),
]


@pytest.mark.parametrize(("name", "track"), PLAIN, ids=[name for name, _ in PLAIN])
def test_sound_comes_out_when_it_was_made(tmp_path, name, track):
    # AVI and FLV don't say how much of MP3's beginning is priming (1105 samples).
    within = 0.05 if name.endswith((".avi", ".flv")) else CLOSE
    pcm, info, problems = read(write(tmp_path / name, track))
    assert onsets(pcm) == at(AT, within)
    assert len(pcm) / RATE == pytest.approx(LENGTH, abs=0.1)
    assert info.duration / RATE == pytest.approx(LENGTH, abs=0.1)
    assert info.duration_is_exact
    assert (info.track, info.tracks) == (0, 1)
    assert info.sample_rate == track.rate
    assert info.channels == track.sound.shape[0]
    assert problems == []


def test_16_khz_mono_is_passed_on_bit_for_bit(tmp_path):
    sound = np.random.default_rng(0).integers(-32768, 32768, 50_000, dtype=np.int16)
    floats = (sound.astype(np.float32) / 32768).reshape(1, -1)
    path = write(tmp_path / "a.wav", Track(sound=floats, rate=RATE, codec="pcm_s16le"))
    assert np.array_equal(read(path)[0], sound)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.mov"])
def test_sound_behind_a_picture(tmp_path, name):
    track = Track(sound=sound_of(48_000, 2), rate=48_000, codec="aac", layout="stereo")
    pcm, info, problems = read(write(tmp_path / name, track, video=LENGTH))
    assert onsets(pcm) == at(AT)
    assert info.codec == "aac"
    assert problems == []


class TestTracks:
    @pytest.fixture
    def film(self, tmp_path):
        english = bursts(48_000, LENGTH, [1.0])
        german = bursts(48_000, LENGTH, [2.0])
        return write(
            tmp_path / "film.mkv",
            Track(sound=english, rate=48_000, codec="flac", format="s16", language="eng"),
            Track(
                sound=german,
                rate=48_000,
                codec="ac3",
                format="fltp",
                language="ger",
                default=True,
            ),
            video=LENGTH,
        )

    def test_the_default_track_is_read(self, film):
        pcm, info, _ = read(film)
        assert onsets(pcm) == at([2.0])
        assert (info.track, info.tracks, info.codec) == (1, 2, "ac3")

    @pytest.mark.parametrize(("track", "when", "codec"), [(0, 1.0, "flac"), (1, 2.0, "ac3")])
    def test_a_track_can_be_chosen(self, film, track, when, codec):
        pcm, info, _ = read(film, track)
        assert onsets(pcm) == at([when])
        assert (info.track, info.codec) == (track, codec)


class TestMixing:
    LAYOUTS = [("stereo", 2), ("quad", 4), ("5.1", 6), ("7.1", 8)]

    @pytest.mark.parametrize(
        ("layout", "channels", "loud"),
        [(name, count, loud) for name, count in LAYOUTS for loud in range(count)],
    )
    def test_no_channel_is_lost(self, tmp_path, layout, channels, loud):
        names = [channel.name for channel in av.AudioLayout(layout).channels]
        sound = sound_of(48_000, channels, loud)
        path = write(
            tmp_path / "a.flac",
            Track(sound=sound, rate=48_000, codec="flac", format="s16", layout=layout),
        )
        pcm, info, _ = read(path)
        assert info.channels == channels
        if names[loud] == "LFE":
            assert not pcm.any()
        else:
            assert onsets(pcm) == at(AT)
            assert np.abs(pcm).max() > 0.05 * 32768 * 0.5

    def test_the_centre_stands_out(self, tmp_path):
        def loudness(channel):
            path = tmp_path / f"{channel}.wav"
            track = Track(
                sound=sound_of(48_000, 8, channel), rate=48_000, codec="pcm_s16le", layout="7.1"
            )
            return np.abs(read(write(path, track))[0]).max()

        left, centre = loudness(0), loudness(2)
        assert centre > 1.9 * left
        assert centre > 0.25 * 32768 * 0.5

    def test_eight_planes(self, tmp_path):
        """PyAV 18.1 dies of a segmentation fault when asked for these as an array."""
        track = Track(sound=sound_of(48_000, 8, 2), rate=48_000, codec="aac", layout="7.1")
        pcm, info, _ = read(write(tmp_path / "a.m4a", track))
        assert info.channels == 8
        assert onsets(pcm) == at(AT)

    @pytest.mark.parametrize("layout", ["stereo", "7.1"])
    def test_full_scale_in_every_channel_does_not_clip(self, tmp_path, layout):
        channels = {"stereo": 2, "7.1": 8}[layout]
        sound = np.repeat(bursts(RATE, 1.0, [0.5], peak=0.99), channels, axis=0)
        path = write(
            tmp_path / "a.wav", Track(sound=sound, rate=RATE, codec="pcm_s16le", layout=layout)
        )
        peak = np.abs(read(path)[0].astype(int)).max()
        assert peak == pytest.approx(0.99 * 32768, abs=3)

    def test_ten_microphones_without_a_layout(self, tmp_path):
        # A plain WAV header of ten channels: no place is known for any of them.
        sound = np.zeros((RATE * 2, 10), dtype="<i2")
        sound[RATE : RATE + 800, 7] = 20_000
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((10, 2, RATE, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
        pcm, info, _ = read(tmp_path / "a.wav")
        assert info.channels == 10
        assert onsets(pcm) == at([1.0])
        assert pcm.max() == 2_000

    def test_what_is_no_number_is_silence(self, tmp_path):
        sound = bursts(RATE, 2.0, [1.0])
        sound[0, 100:200] = np.nan
        sound[0, 300:400] = np.inf
        path = write(tmp_path / "a.wav", Track(sound=sound, rate=RATE, codec="pcm_f32le"))
        pcm, _, _ = read(path)
        assert not pcm[:1000].any()
        assert onsets(pcm) == at([1.0])


class TestClock:
    def test_a_transport_stream_starts_at_zero(self, tmp_path):
        track = Track(sound=sound_of(48_000), rate=48_000, codec="ac3")
        options = {"output_ts_offset": "1.4"}
        path = write(
            tmp_path / "a.ts", track, video=LENGTH, video_codec="mpeg2video", options=options
        )
        with av.open(str(path)) as container:
            assert container.start_time > 1_350_000
        pcm, info, problems = read(path)
        assert onsets(pcm) == at(AT)
        assert not info.duration_is_exact
        assert problems == []

    @pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
    def test_sound_that_starts_after_the_picture(self, tmp_path, name):
        track = Track(sound=sound_of(48_000), rate=48_000, codec="ac3", retime=lambda t: t + 0.5)
        codec = "mpeg2video" if name == "a.ts" else "mpeg4"
        pcm, _, problems = read(write(tmp_path / name, track, video=LENGTH, video_codec=codec))
        assert onsets(pcm) == at([t + 0.5 for t in AT])
        assert not pcm[: round(0.45 * RATE)].any()
        assert problems == []

    @pytest.mark.parametrize("codec", ["flac", "libopus", "pcm_s16le"])
    def test_a_gap_becomes_silence(self, tmp_path, codec):
        track = Track(
            sound=sound_of(48_000),
            rate=48_000,
            codec=codec,
            format="s16" if codec == "flac" else None,
            retime=lambda t: t if t < 2.0 else t + 3.0,
        )
        pcm, _, problems = read(write(tmp_path / "a.mkv", track))
        assert onsets(pcm) == at([0.5, 1.25, 6.0])
        assert len(pcm) / RATE == pytest.approx(LENGTH + 3.0, abs=0.05)
        [(position, sentence)] = problems
        assert position / RATE == pytest.approx(2.0, abs=0.15)
        assert "no audio for 3.0 s" in sentence

    def test_lost_packets_leave_silence_of_their_length(self, tmp_path):
        track = Track(
            sound=sound_of(48_000),
            rate=48_000,
            codec="libopus",
            retime=lambda t: None if 1.5 < t < 2.7 else t,
        )
        pcm, _, _ = read(write(tmp_path / "a.mkv", track))
        assert onsets(pcm) == at(AT)

    def test_a_slow_sample_clock_is_followed(self, tmp_path):
        # The recorder wrote 1 % more time than samples: 0.6 s in a minute.
        times = [1.0, 20.0, 40.0, 59.0]
        track = Track(
            sound=bursts(RATE, 60.0, times),
            rate=RATE,
            codec="pcm_s16le",
            retime=lambda t: t * 1.01,
        )
        pcm, _, problems = read(write(tmp_path / "a.mkv", track))
        assert onsets(pcm) == at([t * 1.01 for t in times], 0.065)
        assert problems == []

    def test_jitter_is_not_followed(self, tmp_path):
        rng = np.random.default_rng(3)
        track = Track(
            sound=sound_of(RATE),
            rate=RATE,
            codec="pcm_s16le",
            retime=lambda t: max(0.0, t + rng.uniform(-0.03, 0.03)),
        )
        plain = Track(sound=track.sound, rate=RATE, codec="pcm_s16le")
        jittery, _, problems = read(write(tmp_path / "a.mkv", track))
        steady, _, _ = read(write(tmp_path / "b.mkv", plain))
        shift = abs(len(jittery) - len(steady))
        assert shift <= 0.03 * RATE  # the first frame's own
        assert onsets(jittery) == at(AT, 0.03)
        assert problems == []

    def test_a_timestamp_that_wraps(self, tmp_path):
        wrap = 2**33 / 90_000
        track = Track(
            sound=sound_of(48_000), rate=48_000, codec="ac3", retime=lambda t: t + wrap - 3.4
        )
        pcm, _, _ = read(write(tmp_path / "a.ts", track))
        assert onsets(pcm) == at(AT)

    def test_a_chain_of_ogg_files(self, tmp_path):
        parts = []
        for name, when in [("a.opus", 1.0), ("b.opus", 0.75)]:
            track = Track(sound=bursts(48_000, 2.0, [when]), rate=48_000, codec="libopus")
            parts.append(write(tmp_path / name, track).read_bytes())
        chain = tmp_path / "chain.opus"
        chain.write_bytes(b"".join(parts))
        pcm, _, problems = read(chain)
        assert onsets(pcm) == at([1.0, 2.75], 0.03)
        assert ["timestamps jump" in sentence for _, sentence in problems] == [True]

    def test_transport_streams_put_end_to_end(self, tmp_path):
        """Timestamps start again, and rate and layout change: nothing is dropped."""
        one = Track(sound=bursts(48_000, 3.0, [1.0]), rate=48_000, codec="ac3")
        two = Track(
            sound=np.repeat(bursts(32_000, 3.0, [2.0]), 2, axis=0),
            rate=32_000,
            codec="ac3",
            layout="stereo",
        )
        both = tmp_path / "both.ts"
        both.write_bytes(
            write(tmp_path / "a.ts", one).read_bytes() + write(tmp_path / "b.ts", two).read_bytes()
        )
        pcm, _, problems = read(both)
        assert onsets(pcm) == at([1.0, 5.0], 0.05)  # AC-3 fills up its last frame
        assert any("timestamps jump from 3.0 s to" in sentence for _, sentence in problems)

    @pytest.mark.parametrize("codec", ["ac3", "aac", "mp2"])
    def test_rate_and_layout_change_in_mid_stream(self, tmp_path, codec):
        """The timestamps go on, as in a broadcast when the programme changes."""
        one = Track(sound=bursts(48_000, 3.0, [1.0, 2.8]), rate=48_000, codec=codec)
        two = Track(
            sound=np.repeat(bursts(32_000, 3.0, [0.2, 2.0]), 2, axis=0),
            rate=32_000,
            codec=codec,
            layout="stereo",
            retime=lambda t: t + 3.0,
        )
        # Only aac, with 1024 samples of priming that nothing declares, is late by them.
        priming = 1024 / 48_000 if codec == "aac" else 0.0
        both = tmp_path / "both.ts"
        both.write_bytes(
            write(tmp_path / "a.ts", one).read_bytes() + write(tmp_path / "b.ts", two).read_bytes()
        )
        pcm, _, _ = read(both)
        assert onsets(pcm) == at([t + priming for t in (1.0, 2.8, 3.2, 5.0)], 0.03)


class TestDamage:
    TIMES = [0.5, 1.25, 5.0, 7.0]

    def damaged(self, path, codec):
        """Write 8 s and overwrite what lies between 2.5 and 3.5 s."""
        form = "s16" if codec == "flac" else None
        sound = bursts(48_000, 8.0, self.TIMES)
        write(path, Track(sound=sound, rate=48_000, codec=codec, format=form))
        return damage(path, 2.5, 3.5)

    @pytest.mark.parametrize(
        ("name", "codec"),
        [
            ("a.flac", "flac"),
            ("a.m4a", "aac"),
            ("a.mka", "aac"),
            ("b.mp4", "libmp3lame"),
            ("c.mka", "flac"),
            ("a.opus", "libopus"),  # a page of Ogg holds two seconds
            ("a.ts", "ac3"),
        ],
    )
    def test_damaged_packets_leave_the_rest_in_place(self, tmp_path, name, codec):
        pcm, _, problems = read(self.damaged(tmp_path / name, codec))
        # The damaged second may decode to noise. What is around it must not move.
        pcm[round(2.3 * RATE) : round(3.8 * RATE)] = 0
        assert onsets(pcm) == at(self.TIMES)
        assert len(pcm) / RATE == pytest.approx(8.0, abs=0.1)
        assert problems
        assert all(1.9 < position / RATE < 3.8 for position, _ in problems)
        assert len(problems) <= 4  # one of a kind each second

    def test_a_flood_is_counted(self, tmp_path):
        _, _, problems = read(self.damaged(tmp_path / "a.m4a", "aac"))
        assert any("times in this second" in sentence for _, sentence in problems)

    def test_damage_where_there_are_no_timestamps(self, tmp_path):
        """A raw MP3 has no clock but its own frames: as in any player, the rest moves up."""
        pcm, _, problems = read(self.damaged(tmp_path / "a.mp3", "libmp3lame"))
        before, after = onsets(pcm)[:2], onsets(pcm)[-2:]
        assert before == at([0.5, 1.25])
        assert after[1] - after[0] == at(2.0)
        assert all(2.3 < position / RATE < 3.8 for position, _ in problems)
        assert problems

    @pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.mp4", "a.mkv"])
    def test_a_truncated_file_gives_what_is_there_and_says_so(self, tmp_path, name):
        codec, form = {
            "a.wav": ("pcm_s16le", None),
            "a.flac": ("flac", "s16"),
            "a.mp3": ("libmp3lame", None),
        }.get(name, ("aac", None))
        noise = np.random.default_rng(0).normal(size=(1, 8 * 44_100)).astype(np.float32) * 0.01
        sound = noise + bursts(44_100, 8.0, [1.0, 2.0, 7.0])
        options = {"movflags": "+faststart"} if name == "a.mp4" else None
        track = Track(sound=sound, rate=44_100, codec=codec, format=form)
        path = truncate(write(tmp_path / name, track, options=options), 0.5)
        pcm, info, problems = read(path)
        assert onsets(pcm) == at([1.0, 2.0])
        assert 3.0 < len(pcm) / RATE < 5.0
        assert info.duration / RATE == pytest.approx(8.0, abs=0.1)
        position, sentence = problems[-1]
        assert "the audio ends here; the header declares 8.0 s" in sentence
        assert position == pytest.approx(len(pcm), abs=1)


class TestDuration:
    def test_mp3_without_a_header_is_an_estimate(self, tmp_path):
        track = Track(sound=sound_of(44_100), rate=44_100, codec="libmp3lame")
        path = write(tmp_path / "a.mp3", track, options={"write_xing": "0"})
        pcm, info, problems = read(path)
        assert isinstance(info, MediaInfo)
        assert not info.duration_is_exact
        assert onsets(pcm) == at(AT, 0.03)
        assert problems == []

    def test_raw_aac_is_an_estimate(self, tmp_path):
        track = Track(sound=sound_of(44_100), rate=44_100, codec="aac")
        _, info, problems = read(write(tmp_path / "a.aac", track))
        assert not info.duration_is_exact
        assert problems == []

    def test_joined_mp3s_are_an_estimate(self, tmp_path):
        track = Track(sound=sound_of(44_100), rate=44_100, codec="libmp3lame")
        one = write(tmp_path / "a.mp3", track).read_bytes()
        (tmp_path / "b.mp3").write_bytes(one * 3)
        pcm, info, _ = read(tmp_path / "b.mp3")
        assert not info.duration_is_exact
        assert len(onsets(pcm)) == 9

    def test_sound_that_ends_before_the_picture_is_no_truncation(self, tmp_path):
        track = Track(sound=sound_of(44_100), rate=44_100, codec="libmp3lame")
        for name in ("a.mkv", "a.flv", "a.mp4"):
            codec = "flv1" if name == "a.flv" else "mpeg4"
            _, _, problems = read(write(tmp_path / name, track, video=9.0, video_codec=codec))
            assert problems == []
