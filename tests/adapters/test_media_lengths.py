"""Headers that tell of less audio than there is, or of more than there can be."""

import struct
from pathlib import Path

import numpy as np
import pytest

from longscribe.adapters.media import limits
from longscribe.adapters.media.audio_chunks import audio_chunk
from longscribe.adapters.media.limits import (
    FILLED_ANYWAY,
    LONGEST,
    MOST_FILLED,
    believable_length,
    is_sane_rate,
    most_filled,
)
from longscribe.adapters.media.pyav import open_media
from longscribe.errors import MediaError
from tests.media_samples import RATE, Track, bursts, onsets, truncate, write

AT = [0.5, 2.5, 5.5]
LENGTH = 6.0
SOUND = bursts(RATE, LENGTH, AT)

KINDS = [
    ("a.wav", "pcm_s16le", {}),
    ("rf64.wav", "pcm_s16le", {"rf64": "always"}),
    ("alaw.wav", "pcm_alaw", {}),
    ("adpcm.wav", "adpcm_ima_wav", {}),
    ("a.w64", "pcm_s16le", {}),
    ("a.aiff", "pcm_s16be", {}),
    ("a.caf", "pcm_s16be", {}),
]


def make(folder: Path, name: str, codec: str, options: dict[str, str]) -> Path:
    return write(folder / name, Track(sound=SOUND, rate=RATE, codec=codec), options=options)


def read(path: Path):
    reader = open_media(path, None)
    pcm = np.concatenate(list(reader.blocks()))
    told = [sentence for _, sentence in reader.problems()]
    reader.close()
    return pcm, told, reader


def declare(path: Path, length: int) -> Path:
    """Write another length of the audio into the header, as a recorder that died left it."""
    chunk = audio_chunk(path)
    assert chunk is not None
    content = bytearray(path.read_bytes())
    for field in chunk.fields:
        patch = field.patch(length)
        content[patch.at : patch.at + len(patch.data)] = patch.data
    path.write_bytes(content)
    return path


class TestShort:
    @pytest.mark.parametrize(("name", "codec", "options"), KINDS, ids=[k[0] for k in KINDS])
    def test_a_whole_file_is_left_alone(self, tmp_path, name, codec, options):
        path = make(tmp_path, name, codec, options)
        chunk = audio_chunk(path)
        assert not chunk.is_short
        assert chunk.patches == ()
        _, told, _ = read(path)
        assert told == []

    @pytest.mark.parametrize("share", [0.05, 0.36, 0.9])
    @pytest.mark.parametrize(("name", "codec", "options"), KINDS, ids=[k[0] for k in KINDS])
    def test_what_follows_the_declared_end_is_read(self, tmp_path, name, codec, options, share):
        path = make(tmp_path, name, codec, options)
        whole = audio_chunk(path).declared
        declare(path, round(whole * share) // 512 * 512)
        pcm, told, reader = read(path)
        assert len(pcm) / RATE == pytest.approx(LENGTH, abs=0.2)
        assert onsets(pcm) == pytest.approx(AT, abs=0.02)
        [sentence] = told
        assert "of the audio that is there; all is read" in sentence
        assert reader.losses() == []

    def test_the_sample(self):
        """The header of a recorder that died: 4 s of 11."""
        path = Path(__file__).parents[2].parent / "shared" / "faults" / "wav_short_hdr.wav"
        if not path.exists():
            pytest.skip("the folder of fault samples is not beside this checkout")
        pcm, told, _ = read(path)
        assert len(pcm) == 11 * RATE
        assert len(told) == 1

    def test_four_gibibytes_wrap(self, tmp_path):
        """Five GiB of audio, whose 32-bit length says one; sparse, so only the header is read."""
        path = make(tmp_path, "a.wav", "pcm_s16le", {})
        start = audio_chunk(path).start
        declare(path, 1 << 30)
        with path.open("r+b") as file:
            file.truncate(start + (5 << 30))
            file.seek(start + (1 << 30))
            file.write(b"\x01\x02\x03\x04" * 64)
        chunk = audio_chunk(path)
        assert chunk.is_short
        assert chunk.there == 5 << 30
        [patch] = chunk.patches
        assert patch.data == b"\xff\xff\xff\xff"  # libav then reads to the end

    @pytest.mark.parametrize(
        "tail",
        [
            b"LIST" + struct.pack("<I", 100) + b"INFO" + bytes(range(96)),
            b"LIST" + struct.pack("<I", 5000) + b"INFO" + b"cut off" * 20,
            b"abcd" + struct.pack("<I", 80) + bytes(range(80)) + b"LIST\x04\0\0\0INFO",
            b"TAG" + b"x" * 125,
            b"ID3\x04" + b"y" * 300,
            bytes(4096),
            b"few",
        ],
        ids=["LIST", "cut off", "unknown chunk", "ID3v1", "ID3v2", "padding", "few bytes"],
    )
    def test_what_is_no_audio_is_not_read_as_audio(self, tmp_path, tail):
        path = make(tmp_path, "a.wav", "pcm_s16le", {})
        chunk = audio_chunk(path)
        content = path.read_bytes()[: chunk.start + chunk.declared]
        path.write_bytes(content + tail)
        pcm, told, _ = read(path)
        assert len(pcm) == LENGTH * RATE
        assert told == []

    def test_a_length_of_nothing(self, tmp_path):
        path = declare(make(tmp_path, "a.wav", "pcm_s16le", {}), 0)
        assert len(read(path)[0]) == LENGTH * RATE

    @pytest.mark.parametrize(("name", "codec", "options"), KINDS, ids=[k[0] for k in KINDS])
    def test_stumps_raise_nothing(self, tmp_path, name, codec, options):
        content = make(tmp_path, name, codec, options).read_bytes()
        for length in range(0, 120, 3):
            path = tmp_path / "stump"
            path.write_bytes(content[:length])
            audio_chunk(path)

    @pytest.mark.parametrize("name", ["a.wav", "rf64.wav", "a.w64", "a.aiff"])
    def test_a_file_that_was_cut_off_says_so(self, tmp_path, name):
        kind = next(kind for kind in KINDS if kind[0] == name)
        path = truncate(make(tmp_path, *kind), 0.5)
        assert not audio_chunk(path).is_short
        pcm, told, reader = read(path)
        assert len(pcm) / RATE == pytest.approx(LENGTH / 2, abs=0.1)
        assert reader.info.duration / RATE == pytest.approx(LENGTH, abs=0.1)
        assert reader.info.duration_is_exact
        assert any("the audio ends here; the header declares 6.0 s" in each for each in told)


class TestBelief:
    @pytest.mark.parametrize(
        ("seconds", "size", "believed"),
        [
            (11.0, 100_000, True),
            (600.0, 100, True),
            (3600.0, 4000, True),  # silence in FLAC
            (1000 * 3600.0, 86_477, False),
            (24 * 3600.0, 20_000_000_000, True),
            (LONGEST + 1.0, 20_000_000_000_000, False),
            (1e6 * 3600, 1 << 40, False),
        ],
    )
    def test_length(self, seconds, size, believed):
        assert believable_length(seconds, size) is believed

    def test_silence_follows_the_size(self):
        assert most_filled(100) == FILLED_ANYWAY
        assert FILLED_ANYWAY < most_filled(86_477) < 3600
        assert most_filled(20_000_000_000) == MOST_FILLED

    @pytest.mark.parametrize(("rate", "sane"), [(1, False), (999, False), (8000, True)])
    def test_rate(self, rate, sane):
        assert is_sane_rate(rate) is sane

    @pytest.mark.parametrize("rate", [1, 120, 2**31 - 1])
    def test_a_rate_no_sound_has_is_refused(self, tmp_path, rate):
        path = make(tmp_path, "a.wav", "pcm_s16le", {})
        content = bytearray(path.read_bytes())
        content[24:28] = struct.pack("<I", rate)
        path.write_bytes(content)
        with pytest.raises(MediaError, match="claims a sample rate of"):
            open_media(path, None)

    def test_two_hundred_channels(self, tmp_path):
        """255 of them: a header that claims it must not cost memory or time."""
        path = make(tmp_path, "a.wav", "pcm_s16le", {})
        content = bytearray(path.read_bytes())
        content[22:24] = struct.pack("<H", 255)
        content[32:34] = struct.pack("<H", 510)
        path.write_bytes(content)
        try:
            pcm, _, _ = read(path)
        except MediaError:
            return
        assert len(pcm) < RATE

    def test_a_header_of_a_million_hours(self, tmp_path):
        """Nothing is filled up to a claimed end, and the claim is said not to be believed."""
        path = write(tmp_path / "a.mka", Track(sound=SOUND, rate=RATE, codec="pcm_s16le"))
        content = path.read_bytes()
        at = content.index(b"\x44\x89")  # the Duration of a Matroska segment
        assert content[at + 2] == 0x88
        claim = struct.pack(">d", 1e6 * 3600 * 1000)
        lying = content[: at + 3] + claim + content[at + 11 :]
        tag = lying.index(b"DURATION")
        lying = lying[:tag] + b"DURATIOM" + lying[tag + 8 :]
        path.write_bytes(lying)
        pcm, told, reader = read(path)
        assert len(pcm) / RATE == pytest.approx(LENGTH, abs=0.1)
        assert reader.info.duration is None
        assert any("more than a file of" in sentence for sentence in told)


def test_more_audio_than_a_file_of_its_size_can_hold(tmp_path, monkeypatch):
    """As of a bomb: silence packed beyond reason. Here reason is lowered in its place."""
    path = make(tmp_path, "a.caf", "pcm_s16be", {})
    monkeypatch.setattr(limits, "LEAST_BITS", 1e7)
    monkeypatch.setattr(limits, "FILLED_ANYWAY", 2.0)
    pcm, told, reader = read(path)
    assert len(pcm) / RATE == pytest.approx(2.0, abs=0.6)
    [loss] = reader.losses()
    assert "the recording goes on beyond 0:00:02" in loss.reason
    assert loss.span.end <= len(pcm)
    assert any("more than a file of" in sentence for sentence in told)


class TestJumps:
    def jumping(self, path: Path, jump: float, each: float) -> Path:
        """Write sound whose clock jumps by `jump` seconds after every `each` seconds."""
        track = Track(
            sound=SOUND,
            rate=RATE,
            codec="flac",
            format="s16",
            retime=lambda t: t + t // each * jump,
        )
        return write(path, track)

    def test_a_thousand_hours(self, tmp_path):
        pcm, _, reader = read(self.jumping(tmp_path / "a.mka", 1000 * 3600.0, 3.0))
        assert len(pcm) / RATE == pytest.approx(LENGTH + 1.0, abs=0.3)
        assert onsets(pcm) == pytest.approx([0.5, 2.5, 6.5], abs=0.3)
        [loss] = reader.losses()
        assert loss.span.length == RATE
        assert loss.left_out / RATE == pytest.approx(1000 * 3600, rel=0.01)
        assert "the timestamps jump by 1000.0 h" in loss.reason

    def test_many_jumps_of_nine_minutes_sum_up(self, tmp_path):
        pcm, _, reader = read(self.jumping(tmp_path / "a.mka", 540.0, 0.5))
        size = (tmp_path / "a.mka").stat().st_size
        assert len(pcm) / RATE < most_filled(size) + LENGTH + 13
        losses = reader.losses()
        assert 5 < len(losses) <= 12
        assert all(loss.span.length == RATE for loss in losses)

    def test_a_gap_that_the_file_is_worth_is_silence(self, tmp_path):
        pcm, told, reader = read(self.jumping(tmp_path / "a.mka", 90.0, 3.0))
        assert len(pcm) / RATE == pytest.approx(LENGTH + 90.0, abs=0.3)
        assert reader.losses() == []
        assert any("no audio for" in sentence for sentence in told)
