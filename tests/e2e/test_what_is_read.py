"""What a run does with what the reader finds: losses, silent tracks, playlists, languages."""

from __future__ import annotations

import unicodedata
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.e2e.support import (
    FAULTY,
    RATE,
    Running,
    Samples,
    document,
    journal,
    longscribe,
    options,
    outputs,
    sample_audio,
    write_flac,
    write_wav,
)
from tests.media_samples import Track, write

pytestmark = pytest.mark.needs_model

PIECE = 6
"""Seconds."""


def floats(audio: Samples) -> np.ndarray:
    return (audio.astype(np.float32) / 32768).reshape(1, -1)


def covered(told: dict) -> float:
    """Return the seconds that the coverage accounts for; its entries must follow one another."""
    at = 0.0
    for entry in told["coverage"]["entries"]:
        assert entry["start"] == pytest.approx(at, abs=0.002)
        at = entry["end"]
    return at


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A playlist of three pieces of the sample."""
    audio = sample_audio()
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:6"]
    for number in range(3):
        piece = floats(audio[number * PIECE * RATE : (number + 1) * PIECE * RATE])
        track = Track(sound=np.repeat(piece, 3, axis=1), rate=48_000, codec="ac3")
        offset = {"output_ts_offset": str(PIECE * number)}
        write(tmp_path / f"piece{number}.ts", track, options=offset)
        lines += [f"#EXTINF:{PIECE},", f"piece{number}.ts"]
    path = tmp_path / "talk.m3u8"
    path.write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    return path


class TestPlaylists:
    def test_a_missing_piece_is_a_gap_until_it_is_there(self, talk: Path, tmp_path: Path) -> None:
        piece = talk.with_name("piece1.ts")
        content = piece.read_bytes()
        piece.unlink()
        out = tmp_path / "out"
        first = longscribe("transcribe", talk, *options(out))
        assert first.status == 3, first.err
        assert "missing: 0:00:06 to 0:00:12, piece1.ts of the playlist is missing" in first.err
        told = document(out, "talk")
        [gap] = told["gaps"]
        assert (gap["start"], gap["end"]) == pytest.approx((6.0, 12.0), abs=0.2)
        assert covered(told) == pytest.approx(told["duration"], abs=0.002)
        assert {e["kind"] for e in told["coverage"]["entries"]} >= {"text", "gap"}
        written = outputs(out, "talk")
        again = longscribe("transcribe", talk, *options(out))  # from the journal's plan
        assert again.status == 3
        assert outputs(out, "talk") == written
        status = longscribe("status", out / "talk.longscribe")
        assert "piece1.ts of the playlist is missing" in status.out + status.err

        piece.write_bytes(content)
        mended = longscribe("transcribe", talk, *options(out))
        assert mended.status == 0, mended.err
        assert document(out, "talk")["gaps"] == []

    def test_a_list_of_another_kind(self, talk: Path, tmp_path: Path) -> None:
        path = talk.with_name("talk.concat")
        path.write_text("ffconcat version 1.0\nfile piece0.ts\n")
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert done.status == 1
        assert "it names other files" in done.error_line()

    def test_a_name_outside(self, talk: Path, tmp_path: Path) -> None:
        talk.write_text(talk.read_text().replace("piece1.ts", "/etc/passwd"))
        done = longscribe("transcribe", talk, *options(tmp_path / "out"))
        assert done.status == 1
        assert "does not lie in its own folder" in done.error_line()


class TestClaims:
    def test_a_jump_of_a_thousand_hours(self, tmp_path: Path) -> None:
        sound = floats(sample_audio()[: 16 * RATE])
        track = Track(
            sound=sound,
            rate=RATE,
            codec="flac",
            format="s16",
            retime=lambda t: t if t < 8 else t + 3_600_000,
        )
        path = write(tmp_path / "gap.mka", track)
        done = longscribe("transcribe", path, *options(tmp_path / "out", "--keep-audio"))
        assert done.status == 3, done.err
        told = document(tmp_path / "out", "gap")
        assert told["duration"] < 20
        assert covered(told) == pytest.approx(told["duration"], abs=0.002)
        [gap] = told["gaps"]
        assert "the timestamps jump by 1000.0 h" in gap["reason"]
        spool = tmp_path / "out" / "gap.longscribe" / "audio.s16"
        assert spool.stat().st_size < 20 * RATE * 2

    def test_an_unfinished_spool_goes_with_a_failure(self, tmp_path: Path) -> None:
        """The file turns out to hold no sound, once reading has begun."""
        path = write(
            tmp_path / "a.m4a", Track(sound=floats(sample_audio()), rate=RATE, codec="aac")
        )
        content = path.read_bytes()
        start = content.index(b"mdat") + 4
        size = int.from_bytes(content[start - 8 : start - 4], "big") - 8
        path.write_bytes(content[:start] + b"\xff" * size + content[start + size :])
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert done.status == 1
        assert "no sound" in done.error_line()
        assert not (tmp_path / "out" / "a.longscribe" / "audio.s16").exists()

    def test_a_header_that_tells_of_a_third(self, tmp_path: Path) -> None:
        audio = sample_audio()[: 18 * RATE]
        whole = write_wav(tmp_path / "whole.wav", audio)
        path = tmp_path / "died.wav"
        content = bytearray(whole.read_bytes())
        at = content.index(b"data") + 4
        content[at : at + 4] = (6 * RATE * 2).to_bytes(4, "little")
        path.write_bytes(content)
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert done.status == 0, done.err
        assert "the header tells of 33.3% of the audio that is there" in done.err
        longscribe("transcribe", whole, *options(tmp_path / "out"))
        assert (tmp_path / "out" / "died.txt").read_bytes() == (
            tmp_path / "out" / "whole.txt"
        ).read_bytes()


class TestHardlyAnySpeech:
    def film(self, path: Path, *tracks: tuple[np.ndarray, str, str, bool]) -> Path:
        """Write tracks of (sound, language, title, default)."""
        with av.open(str(path), "w") as container:
            streams = []
            for _, language, title, default in tracks:
                stream = container.add_stream("flac", rate=RATE)
                stream.codec_context.layout, stream.codec_context.format = "mono", "s16"
                stream.metadata.update({"language": language, "title": title})
                chosen = av.stream.Disposition.default if default else av.stream.Disposition(0)
                stream.disposition = chosen
                streams.append(stream)
            for (sound, *_), stream in zip(tracks, streams, strict=True):
                frame = av.AudioFrame.from_ndarray(
                    sound.reshape(1, -1), format="s16", layout="mono"
                )
                frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            for stream in streams:
                container.mux(stream.encode(None))
        return path

    def test_two_tracks(self, tmp_path: Path) -> None:
        voice = sample_audio()[: 12 * RATE]
        silent = np.zeros_like(voice)
        path = self.film(
            tmp_path / "a.mkv", (silent, "eng", "Mic", True), (voice, "eng", "Desktop", False)
        )
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert done.status == 0
        assert (
            "No speech was found in audio track 0 (“Mic”, eng, flac, 1 channel, default); "
            "it is digital silence throughout. There is also audio track 1 "
            "(“Desktop”, eng, flac, 1 channel): choose one with --audio-track." in done.err
        )
        again = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert "No speech was found in audio track 0" in again.err
        chosen = longscribe("transcribe", path, *options(tmp_path / "out"), "--audio-track", 1)
        assert "speech was found" not in chosen.err

    def test_three_tracks_in_three_languages(self, tmp_path: Path) -> None:
        hiss = (np.random.default_rng(0).normal(size=12 * RATE) * 3).astype(np.int16)
        tracks = [(hiss, language, "", language == "ger") for language in ("eng", "ger", "fre")]
        path = self.film(tmp_path / "a.mkv", *tracks)
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert "audio track 1 (ger, flac, 1 channel, default); its loudest sample is at" in done.err
        assert "audio track 0 (eng" in done.err
        assert "audio track 2 (fre" in done.err

    def test_one_silent_track(self, tmp_path: Path) -> None:
        path = write_flac(tmp_path / "a.flac", np.zeros(12 * RATE, dtype=np.int16))
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert "it is digital silence throughout." in done.err
        assert "There is also" not in done.err

    def test_speech_needs_no_word(self, with_glossary) -> None:
        assert "speech was found" not in with_glossary.outcome.err


class TestQuiet:
    def test_it_reads_the_same_words(self, media: Path, tmp_path: Path) -> None:
        aloud = sample_audio()[: 18 * RATE].astype(np.float32) / 32768
        peak = np.abs(aloud).max()
        quiet = (aloud / peak * 10 ** (-55 / 20)).reshape(1, -1)
        path = write(
            tmp_path / "quiet.flac", Track(sound=quiet, rate=RATE, codec="flac", format="s32")
        )
        done = longscribe("transcribe", path, *options(tmp_path / "out"))
        assert done.status == 0
        assert "the recording is very quiet" in done.err
        words = (tmp_path / "out" / "quiet.txt").read_text().split()
        assert len(words) > 20


@pytest.mark.parametrize("kind", ["a missing piece", "quiet and inverted"])
def test_killed_and_gone_on_with_it_is_the_same(kind: str, talk: Path, tmp_path: Path) -> None:
    if kind == "a missing piece":
        talk.with_name("piece0.ts").unlink()
        path = talk
    else:
        quiet = floats(sample_audio()[: 14 * RATE]) * np.float32(0.005)
        sound = np.concatenate([quiet, -quiet])
        track = Track(sound=sound, rate=RATE, codec="flac", format="s32", layout="stereo")
        path = write(tmp_path / "quiet.flac", track)

    def command(out: Path) -> list[str | Path]:
        return ["transcribe", path, *options(out, recognizer=FAULTY)]

    calm = longscribe(*command(tmp_path / "calm"))
    assert calm.status == (3 if path is talk else 0), calm.err
    env = {"FAULT": "wait:0", "FAULT_DIR": str(tmp_path)}
    with Running(*command(tmp_path / "killed"), env=env) as run:
        run.wait_for((tmp_path / "waiting-0").exists)
        run.kill()
    resumed = longscribe(*command(tmp_path / "killed"))
    assert resumed.status == calm.status, resumed.err
    assert outputs(tmp_path / "killed", path.stem) == outputs(tmp_path / "calm", path.stem)


class TestOneLanguage:
    def run(self, media: Path, out: Path, *more: str):
        recognizer = options(out, *more, recognizer="tests.e2e.one_language:load")
        return longscribe("transcribe", media / "tiny.flac", *recognizer)

    def test_it_is_said_that_the_language_was_not_found_out(self, media, tmp_path) -> None:
        done = self.run(media, tmp_path / "out")
        assert done.status == 0, done.err
        assert "This model knows only English, and no --language was given" in done.err

    def test_nothing_is_said_where_it_was_named(self, media, tmp_path) -> None:
        done = self.run(media, tmp_path / "out", "--language", "en")
        assert "knows only" not in done.err

    def test_another_language_is_refused(self, media, tmp_path) -> None:
        done = self.run(media, tmp_path / "out", "--language", "de")
        assert done.status == 1
        assert "does not know the language 'de'. It knows: en." in done.error_line()

    def test_text_is_composed(self, media, tmp_path) -> None:
        """The recognizer of this test writes ä as two characters."""
        done = self.run(media, tmp_path / "out", "--language", "en")
        assert done.status == 0, done.err
        for content in outputs(tmp_path / "out", "tiny").values():
            text = content.decode()
            assert "\u00e4" in text or "\\u00e4" in text
            assert unicodedata.is_normalized("NFC", text)
        events = journal(tmp_path / "out" / "tiny.longscribe")
        assert any(event["type"] == "run_finished" for event in events)
