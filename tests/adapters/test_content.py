"""The identity of files: every byte counts, and what was hashed is hashed again only if it must be."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from longscribe import fingerprint
from longscribe.adapters import content
from longscribe.adapters.content import KnownContents, MediaContent, content_digest, remember
from longscribe.adapters.recognizers.models import digest_files, take_as_given
from longscribe.errors import MediaError, ModelError
from longscribe.fingerprint import (
    ChangingFileError,
    FileLook,
    HashedFile,
    fingerprint_file,
    hash_file,
    joined_fingerprint,
    sampled_fingerprint,
)

SIZE = 9 << 20
LONG_AGO = 1_600_000_000


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test has just made count as settled; the tests of that set it back."""
    monkeypatch.setattr(content, "SETTLING_SECONDS", 0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    return path


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content is read."""
    seen: list[str] = []

    def noted(path: Path, *more: object) -> HashedFile:
        seen.append(path.name)
        return hash_file(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(content, "hash_file", noted)
    return seen


# --- every byte --------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 70_000, 1 << 20, SIZE // 2 + 12345, SIZE - 1])
def test_every_byte_counts(at: int, film: Path) -> None:
    before = fingerprint_file(film)
    with film.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    assert fingerprint_file(film) != before


def test_a_small_file_is_known_by_what_earlier_versions_knew_it(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"all of it")
    assert fingerprint_file(small) == hashlib.blake2b(b"9all of it", digest_size=16).hexdigest()
    assert sampled_fingerprint(small) is None


def test_the_samples_of_earlier_versions_did_not_show_every_edit(film: Path) -> None:
    """So a job of theirs is not gone on with as if they did."""
    before = sampled_fingerprint(film)
    with film.open("r+b") as file:
        file.seek(70_000)
        file.write(b"another")
    assert sampled_fingerprint(film) == before


def test_a_file_cut_short_or_grown_by_zeros_is_another(film: Path) -> None:
    whole = fingerprint_file(film)
    os.truncate(film, SIZE + 1)
    grown = fingerprint_file(film)
    os.truncate(film, SIZE - 1)
    assert len({whole, grown, fingerprint_file(film)}) == 3


def test_a_damaged_sector_is_part_of_the_content(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Damaged:
        def __init__(self, file) -> None:
            self.file = file

        def seek(self, at: int) -> None:
            self.file.seek(at)

        def readinto(self, view: memoryview) -> int:
            if self.file.tell() == 3 << 20:
                raise OSError(errno.EIO, "Input/output error")
            return self.file.readinto(view)

    with film.open("rb", buffering=0) as file:
        digest, whole = fingerprint._hash(Damaged(file), SIZE, lambda: False)  # type: ignore[arg-type]
    assert not whole
    assert digest != fingerprint_file(film)
    remember(film, HashedFile(digest=digest, look=FileLook.at(film), whole=whole), time.time_ns())
    assert content_digest(film) == fingerprint_file(film)


def test_a_file_that_never_stops_changing_is_said_to(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = fingerprint._hash

    def meanwhile(*arguments):
        with film.open("ab") as file:
            file.write(b"more")
        return hashed(*arguments)

    monkeypatch.setattr(fingerprint, "_hash", meanwhile)
    with pytest.raises(ChangingFileError):
        hash_file(film)
    media = MediaContent(paths=[film])
    media.start()
    with pytest.raises(MediaError, match="changed while it was read"):
        media.fingerprint()


# --- looking again -----------------------------------------------------------


def test_what_looks_as_it_did_is_not_read_again(film: Path, reads: list[str]) -> None:
    first = content_digest(film)
    assert content_digest(film) == first
    assert reads == ["film.mkv"]
    film.rename(film.with_name("moved.mkv"))
    assert content_digest(film.with_name("moved.mkv")) == first


def write_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"edited")


def keep_times(path: Path) -> None:
    """As an editor that sets the time back."""
    stat = path.stat()
    write_in_place(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def copy_over(path: Path) -> None:
    """`cp -p`: the same inode, size and time of modification."""
    other = path.with_name("other")
    shutil.copyfile(path, other)
    write_in_place(other)
    stat = path.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    subprocess.run(["cp", "-p", other, path], check=True)


def map_it(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[5_000_000:5_000_006] = b"edited"
        mapped.flush()


def rename_over(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    stat = path.stat()
    write_in_place(other)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("edit", [write_in_place, keep_times, copy_over, map_it, rename_over])
def test_an_edit_of_the_same_size_is_noticed(edit, film: Path, reads: list[str]) -> None:
    os.utime(film, (LONG_AGO, LONG_AGO))
    before = content_digest(film)
    time.sleep(0.02)  # a tick of the file system's clock
    edit(film)
    assert film.stat().st_size == SIZE
    assert content_digest(film) != before
    assert len(reads) == 2


def test_two_files_that_change_places_keep_their_own(film: Path, tmp_path: Path) -> None:
    other, aside = tmp_path / "other.mkv", tmp_path / "aside"
    other.write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
    os.utime(film, (LONG_AGO, LONG_AGO))
    os.utime(other, (LONG_AGO, LONG_AGO))
    first, second = content_digest(film), content_digest(other)
    film.rename(aside)
    other.rename(film)
    aside.rename(other)
    assert (content_digest(film), content_digest(other)) == (second, first)


def test_a_touch_means_reading_and_the_same_digest(film: Path, reads: list[str]) -> None:
    before = content_digest(film)
    time.sleep(0.02)
    film.touch()
    assert content_digest(film) == before
    assert len(reads) == 2


def test_what_has_just_changed_is_not_trusted_to_show_another_change(
    film: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two edits within one tick of the clock look the same; some tick every two seconds."""
    monkeypatch.setattr(content, "SETTLING_SECONDS", 3.0)
    before = content_digest(film)
    write_in_place(film)
    assert content_digest(film) != before
    content_digest(film)
    assert len(reads) == 3


def test_a_time_in_the_future_is_no_old_one(film: Path, reads: list[str]) -> None:
    os.utime(film, (LONG_AGO * 2, LONG_AGO * 2))
    content_digest(film)
    content_digest(film)
    assert len(reads) == 2


def test_where_times_of_change_can_be_set_nothing_is_remembered(
    film: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "file_system", lambda path: "vfat")
    content_digest(film)
    content_digest(film)
    assert len(reads) == 2


@pytest.mark.parametrize("left", [b"", b"0" * 32, b"0" * 32 + b" " + b"1" * 32 + b"\n", b"\xff"])
def test_an_entry_that_rotted_is_none(left: bytes, film: Path, home: Path) -> None:
    before = content_digest(film)
    (entry,) = (home / "contents").iterdir()
    entry.write_bytes(left)
    assert content_digest(film) == before


def test_an_entry_under_another_name_is_none(film: Path, home: Path) -> None:
    content_digest(film)
    (entry,) = (home / "contents").iterdir()
    time.sleep(0.02)
    write_in_place(film)
    entry.rename(entry.with_name(content._key(FileLook.at(film))))
    assert content_digest(film) == fingerprint_file(film)


def test_where_nothing_can_be_kept_it_is_hashed_again(
    film: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LONGSCRIBE_HOME", str(tmp_path / "file"))
    assert content_digest(film) == content_digest(film)
    assert len(reads) == 2


def test_old_entries_go_when_there_are_very_many(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MOST_ENTRIES", 10)
    known, look = KnownContents(folder=tmp_path / "many"), FileLook.at(film)
    for number in range(40):
        each = FileLook(**{**vars(look), "inode": number})
        known.keep(each, f"{number:032x}")
        assert known.digest(each) == f"{number:032x}"
    assert len(list(known.folder.iterdir())) <= 11


# --- media ---------------------------------------------------------------------


def test_media_that_stays_as_it_is_is_confirmed(film: Path) -> None:
    media = MediaContent(paths=[film])
    media.start()
    assert media.fingerprint() == fingerprint_file(film)
    media.confirm()
    assert media.known


def test_media_that_is_touched_meanwhile_is_confirmed(film: Path) -> None:
    media = MediaContent(paths=[film])
    media.start()
    media.fingerprint()
    time.sleep(0.02)
    film.chmod(0o600)
    film.touch()
    media.confirm()


@pytest.mark.parametrize("edit", [write_in_place, keep_times, copy_over, map_it, rename_over])
def test_media_that_is_edited_meanwhile_is_not(edit, film: Path) -> None:
    media = MediaContent(paths=[film])
    media.start()
    media.fingerprint()
    time.sleep(0.02)
    edit(film)
    with pytest.raises(MediaError, match="changed while it was read"):
        media.confirm()


def test_media_that_goes_meanwhile_is_said_to(film: Path) -> None:
    media = MediaContent(paths=[film])
    media.start()
    media.fingerprint()
    film.unlink()
    with pytest.raises(MediaError, match="can't be read"):
        media.confirm()


def test_hashing_ends_with_the_run(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    media = MediaContent(paths=[film])
    media.close()
    media.start()
    media._done.wait()
    assert media._digests == []


def test_several_files_are_one_medium() -> None:
    one = joined_fingerprint(["list.m3u8"], ["a"])
    assert one == "a"
    both = joined_fingerprint(["list.m3u8", "1.ts"], ["a", "b"])
    assert len({one, both, joined_fingerprint(["list.m3u8", "2.ts"], ["a", "b"])}) == 3
    assert joined_fingerprint(["copy.m3u8", "1.ts"], ["a", "b"]) == both
    assert joined_fingerprint(["list.m3u8", "1.ts"], ["a", "c"]) != both


def test_a_change_in_any_part_is_a_change(film: Path, tmp_path: Path) -> None:
    part = tmp_path / "1.ts"
    part.write_bytes(b"part")
    media = MediaContent(paths=[film, part])
    media.start()
    before = media.fingerprint()
    time.sleep(0.02)
    part.write_bytes(b"trap")
    with pytest.raises(MediaError):
        media.confirm()
    again = MediaContent(paths=[film, part])
    again.start()
    assert again.fingerprint() != before


# --- models ----------------------------------------------------------------------


def test_a_model_file_edited_in_place_is_another_model(film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    weights = film.rename(folder / "model.bin")
    before = digest_files(folder.iterdir())
    time.sleep(0.02)
    keep_times(weights)
    assert digest_files(folder.iterdir()) != before


def test_a_model_that_another_recognizer_finds_is_known_by_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "model" / "deep"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"one")
    before = take_as_given(str(tmp_path / "model")).identity
    (folder / "weights").write_bytes(b"two")
    assert take_as_given(str(tmp_path / "model")).identity != before
    single = take_as_given(str(folder / "weights")).identity
    (folder / "weights").write_bytes(b"six")
    assert take_as_given(str(folder / "weights")).identity != single
    assert take_as_given("large-v3").identity == "large-v3"


def test_a_model_file_that_can_not_be_read_is_one_line(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("longscribe.adapters.recognizers.models.content_digest", refused)
    with pytest.raises(ModelError, match=r"film\.mkv can't be read \(Permission denied\)"):
        digest_files([film])
