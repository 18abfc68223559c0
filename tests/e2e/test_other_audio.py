"""No words of other audio: whatever lies in the job folder, what is written was said in the media."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from longscribe.adapters.journal.folder import JobFolder
from tests.e2e.support import (
    RATE,
    Outcome,
    Running,
    document,
    journal,
    kinds,
    longscribe,
    options,
    outputs,
    python,
    runs,
    sample_audio,
    write_flac,
)

pytestmark = pytest.mark.needs_model

SECONDS = 20
OTHER_AT = 100
STEM = "tracks"


def write_tracks(path: Path, *tracks: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=RATE, layout="mono") for _ in tracks]
        for stream in streams:
            stream.codec_context.format = "s16"
        for at in range(0, len(tracks[0]), RATE):
            for stream, audio in zip(streams, tracks, strict=True):
                piece = np.ascontiguousarray(audio[at : at + RATE]).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = RATE, at, Fraction(1, RATE)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def folder(shared) -> Path:
    """`tracks.mka` with two tracks of one length, and each of them in a file of its own."""

    def make(folder: Path) -> None:
        audio = sample_audio()
        one = audio[: SECONDS * RATE]
        two = audio[OTHER_AT * RATE : (OTHER_AT + SECONDS) * RATE]
        write_tracks(folder / f"{STEM}.mka", one, two)
        write_flac(folder / "one.flac", one)
        write_flac(folder / "two.flac", two)

    return shared("tracks", make)


def transcribe(media: Path, out: Path, *more: str | Path) -> Outcome:
    return longscribe("transcribe", media, *options(out, "--language", "en", *more))


@pytest.fixture(scope="module")
def right(folder: Path, shared) -> Callable[[str], dict[str, bytes]]:
    """Return what is said in a file, as it stands in its outputs."""

    def make(out: Path) -> None:
        for name in ("one", "two"):
            done = transcribe(folder / f"{name}.flac", out)
            assert done.status == 0, done.err

    out = shared("right", make)
    return lambda name: {
        ext: said for ext, said in outputs(out, name).items() if ext in ("srt", "txt", "vtt", "tsv")
    }


def said(out: Path, stem: str) -> dict[str, bytes]:
    return {ext: text for ext, text in outputs(out, stem).items() if ext != "json"}


def job_of(out: Path, stem: str) -> Path:
    return out / f"{stem}.longscribe"


# --- another track, another option -----------------------------------------------------


def test_the_two_tracks_say_different_things(right) -> None:
    assert right("one")["txt"] != right("two")["txt"]


def test_a_track_is_not_told_with_the_words_of_another(folder: Path, tmp_path: Path, right) -> None:
    """B1: what an interrupted run over another track has spooled is not taken for ours."""
    media = folder / f"{STEM}.mka"
    first = transcribe(media, tmp_path, "--audio-track", "0")
    assert first.status == 0, first.err
    job = job_of(tmp_path, STEM)
    arguments = options(tmp_path, "--language", "en", "--audio-track", "1")
    with Running("transcribe", media, *arguments) as run:
        run.wait_for(lambda: kinds(journal(job)).count("media_ended") == 2)
        run.kill()
    assert (job / "audio.s16").stat().st_size == 2 * SECONDS * RATE
    again = transcribe(media, tmp_path, "--audio-track", "0", "--beam-size", "2")
    assert again.status == 0, again.err
    assert "media_opened" in kinds(runs(journal(job))[-1])
    other = transcribe(media, tmp_path / "fresh", "--audio-track", "0", "--beam-size", "2")
    assert other.status == 0, other.err
    assert outputs(tmp_path, STEM) == outputs(tmp_path / "fresh", STEM)


def test_kept_audio_of_another_track_is_not_taken(folder: Path, tmp_path: Path, right) -> None:
    """B2, with `--keep-audio`; and back to a result that is there."""
    media = folder / f"{STEM}.mka"
    for track, name in (("0", "one"), ("1", "two"), ("0", "one")):
        done = transcribe(media, tmp_path, "--audio-track", track, "--keep-audio")
        assert done.status == 0, done.err
        assert said(tmp_path, STEM) == right(name)


def test_other_media_of_one_length_in_each_others_place(
    folder: Path, tmp_path: Path, right
) -> None:
    """B2: two files of equal length."""
    here = tmp_path / "talk.flac"
    for name in ("one", "two", "one"):
        shutil.copyfile(folder / f"{name}.flac", here)
        done = transcribe(here, tmp_path, "--keep-audio")
        assert done.status == 0, done.err
        assert said(tmp_path, "talk") == right(name)
        if name == "two":
            assert "not what it was when this job was begun" in done.err


# --- what is done to the spool ---------------------------------------------------------


def zeros(spool: Path, other: Path) -> None:
    spool.write_bytes(bytes(spool.stat().st_size))


def cut(spool: Path, other: Path) -> None:
    with spool.open("r+b") as file:
        file.truncate(spool.stat().st_size // 2)


def grown(spool: Path, other: Path) -> None:
    with spool.open("ab") as file:
        file.write(bytes(64_000))


def swapped(spool: Path, other: Path) -> None:
    shutil.copyfile(other, spool)


def one_bit(spool: Path, other: Path) -> None:
    with spool.open("r+b") as file:
        file.seek(300_000)
        (byte,) = file.read(1)
        file.seek(300_000)
        file.write(bytes([byte ^ 1]))


def gone(spool: Path, other: Path) -> None:
    spool.unlink()


def label_gone(spool: Path, other: Path) -> None:
    spool.with_suffix(".plan").unlink()


@pytest.fixture(scope="module")
def kept(folder: Path, shared) -> Path:
    """Jobs of both files with their audio."""

    def make(out: Path) -> None:
        for name in ("one", "two"):
            assert transcribe(folder / f"{name}.flac", out, "--keep-audio").status == 0

    return shared("kept", make)


@pytest.fixture(scope="module")
def wider(folder: Path, shared) -> Path:
    """What a wider search says of the first file."""

    def make(out: Path) -> None:
        assert transcribe(folder / "one.flac", out, "--beam-size", "2").status == 0

    return shared("wider", make)


@pytest.mark.parametrize("harm", [zeros, cut, grown, swapped, one_bit, gone, label_gone])
def test_audio_that_is_not_what_was_planned_is_read_again(
    harm, folder: Path, kept: Path, wider: Path, tmp_path: Path
) -> None:
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    harm(job_of(tmp_path, "one") / "audio.s16", job_of(kept, "two") / "audio.s16")
    again = transcribe(folder / "one.flac", tmp_path, "--keep-audio", "--beam-size", "2")
    assert again.status == 0, again.err
    assert outputs(tmp_path, "one") == outputs(wider, "one")
    told = [e["message"] for e in journal(job_of(tmp_path, "one")) if e["type"] == "notice"]
    assert any("read again" in each for each in told) == (harm in (zeros, swapped, one_bit))


def test_the_language_is_not_told_from_other_audio(
    folder: Path, kept: Path, tmp_path: Path
) -> None:
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    zeros(job_of(tmp_path, "one") / "audio.s16", kept)
    again = longscribe("transcribe", folder / "one.flac", *options(tmp_path, "--keep-audio"))
    assert again.status == 0, again.err
    fresh = longscribe("transcribe", folder / "one.flac", *options(tmp_path / "fresh"))
    assert fresh.status == 0
    assert outputs(tmp_path, "one") == outputs(tmp_path / "fresh", "one")


def test_resume_and_replay_do_not_take_other_audio(
    folder: Path, kept: Path, tmp_path: Path, right
) -> None:
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    job = job_of(tmp_path, "one")
    swapped(job / "audio.s16", job_of(kept, "two") / "audio.s16")
    replayed = longscribe("replay", job, "0")
    assert replayed.status == 0, replayed.err
    text = (tmp_path / "one.txt").read_text(encoding="utf-8").split()
    assert text[:5] == replayed.out[replayed.out.index(text[0]) :].split()[:5]


RESUME = "import sys, longscribe; longscribe.resume(sys.argv[1])"


def test_resume_goes_on_with_the_right_audio(folder: Path, tmp_path: Path, right) -> None:
    arguments = options(tmp_path, "--language", "en")
    job = job_of(tmp_path, "one")
    with Running("transcribe", folder / "one.flac", *arguments) as run:
        run.wait_for(lambda: "media_ended" in kinds(journal(job)))
        run.kill()
    zeros(job / "audio.s16", job)
    done = python(RESUME, job)
    assert done.status == 0, done.err
    assert said(tmp_path, "one") == right("one")


def test_audio_that_is_false_again_ends_the_run_with_one_line(
    folder: Path, kept: Path, tmp_path: Path
) -> None:
    """A disk that keeps something else than was written: a chunk's digest never fits."""
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    job = job_of(tmp_path, "one")
    code = (
        "import sys\n"
        "from longscribe.adapters.journal.folder import SpoolFile\n"
        "SpoolFile.digest = lambda self, start, end: '0' * 32\n"
        "from longscribe.cli.main import main\n"
        "sys.argv[0] = 'longscribe'\n"
        "main()\n"
    )
    zeros(job / "audio.s16", job)
    arguments = options(tmp_path, "--language", "en", "--beam-size", "2")
    done = python(code, "transcribe", folder / "one.flac", *arguments)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "not what the media gave" in done.err.strip().splitlines()[-1]
    assert len([e for e in journal(job) if e["type"] == "run_failed"]) == 1


# --- the media itself ------------------------------------------------------------------


def test_media_that_changes_while_it_is_read_ends_the_run(folder: Path, tmp_path: Path) -> None:
    media = tmp_path / "talk.flac"
    shutil.copyfile(folder / "one.flac", media)
    code = (
        "import shutil, sys\n"
        "from longscribe import Options, events\n"
        "from longscribe.errors import MediaError\n"
        "media, other, out, model = sys.argv[1:]\n"
        "options = Options.build(model=model, output_dir=out, language='en', beam_size=1)\n"
        "try:\n"
        "    for event in events(media, options):\n"
        "        if event.type == 'media_opened':\n"
        "            shutil.copyfile(other, media)\n"
        "except MediaError as error:\n"
        "    print(error)\n"
    )
    model = Path(__file__).parents[2] / "demo" / "model"
    done = python(code, media, folder / "two.flac", tmp_path / "out", model)
    assert done.status == 0, done.err
    assert "talk.flac was changed while it was read" in done.out
    again = transcribe(media, tmp_path / "out")
    assert again.status == 0, again.err
    fresh = transcribe(media, tmp_path / "fresh")
    assert fresh.status == 0
    assert outputs(tmp_path / "out", "talk") == outputs(tmp_path / "fresh", "talk")


def test_an_edit_in_place_of_a_large_file_is_noticed(tmp_path: Path) -> None:
    """B3: five seconds muted, size unchanged, in a file of over 8 MiB."""
    media = tmp_path / "talk.wav"
    audio = sample_audio()[: SECONDS * RATE]
    with av.open(str(media), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        stream.codec_context.format = "s16"
        frame = av.AudioFrame.from_ndarray(audio.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with media.open("ab") as file:  # behind the audio: what makes a film large
        file.write(bytes(12 << 20))
    before = transcribe(media, tmp_path)
    assert before.status == 0, before.err
    text = document(tmp_path, "talk")["segments"]
    with media.open("r+b") as file:
        file.seek(44 + 2 * 8 * RATE)
        file.write(bytes(2 * 5 * RATE))
    after = transcribe(media, tmp_path)
    assert after.status == 0, after.err
    assert "not what it was when this job was begun" in after.err
    assert document(tmp_path, "talk")["segments"] != text


def test_a_folder_that_came_along_is_not_written_through(folder: Path, tmp_path: Path) -> None:
    """F8: `audio.s16` is a symbolic link to something of ours."""
    mine = tmp_path / "mine"
    for name in ("audio.s16", "audio.plan", "lock", "job.db", "job.db-wal"):
        job = tmp_path / name / "one.longscribe"
        job.mkdir(parents=True)
        mine.write_text("mine")
        (job / name).symlink_to(mine)
        done = transcribe(folder / "one.flac", tmp_path / name)
        assert done.status == 1, done.err
        assert f"{name} is a symbolic link" in done.error_line()
        assert mine.read_text() == "mine"


def test_a_label_is_only_there_with_whole_audio(folder: Path, tmp_path: Path) -> None:
    job = job_of(tmp_path, "one")
    assert transcribe(folder / "one.flac", tmp_path, "--keep-audio").status == 0
    with sqlite3.connect(job / "job.db") as db:
        ((plan,),) = db.execute("SELECT plan FROM recording").fetchall()
    spool = JobFolder(path=job).spool
    assert spool.holds(plan, SECONDS * RATE)
    spool.begin()
    assert not spool.holds(plan, SECONDS * RATE)
