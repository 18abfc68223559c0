"""Bad input: one clear line, the right exit status, and nothing written before is lost."""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from demo.score import word_error_rate
from tests.e2e import support
from tests.e2e.conftest import TINY_SECONDS, Finished
from tests.e2e.support import (
    GLOSSARY,
    MODEL,
    RATE,
    Outcome,
    document,
    finished_chunks,
    journal,
    longscribe,
    options,
    outputs,
    reference,
    sample_audio,
    write_flac,
    write_wav,
)

pytestmark = pytest.mark.needs_model


def transcribe(media: Path, out: Path, *more: str | Path) -> Outcome:
    return longscribe("transcribe", media, *options(out, *more))


def assert_refused(outcome: Outcome, status: int, *says: str) -> None:
    line = outcome.error_line()
    assert outcome.status == status, line
    assert line.startswith("error: ")
    for words in says:
        assert words in line


# --- media -------------------------------------------------------------------


def test_a_missing_file(tmp_path: Path) -> None:
    outcome = transcribe(tmp_path / "absent.flac", tmp_path / "out")
    assert_refused(outcome, 2, "There is no file", "absent.flac")
    assert not (tmp_path / "out").exists()


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").mkdir()
    assert_refused(transcribe(tmp_path / "film.mp4", tmp_path / "out"), 2, "is a directory")


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    assert_refused(transcribe(tmp_path / "empty.mp3", tmp_path / "out"), 1, "empty")


@pytest.mark.parametrize("name", ["film.mp4", "talk.mp3", "talk.wav", "talk.ogg", "film.mkv"])
def test_a_text_file_by_another_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("Good evening. This is only text.\n" * 200)
    outcome = transcribe(path, tmp_path / "out")
    assert_refused(outcome, 1, name)
    assert outputs(tmp_path / "out", path.stem) == {}


def test_noise_by_another_name(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(np.random.default_rng(1).bytes(300_000))
    assert_refused(transcribe(path, tmp_path / "out"), 1, "film.mp4")


def test_a_video_without_sound(tmp_path: Path) -> None:
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for _ in range(50):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    assert_refused(transcribe(path, tmp_path / "out"), 1, "no audio")


def test_a_track_that_is_not_there(media: Path, tmp_path: Path) -> None:
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", "--audio-track", "3")
    assert_refused(outcome, 2, "3")


def test_sound_of_no_length(tmp_path: Path) -> None:
    """A header and not one sample: nothing is missing, nothing was said."""
    path = tmp_path / "nothing.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
    outcome = transcribe(path, tmp_path / "out")
    assert "Traceback" not in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.status in {0, 1}
    if outcome.status == 0:
        assert document(tmp_path / "out", "nothing")["coverage"]["entries"] == []


def test_only_silence_is_an_empty_transcript(tmp_path: Path) -> None:
    path = write_flac(tmp_path / "quiet.flac", np.zeros(40 * RATE, np.int16))
    outcome = transcribe(path, tmp_path / "out")
    assert outcome.status == 0
    found = document(tmp_path / "out", "quiet")
    assert found["text"] == ""
    assert found["segments"] == found["gaps"] == []
    assert found["complete"] is True
    [entry] = found["coverage"]["entries"]
    assert (entry["start"], entry["end"], entry["kind"]) == (0, 40, "silence")
    assert set(outputs(tmp_path / "out", "quiet")) == set(support.FORMATS)
    assert outputs(tmp_path / "out", "quiet")["vtt"].startswith(b"WEBVTT")
    assert "worker_ready" not in support.kinds(journal(tmp_path / "out" / "quiet.longscribe"))
    assert transcribe(path, tmp_path / "out").status == 0


def test_a_truncated_file_gives_its_text_and_a_declared_gap(media: Path, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "cut.wav", sample_audio()[: 40 * RATE])
    path.write_bytes(path.read_bytes()[: 20 * RATE * 2])
    for _ in range(2):  # the second run knows it from the journal
        outcome = transcribe(path, tmp_path / "out", "--glossary", GLOSSARY)
        assert outcome.status == 3
        assert "Traceback" not in outcome.err
        found = document(tmp_path / "out", "cut")
        assert "Annabell" in found["text"]
        [gap] = found["gaps"]
        assert gap["start"] == pytest.approx(20, abs=0.1)
        assert gap["end"] == pytest.approx(40, abs=0.1)
        assert found["coverage"]["seconds"]["gap"] == pytest.approx(20, abs=0.1)
        for extension in ("srt", "vtt", "txt", "tsv"):
            assert b"[not transcribed: " in outputs(tmp_path / "out", "cut")[extension]
    assert finished_chunks(journal(tmp_path / "out" / "cut.longscribe")) == [0]


def test_a_truncated_flac(media: Path, tmp_path: Path) -> None:
    content = (media / "tiny.flac").read_bytes()
    path = tmp_path / "tiny.flac"
    path.write_bytes(content[: len(content) // 2])
    outcome = transcribe(path, tmp_path / "out", "--glossary", GLOSSARY)
    assert outcome.status == 3
    found = document(tmp_path / "out", "tiny")
    assert "Annabell" in found["text"]
    assert found["gaps"][-1]["end"] == pytest.approx(TINY_SECONDS, abs=0.2)


def test_telephone_sound(tmp_path: Path) -> None:
    audio = sample_audio()[: round(TINY_SECONDS * RATE)]
    telephone = ((audio[::2].astype(np.int32) + audio[1::2]) // 2).astype(np.int16)
    path = write_wav(tmp_path / "call.wav", telephone, rate=8000)
    outcome = transcribe(path, tmp_path / "out", "--glossary", GLOSSARY)
    assert outcome.status == 0
    found = document(tmp_path / "out", "call")
    assert found["duration"] == pytest.approx(TINY_SECONDS, abs=0.05)
    # The small model knows wide-band sound best; most of the words must be there all the same.
    assert word_error_rate(reference(TINY_SECONDS), found["text"]) < 0.5


def test_cinema_sound(tmp_path: Path) -> None:
    """7.1: what is spoken comes from the front centre."""
    audio = sample_audio()[: round(TINY_SECONDS * RATE)]
    channels = np.zeros((len(audio), 8), np.int16)
    channels[:, 2] = audio
    path = write_wav(tmp_path / "cinema.wav", channels, layout="7.1")
    outcome = transcribe(path, tmp_path / "out", "--glossary", GLOSSARY)
    assert outcome.status == 0
    assert "story of a light" in document(tmp_path / "out", "cinema")["text"]


# --- glossary and options ----------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("names.txt", b"Annabell\n\n# fine\nRosalynd | a | b\n", 4),
        ("names.txt", b"Annabell |\n", 1),
        ("names.txt", "Annabell\nJos\u00e9\n".encode("latin-1"), 2),
        ("names.csv", b"term,weight\nAnnabell,1\nRosalynd,heavy\n", 3),
        ("names.csv", b"term,start,end\nAnnabell,10,5\n", 2),
        ("names.csv", b"name,weight\nAnnabell,1\n", 1),
    ],
)
def test_a_bad_glossary_line(
    name: str, content: bytes, line: int, media: Path, tmp_path: Path
) -> None:
    names = tmp_path / name
    names.write_bytes(content)
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", "--glossary", names)
    assert_refused(outcome, 2, f"{name}, line {line}:")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("names.txt", "", "names.txt is empty"),
        ("names.txt", "# Rosalynd\n", "names.txt holds no terms"),
        ("names.csv", "term,weight\n", "names.csv holds no terms"),
        ("names.json", "{}", "names.json holds no terms"),
    ],
)
def test_a_glossary_without_terms(
    name: str, content: str, says: str, media: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", "--glossary", tmp_path / name)
    assert_refused(outcome, 2, says)
    assert not (tmp_path / "out").exists()


def test_a_glossary_that_is_not_there(media: Path, tmp_path: Path) -> None:
    names = tmp_path / "absent.txt"
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", "--glossary", names)
    assert_refused(outcome, 2, "absent.txt")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--language", "klingon"], "klingon"),
        (["--batch-size", "0"], "--batch-size"),
        (["--chunk-duration", "5"], "--chunk-duration"),
        (["--device", "abacus"], "abacus"),
        (["-f", "docx"], "docx"),
        (["--recognizer", "nonesuch"], "nonesuch"),
        (["--bias-stride", "90"], "stride"),
        (["--prompt-tokens", "500"], "--prompt-tokens"),
    ],
)
def test_an_option_out_of_range(more: list[str], says: str, media: Path, tmp_path: Path) -> None:
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", *more)
    assert_refused(outcome, 2, says)
    assert not (tmp_path / "out").exists()


def test_an_option_that_does_not_exist(media: Path, tmp_path: Path) -> None:
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", "--colour", "red")
    assert outcome.status == 2
    assert "--colour" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--device", "cuda"], "CUDA"),
        (["--device", "mps"], "mps"),
        (["--compute-type", "int3"], "int3"),
        (["--recognizer", "tests.e2e.nowhere:load"], "tests.e2e.nowhere"),
    ],
)
def test_what_the_engine_can_not_do(
    more: list[str], says: str, media: Path, tmp_path: Path
) -> None:
    outcome = transcribe(media / "tiny.flac", tmp_path / "out", *more)
    assert_refused(outcome, 1, says)


# --- models ------------------------------------------------------------------


def with_model(media: Path, out: Path, model: str | Path, **env: str) -> Outcome:
    given = ["--model", model, "-o", out, "--language", "en"]
    return longscribe("transcribe", media / "tiny.flac", *given, env=env)


def test_an_unknown_model(media: Path, tmp_path: Path) -> None:
    outcome = with_model(media, tmp_path / "out", "large-v3-trubo")
    assert_refused(outcome, 2, "large-v3-trubo", "Did you mean 'large-v3-turbo'?")


@pytest.mark.parametrize(
    "missing", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"]
)
def test_a_model_that_lacks_a_file(missing: str, media: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    (model / missing).unlink()
    assert_refused(with_model(media, tmp_path / "out", model), 1, missing)


@pytest.mark.parametrize("broken", ["model.bin", "config.json", "tokenizer.json"])
def test_a_model_with_a_broken_file(broken: str, media: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    for file in MODEL.iterdir():
        content = file.read_bytes()
        (model / file.name).write_bytes(content[:1000] if file.name == broken else content)
    assert_refused(with_model(media, tmp_path / "out", model), 1)


def test_a_model_directory_that_is_not_there(media: Path, tmp_path: Path) -> None:
    assert_refused(with_model(media, tmp_path / "out", tmp_path / "model"), 1, "no model directory")


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_model_that_can_not_be_fetched(offline: str, media: Path, tmp_path: Path) -> None:
    """Offline by setting, and by a hub that does not answer."""
    outcome = with_model(
        media, tmp_path / "out", "tiny",
        HF_HUB_OFFLINE=offline, HF_HOME=str(tmp_path / "hf"), HF_ENDPOINT="http://127.0.0.1:9",
    )  # fmt: skip
    assert_refused(outcome, 1, "'tiny'", "hf download", "--model")


# --- places that can't be written --------------------------------------------


def test_a_file_in_the_place_of_the_output_folder(media: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    assert_refused(transcribe(media / "tiny.flac", tmp_path / "out"), 2, str(tmp_path / "out"))
    assert (tmp_path / "out").read_text() == "mine"


def test_a_file_above_the_output_folder(media: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    assert_refused(transcribe(media / "tiny.flac", tmp_path / "file" / "out"), 2, "file")


def test_a_folder_in_the_place_of_an_output(media: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "tiny.srt").mkdir(parents=True)
    assert_refused(transcribe(media / "tiny.flac", tmp_path / "out"), 2, "tiny.srt")


def test_a_file_in_the_place_of_the_job_folder(media: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tiny.longscribe").write_text("mine")
    assert_refused(transcribe(media / "tiny.flac", tmp_path / "out"), 2, "tiny.longscribe")
    assert (tmp_path / "out" / "tiny.longscribe").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place nobody may write: /proc")
def test_an_output_folder_that_may_not_be_written(media: Path) -> None:
    assert_refused(transcribe(media / "tiny.flac", Path("/proc/longscribe")), 2, "/proc/longscribe")


def test_a_job_folder_that_holds_something_else(media: Path, tmp_path: Path) -> None:
    job = tmp_path / "out" / "tiny.longscribe"
    job.mkdir(parents=True)
    (job / "job.db").write_text("my diary\n" * 1000)
    outcome = transcribe(media / "tiny.flac", tmp_path / "out")
    assert_refused(outcome, 1, "job.db")
    assert (job / "job.db").read_text() == "my diary\n" * 1000


def test_a_damaged_journal_is_refused_and_left_alone(run_once, media: Path, tmp_path: Path) -> None:
    plain: Finished = run_once("tiny", media / "tiny.flac")
    out = tmp_path / "out"
    shutil.copytree(plain.out, out)
    database = out / "tiny.longscribe" / "job.db"
    content = bytearray(database.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    database.write_bytes(content)
    before = outputs(out, "tiny")
    assert_refused(transcribe(media / "tiny.flac", out), 1, "job.db", "damaged")
    assert database.read_bytes() == content
    assert outputs(out, "tiny") == before
    assert_refused(longscribe("status", out / "tiny.longscribe"), 1, "job.db")


# --- no room -----------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 5 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(where)]
    if (
        shutil.which("mount") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("a small disk can't be mounted here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def of_unknown_length(source: Path, path: Path) -> Path:
    """Copy a FLAC file, with the length in its header left open."""
    content = bytearray(source.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    path.write_bytes(content)
    return path


def test_a_disk_without_room_for_the_recording(media: Path, small_disk: Path) -> None:
    """Where the header says how long it is, nothing is begun that can't be finished."""
    outcome = transcribe(media / "long.flac", small_disk)
    assert_refused(outcome, 1, "its audio takes 5 MB")
    assert not (small_disk / "long.longscribe" / "audio.s16").exists()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert transcribe(media / "long.flac", small_disk).status == 0


def test_a_disk_that_fills_while_the_media_is_read(
    media: Path, small_disk: Path, tmp_path: Path
) -> None:
    """The long excerpt needs 5.3 MB of spool: two chunks of three fit."""
    long = of_unknown_length(media / "long.flac", tmp_path / "long.flac")
    outcome = transcribe(long, small_disk, "--glossary", GLOSSARY)
    assert outcome.status == 1, outcome.err
    assert "Traceback" not in outcome.err
    [line] = [line for line in outcome.err.splitlines() if line.startswith("error:")]
    assert "room" in line or "space" in line
    told = journal(small_disk / "long.longscribe")
    assert finished_chunks(told)[:1] == [0]
    for content in outputs(small_disk, "long").values():
        assert content.endswith(b"\n")
    assert b"Annabell" in outputs(small_disk, "long")["txt"]

    # Still no room: the same line again, nothing lost.
    again = transcribe(long, small_disk, "--glossary", GLOSSARY)
    assert again.status == 1
    assert "Traceback" not in again.err, again.err
    assert b"Annabell" in outputs(small_disk, "long")["txt"]

    # Room is made: it goes on.
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    final = transcribe(long, small_disk, "--glossary", GLOSSARY)
    assert final.status == 0, final.err
    assert finished_chunks(journal(small_disk / "long.longscribe")).count(0) == 1


def test_a_disk_that_is_full_from_the_start(run_once, media: Path, small_disk: Path) -> None:
    """A finished job, another run that has to write, and not a byte left."""
    plain: Finished = run_once("tiny", media / "tiny.flac")
    shutil.copytree(plain.out, small_disk, dirs_exist_ok=True)
    before = outputs(small_disk, "tiny")
    filler = small_disk / "filler"
    with contextlib.suppress(OSError):
        filler.write_bytes(b"x" * 2**23)
    outcome = transcribe(media / "tiny.flac", small_disk, "--beam-size", "2")
    assert outcome.status == 1, outcome.err
    assert_refused(outcome, 1)
    assert outputs(small_disk, "tiny") == before
    filler.unlink()
    outcome = transcribe(media / "tiny.flac", small_disk, "--beam-size", "2")
    assert outcome.status == 0, outcome.err


@pytest.mark.parametrize("limit", [300_000, 60_000, 3_000])
def test_a_file_size_limit(limit: int, run_once, media: Path, tmp_path: Path) -> None:
    """Reached by the spool first, then by the journal: one clear line, and it can go on."""
    plain: Finished = run_once("tiny", media / "tiny.flac")
    command = ["transcribe", media / "tiny.flac", *options(tmp_path)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    outcome = longscribe(*command, before=limited)
    assert_refused(outcome, 1)
    assert re.search(r"large|full|fails|room", outcome.err)
    assert longscribe(*command).status == 0
    assert outputs(tmp_path, "tiny") == outputs(plain.out, "tiny")


def test_nowhere_to_say_it(media: Path, tmp_path: Path) -> None:
    """`longscribe … 2>/dev/full`, or the terminal is gone: the work is done all the same."""
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "longscribe", "transcribe", str(media / "tiny.flac"),
             *options(tmp_path)],
            env=support.environment(), stderr=full, stdout=full, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "tiny.txt").stat().st_size > 100
