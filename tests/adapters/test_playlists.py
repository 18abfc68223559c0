"""Playlists: what is read, what is missing, and what is none of theirs."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.content import media_digest
from longscribe.adapters.media.pyav import open_media
from longscribe.adapters.media.source import NO_PROTOCOL, MediaSource, Patch
from longscribe.errors import MediaError
from longscribe.playlists import parts_of, read_playlist
from tests.media_samples import RATE, Track, bursts, onsets, write

PIECE = 2.0
COUNT = 4


def make_pieces(folder: Path, ending: str, codec: str) -> list[Path]:
    """Write pieces with a burst a second into each; their clocks go on where they have one."""
    paths = []
    for number in range(COUNT):
        offset = {"output_ts_offset": str(10 + PIECE * number)} if ending == "ts" else {}
        track = Track(sound=bursts(48_000, PIECE, [1.0]), rate=48_000, codec=codec)
        paths.append(write(folder / f"p{number}.{ending}", track, options=offset))
    return paths


def playlist(folder: Path, *lines: str, name: str = "talk.m3u8") -> Path:
    path = folder / name
    path.write_text("\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:3", *lines]) + "\n")
    return path


def plain(folder: Path, ending: str) -> Path:
    lines = [part for n in range(COUNT) for part in (f"#EXTINF:{PIECE},", f"p{n}.{ending}")]
    return playlist(folder, *lines, "#EXT-X-ENDLIST")


def read(path: Path):
    reader = open_media(path, None)
    blocks, losses = [], []
    for block in reader.blocks():
        blocks.append(block)
        losses += reader.losses()
    losses += reader.losses()
    reader.close()
    return np.concatenate(blocks), losses, reader


class TestReading:
    @pytest.mark.parametrize(
        ("ending", "codec"), [("ts", "ac3"), ("aac", "aac"), ("mp3", "libmp3lame")]
    )
    def test_pieces_are_one_recording(self, tmp_path, ending, codec):
        make_pieces(tmp_path, ending, codec)
        pcm, losses, reader = read(plain(tmp_path, ending))
        assert onsets(pcm) == pytest.approx([1.0, 3.0, 5.0, 7.0], abs=0.25)
        assert losses == []
        assert reader.info.container == "hls"
        assert reader.info.duration == COUNT * PIECE * RATE

    @pytest.mark.parametrize(("ending", "codec"), [("ts", "ac3"), ("aac", "aac")])
    @pytest.mark.parametrize("gone", [[0], [1], [3], [1, 2], [0, 2]])
    def test_a_missing_piece_is_a_loss_of_its_length(self, tmp_path, ending, codec, gone):
        pieces = make_pieces(tmp_path, ending, codec)
        for number in gone:
            pieces[number].unlink()
        pcm, losses, _ = read(plain(tmp_path, ending))
        left = [1.0 + PIECE * n for n in range(COUNT) if n not in gone]
        assert onsets(pcm) == pytest.approx(left, abs=0.2)
        assert len(pcm) / RATE == pytest.approx(COUNT * PIECE, abs=0.3)
        assert sum(loss.span.length for loss in losses) == len(gone) * PIECE * RATE
        for loss in losses:
            assert not pcm[loss.span.start : loss.span.end].any()
            assert "of the playlist" in loss.reason
            assert "missing" in loss.reason

    def test_an_empty_piece_is_missing(self, tmp_path):
        make_pieces(tmp_path, "ts", "ac3")[2].write_bytes(b"")
        [loss] = read(plain(tmp_path, "ts"))[1]
        assert "p2.ts of the playlist is missing" in loss.reason

    def test_a_gap_that_the_playlist_declares(self, tmp_path):
        make_pieces(tmp_path, "ts", "ac3")
        path = playlist(
            tmp_path,
            "#EXTINF:2,",
            "p0.ts",
            "#EXT-X-GAP",
            "#EXTINF:2,",
            "p1.ts",
            "#EXTINF:2,",
            "p2.ts",
        )
        [loss] = read(path)[1]
        assert loss.span.length == 2 * RATE

    def test_nothing_is_there(self, tmp_path):
        for piece in make_pieces(tmp_path, "ts", "ac3"):
            piece.unlink()
        with pytest.raises(MediaError, match="not one of them is there"):
            open_media(plain(tmp_path, "ts"), None)

    def test_a_missing_piece_of_absurd_length(self, tmp_path):
        make_pieces(tmp_path, "ts", "ac3")
        lines = ("#EXTINF:2,", "p0.ts", "#EXTINF:80000,", "gone.ts", "#EXTINF:2,", "p1.ts")
        pcm, [loss], _ = read(playlist(tmp_path, *lines))
        assert loss.span.length == RATE
        assert loss.left_out == 79_999 * RATE
        assert len(pcm) < 6 * RATE

    def test_more_pieces_than_a_process_may_have_open(self, tmp_path):
        [first, *_] = make_pieces(tmp_path, "ts", "ac3")
        for number in range(40):
            os.link(first, tmp_path / f"q{number}.ts")
        source = MediaSource([tmp_path / f"q{number}.ts" for number in range(40)])
        before = len(list(Path("/proc/self/fd").iterdir()))
        assert source.read() == first.read_bytes() * 40
        assert len(list(Path("/proc/self/fd").iterdir())) <= before
        source.close()

    def test_fragmented_mp4_with_its_head(self, tmp_path):
        options = {
            "hls_segment_type": "fmp4",
            "hls_time": "2",
            "hls_playlist_type": "vod",
            "hls_fmp4_init_filename": "init.mp4",
        }
        track = Track(sound=bursts(48_000, 8.0, [1.0, 5.0]), rate=48_000, codec="aac")
        path = write(tmp_path / "talk.m3u8", track, format="hls", options=options)
        names = [part.name for part in parts_of(path)]
        assert "init.mp4" in names
        pcm, losses, _ = read(path)
        assert onsets(pcm) == pytest.approx([1.0, 5.0], abs=0.1)
        assert losses == []


class TestRefusals:
    @pytest.mark.parametrize(
        "name",
        [
            "../secret.ts",
            "/etc/passwd",
            "sub/../../secret.ts",
            "%2e%2e/secret.ts",
            "http://example.org/a.ts",
            "https://example.org/a.ts",
            "file:///etc/passwd",
            "file:p0.ts",
            "concat:p0.ts|/etc/passwd",
            "subfile,,start,0,end,9,,:/etc/passwd",
            "data:text/plain,hello",
            "crypto:p0.ts",
            "..\\secret.ts",
            "link.ts",
            "folder/deep.ts",
        ],
    )
    def test_only_files_in_its_own_folder(self, tmp_path, name):
        folder = tmp_path / "own"
        folder.mkdir()
        make_pieces(folder, "ts", "ac3")
        secret = (folder / "p0.ts").read_bytes()
        (tmp_path / "secret.ts").write_bytes(secret)
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "deep.ts").write_bytes(secret)
        (folder / "link.ts").symlink_to(tmp_path / "secret.ts")
        (folder / "folder").symlink_to(tmp_path / "elsewhere")
        (folder / "sub").mkdir()
        path = playlist(folder, "#EXTINF:2,", "p0.ts", "#EXTINF:2,", name)
        for look in (lambda: open_media(path, None), lambda: parts_of(path)):
            with pytest.raises(
                MediaError, match=r"does not lie in its own folder|which is no file"
            ):
                look()

    def test_a_pipe_is_no_piece(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.ts")
        with pytest.raises(MediaError, match="which is no file"):
            parts_of(playlist(tmp_path, "#EXTINF:2,", "pipe.ts"))

    @pytest.mark.parametrize(
        ("line", "told"),
        [
            ("#EXT-X-STREAM-INF:BANDWIDTH=1", "offers several versions"),
            ('#EXT-X-KEY:METHOD=AES-128,URI="key"', "is encrypted"),
            ("#EXT-X-BYTERANGE:100@0", "cuts up one file"),
            ("#EXTINF:1e99,", "as the length of a piece"),
            ("#EXTINF:nan,", "as the length of a piece"),
            ("#EXTINF:-5,", "as the length of a piece"),
        ],
    )
    def test_what_is_not_plain(self, tmp_path, line, told):
        make_pieces(tmp_path, "ts", "ac3")
        with pytest.raises(MediaError, match=told):
            open_media(playlist(tmp_path, line, "p0.ts"), None)

    @pytest.mark.parametrize(
        ("name", "text", "kind"),
        [
            ("a.m3u", "#EXTM3U\n#EXTINF:3,Song\np0.ts\n", "an M3U playlist"),
            ("a.m3u", "p0.ts\n", "a list or text file"),
            ("a.txt", "ffconcat version 1.0\nfile p0.ts\n", "ffconcat"),
            ("a.concat", "file p0.ts\n", "a list or text file"),
            ("a.pls", "[playlist]\nFile1=p0.ts\n", "PLS"),
            ("a.mpd", '<?xml version="1.0"?>\n<MPD type="static"></MPD>', "DASH"),
            ("film.mp4", '<?xml version="1.0"?>\n<MPD type="static"></MPD>', "DASH"),
            ("a.sdp", "v=0\no=- 0 0 IN IP4 1.2.3.4\nm=audio 5004 RTP/AVP 0\n", "SDP"),
            ("a.asx", "<asx version='3'><entry><ref href='p0.ts'/></entry></asx>", "ASX"),
        ],
    )
    def test_other_lists(self, tmp_path, name, text, kind):
        make_pieces(tmp_path, "ts", "ac3")
        (tmp_path / name).write_text(text)
        for look in (lambda p: open_media(p, None), parts_of):
            with pytest.raises(MediaError, match=kind):
                look(tmp_path / name)

    @pytest.mark.parametrize(
        ("text", "form"),
        [
            ("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\np0.ts\n#EXT-X-ENDLIST\n", "hls"),
            ("ffconcat version 1.0\nfile p0.ts\n", "concat"),
        ],
    )
    def test_libav_itself_can_open_nothing_that_a_file_names(self, tmp_path, text, form):
        make_pieces(tmp_path, "ts", "ac3")
        path = tmp_path / "list"
        path.write_text(text)
        with (
            pytest.raises((av.FFmpegError, OSError)),
            av.open(MediaSource([path]), format=form, container_options=NO_PROTOCOL) as file,
        ):
            next(file.decode(audio=0))


class TestIdentity:
    def test_a_plain_file_is_its_own_only_part(self, tmp_path):
        [piece, *_] = make_pieces(tmp_path, "ts", "ac3")
        assert parts_of(piece) == (piece,)
        assert read_playlist(piece) is None

    def test_parts_in_order(self, tmp_path):
        pieces = make_pieces(tmp_path, "ts", "ac3")
        path = plain(tmp_path, "ts")
        assert parts_of(path) == (path, *pieces)

    def test_every_piece_counts(self, tmp_path):
        pieces = make_pieces(tmp_path, "ts", "ac3")
        path = plain(tmp_path, "ts")
        whole = media_digest(path)
        content = pieces[2].read_bytes()
        pieces[2].unlink()
        without = media_digest(path)
        pieces[2].write_bytes(content[::-1])
        other = media_digest(path)
        pieces[2].write_bytes(content)
        assert media_digest(path) == whole
        assert len({whole, without, other}) == 3


class TestSource:
    @pytest.mark.parametrize("seed", range(5))
    def test_patches_and_joints_at_any_place(self, tmp_path, seed):
        dice = np.random.default_rng(seed)
        parts = [bytes(dice.bytes(size)) for size in (100, 1, 0, 57)]
        paths = []
        for number, part in enumerate(parts):
            paths.append(tmp_path / str(number))
            paths[-1].write_bytes(part)
        shown = bytearray(b"".join(parts))
        patches = []
        for at in (3, 98, 150):
            patches.append(Patch(at=at, data=bytes(dice.bytes(5))))
            shown[at : at + 5] = patches[-1].data
        source = MediaSource(paths, patches)
        assert source.size == len(shown)
        for _ in range(200):
            at, length = int(dice.integers(0, 170)), int(dice.integers(0, 90))
            source.seek(at)
            assert source.read(length) == bytes(shown[at : at + length])
        assert source.seek(-5, os.SEEK_END) == len(shown) - 5
        source.close()
