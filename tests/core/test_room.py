"""Room on the disk for the spool."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from longscribe.core.room import CHECK_EVERY, RESERVE, is_short, reserve, shortage
from longscribe.errors import StorageError
from longscribe.worker.reader import _Room

GB = 10**9


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("samples", "free", "total", "told"),
    [
        (GB, 100 * GB, 500 * GB, None),
        (GB, 2 * GB, 500 * GB, "its audio takes 2.0 GB, and 1.7 GB are free"),
        (GB, 2 * GB + RESERVE, 500 * GB, None),
        (1_000_000, 5_000_000, 5_242_880, None),
        (3_000_000, 5_000_000, 5_242_880, "its audio takes 6 MB, and 5 MB are free"),
        (57_600_000_000, 100 * GB, 500 * GB, "its audio takes 115.2 GB, and 99.7 GB are free"),
        (1, 0, 500 * GB, "its audio takes 0 MB, and 0 MB are free"),
    ],
)
def test_what_is_to_be_spooled_must_fit(samples, free, total, told) -> None:
    assert shortage(samples, free, total) == told


def test_a_small_disk_keeps_a_hundredth() -> None:
    assert reserve(500 * GB) == RESERVE
    assert reserve(5_000_000) == 50_000
    assert is_short(49_999, 5_000_000)
    assert not is_short(50_000, 5_000_000)


class TestWhileReading:
    def test_it_stops_before_the_disk_is_full(self, tmp_path: Path, monkeypatch) -> None:
        free = iter([10 * GB, GB, RESERVE - 1])
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(500 * GB, 0, next(free)))
        room = _Room(tmp_path / "audio.s16")
        for _ in range(2):
            room.took(CHECK_EVERY // 2)
        with pytest.raises(StorageError, match="the disk is almost full"):
            room.took(CHECK_EVERY // 2)

    def test_what_lies_there_already_counts(self, tmp_path: Path, monkeypatch) -> None:
        """After a crash of the reader the file is written once more, over itself."""
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(500 * GB, 0, RESERVE + 1000))
        spool = tmp_path / "audio.s16"
        room = _Room(spool)
        with pytest.raises(StorageError, match="can't be spooled"):
            room.expect(2000)
        spool.write_bytes(bytes(3000))
        room.expect(2000)
