"""Media that are no plain files: pipes are received, the rest is refused truly."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path
from typing import NamedTuple

import pytest

from longscribe.adapters import incoming
from longscribe.errors import MediaError, StorageError, UsageError


@pytest.mark.parametrize(
    ("media", "name"),
    [
        ("-", "stdin"),
        ("/dev/stdin", "stdin"),
        ("/dev/fd/0", "stdin"),
        ("/proc/self/fd/0", "stdin"),
        ("/dev/fd/63", "pipe"),
        ("./-", "-"),
        ("talk.mp3", "talk.mp3"),
    ],
)
def test_how_a_job_is_named(media: str, name: str) -> None:
    if media == "./-":  # `Path` can't tell the two apart; the full path can
        assert incoming.named(Path("/x/-")).name == "-"
        return
    assert incoming.named(Path(media)).name == name


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://example.org/a/talk.mp3?x=1", "curl -L -O 'https://example.org/a/talk.mp3?x=1'"),
        ("http://example.org/", "http://example.org"),
        ("rtsp://camera/1", "rtsp://camera/1"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("file:///home/me/talk.mp3", "Give: /home/me/talk.mp3"),
    ],
)
def test_a_url_is_told_to_be_fetched_first(url: str, says: str) -> None:
    with pytest.raises(UsageError, match="is a URL") as raised:
        incoming.check_url(Path(url))
    assert says in str(raised.value)


def test_a_file_that_looks_like_a_url_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "talk.mp3").touch()
    incoming.check_url(Path("http:/talk.mp3"))
    incoming.check_url(Path("12:30 talk.mp3"))
    incoming.check_url(Path("a:b.mp3"))


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "sock"))
        with pytest.raises(UsageError, match="is a socket"):
            incoming.check_kind(tmp_path / "sock")
    with pytest.raises(UsageError, match="is a device"):
        incoming.check_kind(Path("/dev/null"))
    with pytest.raises(UsageError, match="is a directory"):
        incoming.check_kind(tmp_path)
    with pytest.raises(UsageError, match="There is no file"):
        incoming.check_kind(tmp_path / "absent")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    with pytest.raises(UsageError, match="There is no file"):
        incoming.check_kind(tmp_path / "dangling")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(MediaError, match="can't be read"):
        incoming.check_kind(tmp_path / "loop")


def piped(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "talk.fifo"
    os.mkfifo(path)

    def write() -> None:
        with path.open("wb") as out:
            try:
                out.write(content)
                out.flush()
            except BrokenPipeError:
                return

    threading.Thread(target=write, daemon=True).start()
    return path


def test_what_comes_through_a_pipe_is_whole(tmp_path: Path) -> None:
    content = os.urandom(3_000_001)
    (tmp_path / "job").mkdir()
    received = incoming.receive(piped(tmp_path, content), tmp_path / "job")
    assert received.read_bytes() == content
    assert incoming.was_received(received, tmp_path / "job")
    assert not incoming.was_received(tmp_path / "job" / "mine.mp3", tmp_path / "job")
    incoming.drop(received)
    assert list((tmp_path / "job").iterdir()) == []


def test_a_pipe_that_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with pytest.raises(MediaError, match="Nothing came"):
        incoming.receive(piped(tmp_path, b""), tmp_path / "job")
    assert list((tmp_path / "job").rglob("*.part")) == []


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_pipe_without_end_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [incoming.RESERVE + 2_000_000]

    def usage(_path: Path) -> Usage:
        left[0] -= 65_536
        return Usage(0, 0, left[0])

    monkeypatch.setattr(shutil, "disk_usage", usage)
    (tmp_path / "job").mkdir()
    with pytest.raises(StorageError, match="more than there is room for"):
        incoming.receive(piped(tmp_path, b"x" * 20_000_000), tmp_path / "job")
    assert [path for path in (tmp_path / "job").rglob("*") if path.is_file()] == []


def test_a_terminal_is_no_pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    try:
        (tmp_path / "job").mkdir()
        with pytest.raises(UsageError, match="is a terminal"):
            incoming.receive(Path(f"/dev/fd/{theirs}"), tmp_path / "job")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_descriptor_that_is_closed(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    with pytest.raises(MediaError, match="can't be read"):
        incoming.receive(Path("/dev/fd/987"), tmp_path / "job")
