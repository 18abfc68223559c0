"""Output files are whole or absent, whatever fails; folders are checked before work begins."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from longscribe.adapters.writers.atomic import sweep, write_atomically
from longscribe.adapters.writers.json_writer import JsonWriter
from longscribe.adapters.writers.outputs import OutputFiles
from longscribe.adapters.writers.srt import SrtWriter
from longscribe.config import OutputFormat
from longscribe.errors import LongscribeError, OutputError, StorageError
from tests.views import missing, spoken, view_of

VIEW = view_of(spoken(0, "Good morning."), missing(5, 17))


def put(text: str):
    def render(out: TextIO) -> None:
        out.write(text)

    return render


def everything_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def run_python(code: str, *arguments: str | Path, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **options
    )


# --- one file ----------------------------------------------------------------


def test_a_file_is_written_as_utf_8_without_a_mark_and_with_plain_line_ends(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", put("Zürich\n你好\n"))
    assert everything_in(tmp_path) == {"a.txt": "Zürich\n你好\n".encode()}


def test_a_file_is_replaced_and_nothing_is_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", put("old\n"))
    write_atomically(tmp_path / "a.txt", put("new\n"))
    assert everything_in(tmp_path) == {"a.txt": b"new\n"}


def test_half_a_surrogate_pair_does_not_stop_the_job(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.txt", put("\ud83d!"))
    assert (tmp_path / "a.txt").read_bytes() == b"\\ud83d!"


def test_the_longest_name_a_folder_takes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".srt")  # 254 bytes
    write_atomically(path, put("x"))
    assert path.read_text(encoding="utf-8") == "x"


KILLED_WHILE_WRITING = (
    "import os, signal, sys\n"
    "from pathlib import Path\n"
    "from longscribe.adapters.writers.atomic import write_atomically\n"
    "def render(out):\n"
    "    out.write('half'); out.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
    "write_atomically(Path(sys.argv[1]), render)\n"
)


def test_what_a_killed_run_left_is_swept_up(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, put("old"))
    for _ in range(2):
        assert run_python(KILLED_WHILE_WRITING, path).returncode == -signal.SIGKILL
        assert sorted(everything_in(tmp_path).values()) == [b"half", b"old"]
    write_atomically(path, put("new"))
    assert everything_in(tmp_path) == {"a.txt": b"new"}


def test_what_an_earlier_version_left_is_swept_up(tmp_path: Path) -> None:
    """It had one name for each file, without the part that is each writer's own."""
    from longscribe.adapters.locking import mark_of  # noqa: PLC0415

    (tmp_path / f".longscribe-{mark_of(tmp_path / 'a.txt')}.part").write_text("half")
    write_atomically(tmp_path / "a.txt", put("new"))
    assert everything_in(tmp_path) == {"a.txt": b"new"}


def test_what_is_still_being_written_is_not_swept_up(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def render(out: TextIO) -> None:
        out.write("mine")
        out.flush()
        sweep(tmp_path, path)  # another run begins
        write_atomically(path, put("theirs"))

    write_atomically(path, render)
    assert everything_in(tmp_path) == {"a.txt": b"mine"}


def test_a_link_in_place_of_a_temporary_file_is_not_followed(tmp_path: Path, monkeypatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    tokens = iter(["taken", "free"])
    monkeypatch.setattr("secrets.token_hex", lambda _: next(tokens))
    from longscribe.adapters.locking import mark_of  # noqa: PLC0415

    link = tmp_path / f".longscribe-{mark_of(tmp_path / 'a.txt')}-taken.part"
    link.symlink_to(victim)
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "a.txt", put("new"))
    assert victim.read_text() == "precious"


HAMMER = """
import sys
from pathlib import Path
from longscribe.adapters.writers.atomic import write_atomically
name, body = sys.argv[2], (f"{sys.argv[2]} " * 5 + "\\n") * 2000
def render(out):
    for at in range(0, len(body), 1000):
        out.write(body[at : at + 1000])
for _ in range(40):
    write_atomically(Path(sys.argv[1]), render)
"""


def test_several_writers_of_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "film.srt"
    command = [sys.executable, "-c", HAMMER, str(path)]
    writers = [subprocess.Popen([*command, n], stderr=subprocess.PIPE) for n in "abc"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            assert len(path.read_bytes()) == 22_000
    assert [writer.communicate()[1] for writer in writers] == [b""] * 3
    assert list(everything_in(tmp_path)) == ["film.srt"]


# --- what stays of an earlier file -------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_the_mode_of_an_earlier_file_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    write_atomically(path, put("new"))
    assert path.stat().st_mode & 0o7777 == mode
    assert path.read_text() == "new"


def test_a_new_file_has_the_mode_that_others_here_have(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "a.txt", put("new"))
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_content_can_be_read_by_nobody_else_before_it_has_its_mode(tmp_path: Path) -> None:
    path, seen = tmp_path / "a.txt", []
    path.write_text("old")
    path.chmod(0o600)

    def render(_out: TextIO) -> None:
        seen.extend(part.stat().st_mode & 0o777 for part in tmp_path.glob(".longscribe-*.part"))

    write_atomically(path, render)
    assert seen == [0o600]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.txt", tmp_path / "a.txt"
    real.write_text("old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_atomically(link, put("new"))
    assert link.readlink() == real
    assert everything_in(tmp_path / "elsewhere") == {"real.txt": b"new"}
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_link_to_nothing_yet_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("b.txt")
    write_atomically(tmp_path / "a.txt", put("new"))
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "b.txt").read_text() == "new"


def test_a_link_to_itself_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("a.txt")
    with pytest.raises(LongscribeError, match=r"a\.txt"):
        write_atomically(tmp_path / "a.txt", put("new"))


def test_another_name_of_the_same_file_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "copy.txt").hardlink_to(tmp_path / "a.txt")
    write_atomically(tmp_path / "a.txt", put("new"))
    assert everything_in(tmp_path) == {"a.txt": b"new", "copy.txt": b"old"}


# --- when something fails ----------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_while_rendering_keeps_the_old_file(tmp_path: Path, error: BaseException) -> None:
    def render(out: TextIO) -> None:
        out.write("half")
        raise error

    write_atomically(tmp_path / "a.txt", put("old"))
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "a.txt", render)
    assert everything_in(tmp_path) == {"a.txt": b"old"}


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, StorageError, "disk is full"),
        (errno.EDQUOT, StorageError, "quota"),
        (errno.EIO, StorageError, "disk reports an error"),
        (errno.EROFS, StorageError, "read-only"),
        (errno.EACCES, OutputError, "permission"),
        (errno.ENETDOWN, StorageError, "Network is down"),
    ],
)
def test_a_failing_call_keeps_the_old_file_and_says_what_to_do(
    tmp_path: Path, monkeypatch, call: str, number: int, kind: type[LongscribeError], said: str
) -> None:
    path = tmp_path / "a.txt"
    write_atomically(path, put("old"))

    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(kind, match=said) as caught:
            write_atomically(path, put("new"))
    assert str(path) in caught.value.found
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert everything_in(tmp_path) == {"a.txt": b"old"}


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch) -> None:
    calls = []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(tmp_path / "a.txt", put("new"))
    assert len(calls) == 2
    assert everything_in(tmp_path) == {"a.txt": b"new"}


def test_the_file_is_synced_before_and_the_folder_after_the_renaming(tmp_path, monkeypatch) -> None:
    path, seen = tmp_path / "a.txt", []
    monkeypatch.setattr(os, "fsync", lambda _fd: seen.append(path.exists()))
    write_atomically(path, put("new"))
    assert seen == [False, True]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_kernel_that_says_the_disk_is_full(tmp_path: Path, monkeypatch) -> None:
    write_atomically(tmp_path / "a.txt", put("old"))
    really_open = os.open

    def open_full(path, flags, *mode):
        return (
            really_open("/dev/full", os.O_WRONLY)
            if flags & os.O_CREAT
            else really_open(path, flags)
        )

    monkeypatch.setattr(os, "open", open_full)
    with pytest.raises(StorageError, match="disk is full"):
        write_atomically(tmp_path / "a.txt", put("new" * 100_000))
    assert everything_in(tmp_path) == {"a.txt": b"old"}


WRITE_TOO_MUCH = (
    "import sys\n"
    "from pathlib import Path\n"
    "from longscribe.adapters.writers.atomic import write_atomically\n"
    "from longscribe.errors import StorageError\n"
    "path = Path(sys.argv[1])\n"
    "write_atomically(path, lambda out: out.write('old'))\n"
    "try:\n"
    "    write_atomically(path, lambda out: out.write('new' * 100_000))\n"
    "except StorageError as error:\n"
    "    print(error)\n"
    "print(path.read_text(), *(other.name for other in path.parent.iterdir()))\n"
)


def test_a_limit_on_file_size_keeps_the_old_file(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = run_python(WRITE_TOO_MUCH, tmp_path / "a.txt", preexec_fn=limit)
    message, state = done.stdout.splitlines()
    assert "too large" in message
    assert state == "old a.txt"


def test_a_file_system_that_is_really_full_keeps_the_old_file(tmp_path: Path) -> None:
    script = 'mount -t tmpfs -o size=64k tmpfs "$1" && exec "$2" -c "$3" "$1/a.txt"'
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare")
    command = [*unshare, str(tmp_path), sys.executable, WRITE_TOO_MUCH]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if not done.stdout:
        pytest.skip(f"can't mount a file system here: {done.stderr.strip()}")
    message, state = done.stdout.splitlines()
    assert "disk is full" in message
    assert state == "old a.txt"


# --- the files of a job ------------------------------------------------------


def outputs(directory: Path, stem: str = "film") -> OutputFiles:
    return OutputFiles(
        directory, stem, {OutputFormat.SRT: SrtWriter(), OutputFormat.JSON: JsonWriter()}
    )


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder that may be read but not written by who runs the test; root becomes nobody."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_all_formats_are_written_and_named(tmp_path: Path) -> None:
    files = outputs(tmp_path, "film.v2")
    files.check()
    assert files.write(VIEW).files == (tmp_path / "film.v2.srt", tmp_path / "film.v2.json")
    assert sorted(everything_in(tmp_path)) == ["film.v2.json", "film.v2.srt"]
    assert b"not transcribed" in (tmp_path / "film.v2.srt").read_bytes()


def test_equal_views_give_equal_bytes(tmp_path: Path) -> None:
    outputs(tmp_path / "one").check()
    outputs(tmp_path / "two").check()
    outputs(tmp_path / "one").write(VIEW)
    outputs(tmp_path / "two").write(VIEW)
    assert everything_in(tmp_path / "one") == everything_in(tmp_path / "two")


def test_check_makes_the_folder_and_leaves_it_empty(tmp_path: Path) -> None:
    outputs(tmp_path / "a" / "b").check()
    assert everything_in(tmp_path / "a" / "b") == {}


def test_check_keeps_what_is_there_and_sweeps_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / "film.srt").write_text("old")
    # All outputs of a stem have one mark, also those of formats no longer asked for.
    run_python(KILLED_WHILE_WRITING, tmp_path / "film")
    assert len(everything_in(tmp_path)) == 2
    outputs(tmp_path).check()
    assert everything_in(tmp_path) == {"film.srt": b"old"}


def refusal(files: OutputFiles) -> str:
    with pytest.raises(OutputError) as caught:
        files.check()
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return caught.value.found


def test_check_refuses_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert refusal(outputs(tmp_path / "out")) == f"{tmp_path / 'out'} is a file, not a folder."
    assert "a file stands where its folder" in refusal(outputs(tmp_path / "out" / "deeper"))


def test_check_refuses_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "film.json").mkdir()
    assert str(tmp_path / "film.json") in refusal(outputs(tmp_path))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).symlink_to("/dev/null")])
def test_check_refuses_what_is_no_plain_file(tmp_path: Path, make) -> None:
    make(tmp_path / "film.json")
    assert "no plain file" in refusal(outputs(tmp_path))
    assert outputs(tmp_path).write(VIEW).files[1] == tmp_path / "film.new.json"
    assert not Path("/dev/null").is_file()


def test_check_refuses_a_folder_that_may_not_be_written(unprivileged: Path) -> None:
    assert "permission denied" in refusal(outputs(unprivileged))
    assert "permission denied" in refusal(outputs(unprivileged / "new"))


def test_check_refuses_a_read_only_file_system(tmp_path: Path, monkeypatch) -> None:
    def fail(*_args, **_options):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "open", fail)
    assert "read-only" in refusal(outputs(tmp_path))


def test_check_tells_a_full_disk_from_a_bad_choice(tmp_path: Path, monkeypatch) -> None:
    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(StorageError, match="full"):
        outputs(tmp_path).check()


def test_a_name_too_long_is_said_before_any_work(tmp_path: Path) -> None:
    assert "too long" in refusal(outputs(tmp_path, "x" * 300))
    assert "too long" in refusal(outputs(tmp_path, "x" * 252))


def test_a_folder_that_vanishes_during_the_job_is_said_so(tmp_path: Path) -> None:
    files = outputs(tmp_path / "out")
    files.check()
    (tmp_path / "out").rmdir()
    with pytest.raises(OutputError, match="folder does not exist"):
        files.write(VIEW)
