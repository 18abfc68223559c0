"""The command and the library in surroundings that are not ours: signals, threads, pipes, folders."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longscribe import Options, events, resume, transcribe
from longscribe.errors import UsageError
from longscribe.job_events import (
    AttemptStarted,
    ChunkFinished,
    JobEvent,
    RunFinished,
    RunInterrupted,
)
from tests.e2e import support
from tests.e2e.support import FAULTY, MODEL, Outcome, environment, options, wait_until

pytestmark = pytest.mark.needs_model

IGNORE = "import os, signal, sys\nfor name in sys.argv[1].split(): signal.signal(getattr(signal, name), signal.SIG_IGN)\nos.execv(sys.executable, [sys.executable, '-m', 'longscribe', *sys.argv[2:]])\n"
"""Runs the command as `nohup` does: a program keeps the signals ignored that its starter ignored."""


def given(out: Path, **more: Any) -> Options:
    return Options(
        model=str(MODEL), output_dir=out, language="en", beam_size=1, output_format="txt", **more
    )  # fmt: skip


def command(*arguments: str | Path, cwd: Path | None = None, **more: Any) -> Outcome:
    done = subprocess.run(
        [sys.executable, "-m", "longscribe", *map(str, arguments)],
        env=environment(), cwd=cwd, capture_output=True, text=True, check=False, **more,
    )  # fmt: skip
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


def shell(line: str, cwd: Path, **more: str | Path) -> Outcome:
    """Run a line of bash in which `longscribe` is the command."""
    script = f'longscribe() {{ "{sys.executable}" -m longscribe "$@"; }}\n{line}'
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, cwd=cwd, check=False,
        env=environment({name: str(value) for name, value in more.items()}),
    )  # fmt: skip
    return Outcome(status=done.returncode, out=done.stdout, err=done.stderr)


def brief(out: Path | str) -> list[str]:
    return options(Path(out), "--language", "en", "-f", "txt")


# --- signals -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_that_was_ignored_at_the_start_stays_ignored(
    name: str, media: Path, tmp_path: Path
) -> None:
    env = {"FAULT": "wait:0", "FAULT_DIR": str(tmp_path)}
    arguments = ["transcribe", str(media / "tiny.flac"), *brief(tmp_path / "out")]
    arguments[arguments.index("faster-whisper")] = FAULTY
    with subprocess.Popen(
        [sys.executable, "-c", IGNORE, name, *arguments],
        env=environment(env), stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as run:  # fmt: skip
        wait_until((tmp_path / "waiting-0").exists)
        os.killpg(run.pid, getattr(signal, name))
        (tmp_path / "go").touch()
        _, told = run.communicate(timeout=support.PATIENCE)
    assert run.returncode == 0, told
    assert (tmp_path / "out" / "tiny.txt").stat().st_size > 100


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_that_was_not_ignored_interrupts(name: str, media: Path, tmp_path: Path) -> None:
    env = {"FAULT": "wait:0", "FAULT_DIR": str(tmp_path)}
    given_options = options(tmp_path / "out", "--language", "en", recognizer=FAULTY)
    with support.Running("transcribe", media / "tiny.flac", *given_options, env=env) as run:
        run.wait_for((tmp_path / "waiting-0").exists)
        run.process.send_signal(getattr(signal, name))
        assert run.finish().status == 130


def test_children_that_nobody_is_told_of(media: Path, tmp_path: Path) -> None:
    done = command("transcribe", media / "tiny.flac", *brief(tmp_path), preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))  # fmt: skip
    assert done.status == 0, done.err
    assert "Traceback" not in done.err


# --- a library in other people's processes -----------------------------------


def test_a_run_that_goes_from_thread_to_thread(media: Path, tmp_path: Path) -> None:
    """Each event in a thread of its own, as pools and servers do; started in one more."""
    made: list[JobEvent] = []
    runs = [events(media / "short.flac", given(tmp_path, chunking="on", chunk_duration=60))]

    def step() -> None:
        made.extend(event for event in [next(runs[0], None)] if event is not None)

    before = -1
    while len(made) > before:
        before = len(made)
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert isinstance(made[-1], RunFinished)
    assert made[-1].gaps == 0
    assert {event.type for event in made}.isdisjoint({"attempt_failed", "media_problem"})


def test_two_runs_in_a_pool_of_threads(media: Path, tmp_path: Path) -> None:
    def one(name: str) -> bool:
        return transcribe(media / "tiny.flac", given(tmp_path / name)).complete

    for _ in range(2):  # the second time the pool's first threads have gone
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(one, ["a", "b"])) == [True, True]


REAPER = """
import os, sys, threading, time, longscribe
done = threading.Event()
def reap():
    while not done.is_set():
        try: os.waitpid(-1, os.WNOHANG)
        except ChildProcessError: pass
        time.sleep(0.001)
threading.Thread(target=reap, daemon=True).start()
options = longscribe.Options(model=sys.argv[2], output_dir=sys.argv[3], language='en', beam_size=1,
    recognizer=sys.argv[4], retry_delay=0, output_format='txt')
print(longscribe.transcribe(sys.argv[1], options).complete)
done.set()
"""


@pytest.mark.parametrize("fault", ["", "once-crash:0", "once-exit:0"])
def test_a_program_that_reaps_all_children(
    fault: str, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAULT", fault)
    monkeypatch.setenv("FAULT_DIR", str(tmp_path))
    done = support.python(REAPER, media / "tiny.flac", MODEL, tmp_path / "out", FAULTY)
    assert (done.status, done.out) == (0, "True\n"), done.err


def test_a_run_is_cancelled_from_another_thread(media: Path, tmp_path: Path) -> None:
    run = events(media / "short.flac", given(tmp_path, chunking="on", chunk_duration=60))
    made: list[JobEvent] = []

    def follow() -> None:
        for event in run:
            made.append(event)
            if isinstance(event, AttemptStarted):
                started.set()

    started = threading.Event()
    thread = threading.Thread(target=follow)
    thread.start()
    assert started.wait(support.PATIENCE)
    run.cancel()
    thread.join(support.PATIENCE)
    assert isinstance(made[-1], RunInterrupted)
    assert run.cancelled
    told = support.journal(tmp_path / "short.longscribe")
    assert support.kinds(told)[-1] == "run_interrupted"
    assert next(run, None) is None
    assert transcribe(
        media / "short.flac", given(tmp_path, chunking="on", chunk_duration=60)
    ).complete


def test_a_run_is_cancelled_in_a_signal_handler(media: Path, tmp_path: Path) -> None:
    run = events(media / "tiny.flac", given(tmp_path))
    before = signal.signal(signal.SIGUSR2, lambda *_: run.cancel())
    try:
        for event in run:
            if isinstance(event, AttemptStarted):
                signal.raise_signal(signal.SIGUSR2)
        assert isinstance(event, RunInterrupted)
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_run_is_cancelled_before_it_begins(media: Path, tmp_path: Path) -> None:
    run = events(media / "tiny.flac", given(tmp_path))
    run.cancel()
    assert [event.type for event in run][-1] == "run_interrupted"


def test_leaving_the_context_interrupts(media: Path, tmp_path: Path) -> None:
    with events(media / "tiny.flac", given(tmp_path)) as run:
        next(run)
    assert support.kinds(support.journal(tmp_path / "tiny.longscribe"))[-1] == "run_interrupted"
    with pytest.raises(StopIteration):
        next(run)


def test_a_change_of_folder_in_the_middle_changes_nothing(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, elsewhere = tmp_path / "begun", tmp_path / "elsewhere"
    begun.mkdir()
    elsewhere.mkdir()
    shutil.copy(media / "short.flac", begun)
    (begun / "names.txt").write_text("Annabell\n")
    (begun / "model").symlink_to(MODEL)
    monkeypatch.chdir(begun)
    options = Options(
        model="model", glossary=Path("names.txt"), learn_glossary=Path("learnt.csv"),
        output_dir=Path("out"), output_format=("txt",), chunking="on", chunk_duration=60,
        beam_size=1, language="en",
    )  # fmt: skip
    run = events("short.flac", options)
    monkeypatch.chdir(elsewhere)  # before the first event, and again after it
    next(run)
    for event in run:
        if isinstance(event, ChunkFinished):
            monkeypatch.chdir(tmp_path)
    assert isinstance(event, RunFinished)
    assert sorted(path.name for path in begun.iterdir()) == [
        "learnt.csv", "model", "names.txt", "out", "short.flac",
    ]  # fmt: skip
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    "given_media",
    [np.zeros(16_000, np.float32), b"RIFF....", [0.0, 0.1], 7, None, open(os.devnull, "rb")],  # noqa: SIM115, PTH123
)
def test_what_is_no_path_is_refused_at_once(given_media: Any, tmp_path: Path) -> None:
    for call in (transcribe, events):
        with pytest.raises(UsageError, match="expected the path of a file"):
            call(given_media, given(tmp_path))
    with pytest.raises(UsageError, match="null character"):
        events("a\0b", given(tmp_path))
    with pytest.raises(UsageError, match="null character"):
        events("a.mp3", given(Path("a\0b")))
    assert list(tmp_path.iterdir()) == []


# --- folders that are gone ---------------------------------------------------

GONE = "mkdir gone && cd gone && rmdir ../gone && "


def test_the_current_folder_is_gone(media: Path, tmp_path: Path) -> None:
    shutil.copy(media / "tiny.flac", tmp_path)
    rest = " ".join(
        f"'{part}'" for part in brief(tmp_path / "out") if part not in {"-o", str(tmp_path / "out")}
    )
    none = shell(f"{GONE} longscribe transcribe tiny.flac {rest}", tmp_path)
    assert none.status == 2
    assert "The current folder is gone" in none.error_line()
    none = shell(f"{GONE} longscribe transcribe '{tmp_path}/tiny.flac' {rest}", tmp_path)
    assert none.status == 2
    assert "--output-dir" in none.error_line()
    whole = shell(
        f"{GONE} longscribe transcribe '{tmp_path}/tiny.flac' {rest} -o '{tmp_path}/out'", tmp_path
    )
    assert whole.status == 0, whole.err
    told = shell(f"{GONE} longscribe status tiny.longscribe", tmp_path)
    assert (told.status, "There is no job" in told.error_line()) == (1, True)


def test_neither_home_nor_a_folder_for_temporary_files(media: Path, tmp_path: Path) -> None:
    line = f"unset HOME; TMPDIR=/nonexistent longscribe transcribe '{media}/tiny.flac' " + " ".join(
        brief("out")
    )
    done = shell(line, tmp_path)
    assert done.status == 0, done.err


# --- pipes, and what is no file ----------------------------------------------


def test_media_come_through_a_pipe(media: Path, tmp_path: Path) -> None:
    plain = command("transcribe", media / "tiny.flac", *brief(tmp_path / "plain"))
    assert plain.status == 0, plain.err
    content = (media / "tiny.flac").read_bytes()
    words = (tmp_path / "plain" / "tiny.txt").read_bytes()
    for _ in range(2):  # the second time it is known
        done = command("transcribe", "-", *brief(tmp_path / "out"), stdin=_pipe(content))
        assert done.status == 0, done.err
        assert (tmp_path / "out" / "stdin.txt").read_bytes() == words
    told = support.journal(tmp_path / "out" / "stdin.longscribe")
    assert support.finished_chunks(told) == [0]
    assert not (tmp_path / "out" / "stdin.longscribe" / "received").exists()


def test_another_recording_through_the_pipe_does_not_take_the_place_of_the_first(
    media: Path, tmp_path: Path
) -> None:
    """Both would be called `stdin`: only their content tells them apart."""
    out = tmp_path / "out"
    first, other = (media / "tiny.flac").read_bytes(), (media / "short.flac").read_bytes()
    assert command("transcribe", "-", *brief(out), stdin=_pipe(first)).status == 0
    words = (out / "stdin.txt").read_bytes()
    refused = command("transcribe", "-", *brief(out), stdin=_pipe(other))
    assert refused.status == 2, refused.err
    assert "another recording" in refused.err
    assert (out / "stdin.txt").read_bytes() == words
    again = command("transcribe", "-", *brief(out), stdin=_pipe(first))
    assert again.status == 0, again.err


def _pipe(content: bytes) -> int:
    """The end of a pipe that a thread writes to."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as out:
            out.write(content)

    threading.Thread(target=write).start()
    return reading


@pytest.mark.parametrize(
    ("line", "stem"),
    [
        ("cat tiny.flac | longscribe transcribe /dev/stdin", "stdin"),
        ("longscribe transcribe <(cat tiny.flac)", "pipe"),
        ("mkfifo talk.fifo; cat tiny.flac > talk.fifo & longscribe transcribe talk.fifo", "talk"),
        ("longscribe transcribe - < tiny.flac", "stdin"),
    ],
)
def test_other_ways_through_a_pipe(line: str, stem: str, media: Path, tmp_path: Path) -> None:
    shutil.copy(media / "tiny.flac", tmp_path)
    done = shell(f"{line} {' '.join(brief('out'))}", tmp_path)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / f"{stem}.txt").stat().st_size > 100


def test_an_interrupted_job_from_a_pipe_is_gone_on_with(media: Path, tmp_path: Path) -> None:
    shutil.copy(media / "tiny.flac", tmp_path)
    os.mkfifo(tmp_path / "talk.fifo")
    writer = threading.Thread(
        target=lambda: (tmp_path / "talk.fifo").write_bytes((media / "tiny.flac").read_bytes())
    )
    writer.start()
    with events(tmp_path / "talk.fifo", given(tmp_path / "out")) as run:
        next(event for event in run if isinstance(event, AttemptStarted))
    writer.join()
    assert resume(tmp_path / "out" / "talk.longscribe").complete


def test_what_is_no_file_is_refused_and_the_rest_is_done(media: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "sock"))
        wrong = [
            "https://example.org/a.mp3",
            "/dev/zero",
            tmp_path / "sock",
            tmp_path / "absent.mp3",
        ]
        done = command("transcribe", *wrong, media / "tiny.flac", *brief(tmp_path / "out"))
    assert done.status == 2
    assert "Traceback" not in done.err
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    for line, says in zip(errors, ["curl", "is a device", "is a socket", "no file"], strict=True):
        assert says in line
    assert errors[-1].count("absent.mp3") == 1
    assert (tmp_path / "out" / "tiny.txt").stat().st_size > 100


@pytest.mark.parametrize("stdin", ["</dev/null", "<&-", "< empty"])
def test_nothing_comes_through_the_pipe(stdin: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    done = shell(f"longscribe transcribe - {' '.join(brief('out'))} {stdin}", tmp_path)
    assert done.status == 1
    assert "standard input" in done.error_line()
    assert not (tmp_path / "out" / "stdin.txt").exists()


# --- streams that are closed or full, readers that leave ---------------------


@pytest.mark.parametrize("streams", [">&- 2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_a_run_needs_no_streams(streams: str, media: Path, tmp_path: Path) -> None:
    shutil.copy(media / "tiny.flac", tmp_path)
    done = shell(f"longscribe transcribe tiny.flac {' '.join(brief('out'))} {streams}", tmp_path)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "tiny.txt").stat().st_size > 100


@pytest.mark.parametrize(
    "arguments", ["status {}", "inspect {}", "inspect --json {}", "bias-report {}"]
)
def test_results_that_can_not_be_written(
    arguments: str, without_glossary: Any, tmp_path: Path
) -> None:
    job = without_glossary.out / "short.longscribe"
    line = "longscribe " + arguments.format(f"'{job}'")
    full = shell(f"{line} >/dev/full", tmp_path)
    assert full.status == 1
    assert "Standard output can't be written" in full.error_line()
    left = shell(f"{line} | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert left.out.strip() in {"141", "0"}  # 0: it was quicker than `true`
    assert left.err == ""
    shut = shell(f"{line} >&-", tmp_path)
    assert (shut.status, shut.err) == (0, "")


def test_a_reader_that_leaves_after_the_first_line(without_glossary: Any, tmp_path: Path) -> None:
    job = without_glossary.out / "short.longscribe"
    done = shell(
        f"longscribe inspect '{job}' | (read -r line; exec <&-; sleep 0); echo ${{PIPESTATUS[0]}}",
        tmp_path,
    )
    assert done.err == ""
    assert done.out.strip() in {"141", "0"}


def test_a_name_in_arguments_commands_no_terminal(tmp_path: Path) -> None:
    for arguments in (["transcribe", "--\x1b]0;x\x07"], ["status", "\x1b[31mjob\u202e"]):
        done = command(*arguments, cwd=tmp_path)
        assert done.status in {1, 2}
        assert not {"\x1b", "\x07", "\u202e"} & set(done.out + done.err)
        assert r"\x1b" in done.err


def test_a_track_whose_title_is_a_command(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "shared" / "faults" / "escape_title.mka"
    if not path.exists():
        pytest.skip("needs ../shared/faults/escape_title.mka beside the checkout")
    name = "\x1b]0;owned\x07 [red]x[\n].mka"
    shutil.copy(path, tmp_path / name)
    done = command("transcribe", tmp_path / name, *brief(tmp_path / "out"), "-v")
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err
    [job] = (tmp_path / "out").glob("*.longscribe")
    for arguments in (["status"], ["inspect"]):
        told = command(*arguments, job)
        assert told.status == 0, told.err
        assert not {"\x1b", "\x07"} & set(told.out)


def test_a_name_of_255_bytes_and_the_rest_is_done(media: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 250 + ".flac")
    shutil.copy(media / "tiny.flac", long)
    done = command("transcribe", long, media / "tiny.flac", *brief(tmp_path / "out"))
    assert "Traceback" not in done.err
    assert (tmp_path / "out" / "tiny.txt").stat().st_size > 100
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert (done.status, len(errors)) in {(2, 1), (0, 0)}
    assert all("too long" in line for line in errors)


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_a_name_beyond_the_locale(locale: str, media: Path, tmp_path: Path) -> None:
    path = tmp_path / "ünï 東京.flac"
    shutil.copy(media / "tiny.flac", path)
    line = f"PYTHONCOERCECLOCALE=0 PYTHONUTF8=0 LC_ALL={locale} longscribe transcribe *.flac "
    done = shell(line + " ".join(brief("out")), tmp_path)
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "ünï 東京.txt").stat().st_size > 100


NO_THREADS = """
import sys, threading
from longscribe.cli.main import main
real = threading.Thread.start
def start(self):
    if not self.name.startswith(('MainThread',)) and len(sys.argv) > 1:
        raise RuntimeError("can't start new thread")
    real(self)
threading.Thread.start = start
main()
"""


def test_no_threads_can_be_had(media: Path, tmp_path: Path) -> None:
    arguments = ["transcribe", media / "tiny.flac", *brief(tmp_path / "out")]
    done = support.python(NO_THREADS, *arguments)
    assert done.status == 1
    assert "no more threads" in done.err
    assert "Traceback" not in done.err


def test_media_that_disappear_are_one_clear_line_and_the_rest_is_done(
    media: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.flac"
    shutil.copy(media / "tiny.flac", gone)
    run = events(gone, given(tmp_path / "out"))
    next(run)
    gone.unlink()
    with pytest.raises(Exception, match=r"gone\.flac") as raised:
        list(run)
    assert type(raised.value).__name__ in {"MediaError", "UsageError"}


# --- a long glossary ---------------------------------------------------------


def test_a_long_glossary_is_pronounced_once_and_says_the_same(media: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    others = (f"{one}{two}" for one in "BDFGKLMNPRST" for two in OTHER_NAMES)
    names.write_text("Annabell\n" + "\n".join(others) + "\n")
    more = ("--glossary", names, "--pronouncer", "letters", "--language", "en")
    first = command("transcribe", media / "tiny.flac", *options(tmp_path / "a", *more))
    assert first.status == 0, first.err
    kept = tmp_path / "a" / "tiny.longscribe" / "pronunciations-en.txt"
    assert kept.stat().st_size > 10_000
    (tmp_path / "b" / "tiny.longscribe").mkdir(parents=True)
    shutil.copy(kept, tmp_path / "b" / "tiny.longscribe")
    again = command("transcribe", media / "tiny.flac", *options(tmp_path / "b", *more))
    assert again.status == 0, again.err
    assert support.outputs(tmp_path / "a", "tiny") == support.outputs(tmp_path / "b", "tiny")
    assert (tmp_path / "b" / "tiny.longscribe" / kept.name).read_bytes() == kept.read_bytes()


OTHER_NAMES = [
    f"{first}{middle}{last}"
    for first in ("olan", "erin", "avod", "ulim")
    for middle in ("bar", "tesk", "mov", "rild", "gund", "lapp", "zenn")
    for last in ("ov", "ix", "ard", "une", "elt", "osk", "imm")
]
