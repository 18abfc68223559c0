"""Files that can't be read: each gives one clear error of the right class."""

import os
import pickle
import wave
from pathlib import Path

import numpy as np
import pytest

from longscribe.adapters.media.audio_chunks import audio_chunk
from longscribe.adapters.media.headers import lacks_moov, mp3_declares_length
from longscribe.adapters.media.problems import ProblemLog
from longscribe.adapters.media.pyav import open_media
from longscribe.errors import MediaError, UsageError
from tests.media_samples import RATE, Track, bursts, onsets, truncate, write

SOUND = bursts(RATE, 2.0, [1.0])
WAV = Track(sound=SOUND, rate=RATE, codec="pcm_s16le")
AAC = Track(sound=SOUND, rate=RATE, codec="aac")


def refused(path, error=MediaError, track=None):
    """Open the file, expect the error, return its words."""
    with pytest.raises(error) as caught:
        list(open_media(path, track).blocks())
    assert type(caught.value) is error
    assert str(path) in caught.value.found
    assert "\n" not in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    return str(caught.value)


class TestNotThere:
    def test_missing(self, tmp_path):
        assert "does not exist" in refused(tmp_path / "film.mp4", UsageError)

    def test_directory(self, tmp_path):
        assert "is a directory" in refused(tmp_path, UsageError)

    def test_empty(self, tmp_path):
        path = tmp_path / "film.mp4"
        path.touch()
        assert "is empty (0 bytes)" in refused(path)

    def test_unreadable(self, tmp_path, monkeypatch):
        path = write(tmp_path / "a.wav", WAV)
        path.chmod(0)
        if os.geteuid() == 0:  # whom no permission stops

            def refuse(*_):
                raise PermissionError(13, "Permission denied")

            monkeypatch.setattr(Path, "open", refuse)
        assert "may not be read by this user" in refused(path)


class TestNotMedia:
    @pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "talk.mp3", "talk.wav"])
    def test_text_under_a_media_name(self, tmp_path, name):
        path = tmp_path / name
        path.write_text("This is a letter, not a film.\n" * 20)
        refused(path)

    @pytest.mark.parametrize("name", ["notes.txt", "film.srt", "noise.bin"])
    def test_other_files(self, tmp_path, name):
        path = tmp_path / name
        path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n\n")
        if name == "noise.bin":
            path.write_bytes(np.random.default_rng(0).bytes(50_000))
        refused(path)

    def test_film_without_sound(self, tmp_path):
        path = write(tmp_path / "silent.mp4", video=1.0)
        assert "has no audio track; it holds video (mpeg4)" in refused(path)

    def test_broken_download(self, tmp_path):
        path = truncate(write(tmp_path / "film.mp4", AAC, video=2.0), 0.6)
        assert "lacks its index (the moov box)" in refused(path)

    @pytest.mark.parametrize("tag", [b"drms", b"enca"])
    def test_copy_protection(self, tmp_path, tag):
        path = write(tmp_path / "song.m4a", AAC)
        path.write_bytes(path.read_bytes().replace(b"mp4a", tag))
        assert "encrypted (DRM)" in refused(path)

    def test_unknown_codec(self, tmp_path):
        path = write(tmp_path / "film.mkv", AAC, video=1.0)
        path.write_bytes(path.read_bytes().replace(b"A_AAC", b"A_XYZ"))
        assert "a format that libav can't decode" in refused(path)


class TestNoSound:
    def test_zero_samples(self, tmp_path):
        with wave.open(str(tmp_path / "a.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
        reader = open_media(tmp_path / "a.wav", None)  # it is the end that tells
        with pytest.raises(MediaError, match="no sound in it can be decoded"):
            list(reader.blocks())
        assert "no sound in it can be decoded" in refused(tmp_path / "a.wav")

    def test_nothing_but_damage(self, tmp_path):
        path = write(tmp_path / "a.m4a", AAC)
        content = path.read_bytes()
        start = content.index(b"mdat") + 4
        size = int.from_bytes(content[start - 8 : start - 4], "big") - 8
        path.write_bytes(content[:start] + b"\xff" * size + content[start + size :])
        reader = open_media(path, None)
        blocks = []
        with pytest.raises(MediaError, match="no sound"):
            blocks.extend(reader.blocks())
        assert not any(map(len, blocks))  # empty ones, so that the caller can act
        assert reader.problems()

    def test_silence_is_sound(self, tmp_path):
        silence = np.zeros((1, 3 * RATE), dtype=np.float32)
        path = write(tmp_path / "a.wav", Track(sound=silence, rate=RATE, codec="pcm_s16le"))
        pcm = np.concatenate(list(open_media(path, None).blocks()))
        assert len(pcm) == 3 * RATE
        assert not pcm.any()


class TestTrackNumber:
    @pytest.mark.parametrize("number", [-1, 2, 99])
    def test_out_of_range_lists_what_there_is(self, tmp_path, number):
        stereo = Track(
            sound=np.repeat(SOUND, 2, axis=0),
            rate=RATE,
            codec="aac",
            layout="stereo",
            language="ger",
        )
        path = write(tmp_path / "film.mkv", AAC, stereo, video=2.0)
        words = refused(path, UsageError, number)
        assert f"has no audio track {number}" in words
        assert "0: aac, 1 channel; 1: aac, 2 channels, ger" in words


class TestHarmless:
    @pytest.mark.parametrize(
        "name", ["12:30 call.wav", "http:x.wav", "ä ö.wav", "100%d.wav", "-.wav"]
    )
    def test_odd_names(self, tmp_path, name):
        plain = write(tmp_path / "a.wav", WAV)
        path = plain.rename(tmp_path / name)
        assert onsets(np.concatenate(list(open_media(path, None).blocks())))

    def test_tags_that_are_not_utf8(self, tmp_path):
        path = write(tmp_path / "a.wav", WAV)
        content = path.read_bytes()
        tag = b"LIST" + (18).to_bytes(4, "little") + b"INFOIART\x06\0\0\0Jos\xe9\xff\0"
        at = content.index(b"data")
        path.write_bytes(content[:at] + tag + content[at:])
        assert onsets(np.concatenate(list(open_media(path, None).blocks())))

    def test_relative_path(self, tmp_path, monkeypatch):
        write(tmp_path / "a.wav", WAV)
        monkeypatch.chdir(tmp_path)
        assert onsets(np.concatenate(list(open_media(Path("a.wav"), None).blocks())))

    def test_close_twice(self, tmp_path):
        reader = open_media(write(tmp_path / "a.wav", WAV), None)
        next(reader.blocks())
        reader.close()
        reader.close()
        assert reader.problems() == []

    def test_nothing_is_printed(self, tmp_path, capfd):
        path = truncate(write(tmp_path / "a.m4a", AAC, options={"movflags": "+faststart"}), 0.7)
        list(open_media(path, None).blocks())
        refused(tmp_path / "nothing", UsageError)
        assert capfd.readouterr() == ("", "")


class TestHeaders:
    def test_streamed_wav_declares_nothing(self, tmp_path):
        path = write(tmp_path / "a.wav", WAV)
        content = bytearray(path.read_bytes())
        at = content.index(b"data") + 4
        content[at : at + 4] = b"\xff\xff\xff\xff"
        path.write_bytes(content)
        assert audio_chunk(path).declared is None
        reader = open_media(path, None)
        assert sum(map(len, reader.blocks())) == 2 * RATE
        assert reader.problems() == []

    def test_wav_that_lacks_a_part(self, tmp_path):
        path = write(tmp_path / "a.wav", WAV)
        assert audio_chunk(path).lacking == 1.0
        assert audio_chunk(truncate(path, 0.5)).lacking == pytest.approx(2.0, abs=0.01)

    def test_rf64(self, tmp_path):
        path = write(tmp_path / "a.wav", WAV, options={"rf64": "always"})
        assert path.read_bytes()[:4] == b"RF64"
        assert open_media(path, None).info.duration == 2 * RATE
        assert open_media(truncate(path, 0.5), None).info.duration == 2 * RATE

    def test_xing_behind_an_id3_tag(self, tmp_path):
        track = Track(sound=bursts(44_100, 2.0, [1.0]), rate=44_100, codec="libmp3lame")
        path = write(tmp_path / "a.mp3", track, options={"id3v2_version": "0"})
        assert mp3_declares_length(path)
        tag = b"ID3\x04\0\0" + bytes((0, 2, 0, 0)) + bytes(2 << 14)
        path.write_bytes(tag + path.read_bytes())
        assert mp3_declares_length(path)

    @pytest.mark.parametrize(
        "content", [b"", b"ID3", b"\0\0\0\1ftyp", b"RIFF\0\0\0\0WAVE", b"Xing"]
    )
    def test_stumps(self, tmp_path, content):
        path = tmp_path / "stump"
        path.write_bytes(content)
        assert audio_chunk(path) is None
        assert not mp3_declares_length(path)
        assert not lacks_moov(path) or content[4:] == b"ftyp"


class TestProblemLog:
    def test_one_of_a_kind_each_second(self):
        log = ProblemLog()
        for position in range(0, 40_000, 1000):
            log.add("damage", position, "damaged")
        log.add("clock", 500, "a jump")
        assert log.take(40_000) == [
            (0, "damaged (16 times in this second)"),
            (500, "a jump"),
            (16_000, "damaged (16 times in this second)"),
        ]
        assert log.take(40_000) == []
        assert log.take_all() == [(32_000, "damaged (8 times in this second)")]
        assert log.take_all() == []

    def test_an_open_second_waits(self):
        log = ProblemLog()
        log.add("damage", 100, "damaged")
        assert log.take(200) == []
        assert log.take(16_100) == [(100, "damaged")]


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ts", "ac3"), ("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.mp3", "libmp3lame")],
)
def test_garbage_anywhere_ends_in_sound_or_a_media_error(tmp_path, name, codec):
    track = Track(sound=bursts(48_000, 2.0, [1.0]), rate=48_000, codec=codec)
    whole = write(tmp_path / name, track).read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(25):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 200)):
            content[at] = rng.integers(256)
        (tmp_path / name).write_bytes(content[: rng.integers(len(content) // 2, len(content) + 1)])
        try:
            reader = open_media(tmp_path / name, None)
            for block in reader.blocks():
                assert len(block) <= RATE
            reader.close()
        except MediaError:
            continue
