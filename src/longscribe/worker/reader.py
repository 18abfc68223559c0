"""The reader process: media in; samples into the spool, speech probabilities to the supervisor.

Run as `python -m longscribe.worker.reader`. Decoder and detector are native
code that meets whatever files people have; here they can only take down a child.
"""

from __future__ import annotations

import os
import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, cast

from longscribe.core.room import BYTES_A_SAMPLE, CHECK_EVERY, is_short, shortage
from longscribe.errors import LongscribeError, StorageError
from longscribe.job_events import AudioMissing, MediaEnded, MediaOpened, MediaProblem
from longscribe.job_files import open_spool
from longscribe.ports import (
    FramesHeard,
    MediaReader,
    MediaReaderFactory,
    ReadTask,
    SpeechDetector,
    SpeechDetectorFactory,
)
from longscribe.types import SAMPLE_RATE, FailureKind
from longscribe.worker.factories import find_factory
from longscribe.worker.levels import LevelMeter
from longscribe.worker.lifeline import Lifeline, Line
from longscribe.worker.messages import Broke, ReadUntil, hello

if TYPE_CHECKING:
    from longscribe.ports import Pcm

REPORT_EVERY = 5 * SAMPLE_RATE
"""Samples between two reports: small against a chunk, large against the cost of one."""


def serve(line: Line) -> None:
    """Read one media file as told, and report; ends with the line."""
    line.send(hello())
    task = line.receive()
    assert isinstance(task, ReadTask), f"expected a ReadTask first, got {task}"
    try:
        _read(task, line)
    except LongscribeError as error:
        line.send(_broke(error.slug, error.found, error.remedy))
    except OSError as error:
        failure = StorageError(
            f"The audio can't be spooled to {task.spool}: {error.strerror}.",
            "Make room there or give --job-dir a folder on another disk, and run again.",
        )
        line.send(_broke(failure.slug, failure.found, failure.remedy))
    except Exception as error:  # noqa: BLE001 - whatever it was, the supervisor must hear of it
        line.send(_broke("", f"{type(error).__name__}: {error}", ""))
    while True:  # until the supervisor lets go
        line.receive()


def _broke(slug: str, found: str, remedy: str) -> Broke:
    return Broke(
        kind=FailureKind.ERROR,
        slug=slug,
        found=found,
        remedy=remedy,
        traceback=traceback.format_exc(),
    )


def _read(task: ReadTask, line: Line) -> None:
    open_media = cast(MediaReaderFactory, find_factory(task.reader))
    detector = cast(SpeechDetectorFactory, find_factory(task.detector))
    reader = open_media(Path(task.media), task.audio_track)
    room = _Room(Path(task.spool))
    if reader.info.duration is not None and reader.info.duration_is_exact:
        room.expect(reader.info.duration)
    line.send(MediaOpened(info=reader.info))
    gate = _Gate(line)
    with open_spool(Path(task.spool)) as spool:
        ear = _Ear(detector())
        for block in reader.blocks():
            spool.write(block.tobytes())
            room.took(len(block))
            ear.hear(block)
            _report_problems(reader, line)
            if ear.unreported >= REPORT_EVERY or gate.closed_at(ear.heard):
                # What is reported must be there for the workers that map the file.
                spool.flush()
                line.send(ear.report())
            gate.wait(ear.heard)
        _report_problems(reader, line)
        ear.finish()
        spool.truncate()
        spool.flush()
        os.fsync(spool.fileno())
    line.send(ear.report())
    line.send(MediaEnded(duration=ear.position, peak=round(reader.peak, 6)))
    reader.close()


def _report_problems(reader: MediaReader, line: Line) -> None:
    for position, message in reader.problems():
        line.send(MediaProblem(at=position, message=message))
    for loss in reader.losses():
        line.send(AudioMissing(loss=loss))


class _Room:
    """Keeps the spool from filling the disk.

    Raises:
        StorageError: from its methods, when there is no room.
    """

    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._unchecked = 0

    def expect(self, samples: int) -> None:
        """Refuse what can't be spooled before anything is."""
        there = self._spool.stat().st_size if self._spool.exists() else 0
        disk = shutil.disk_usage(self._spool.parent)
        if (told := shortage(samples - there // BYTES_A_SAMPLE, disk.free, disk.total)) is not None:
            raise StorageError(
                f"The recording can't be spooled to {self._spool.parent}: {told}.",
                "Make room there or give --job-dir a folder on another disk, and run again.",
            )

    def took(self, samples: int) -> None:
        """Count what was spooled, and look at the disk now and then."""
        self._unchecked += samples * BYTES_A_SAMPLE
        if self._unchecked < CHECK_EVERY:
            return
        self._unchecked = 0
        disk = shutil.disk_usage(self._spool.parent)
        if is_short(disk.free, disk.total):
            raise StorageError(
                f"The audio can't be spooled to {self._spool.parent}: the disk is almost full.",
                "Make room there or give --job-dir a folder on another disk, and run again.",
            )


class _Gate:
    """Keeps the reader from running far ahead of the decoding."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._limit: int | None = 0

    def closed_at(self, position: int) -> bool:
        """Tell whether reading may not go on past `position` for now."""
        while (message := self._line.pending()) is not None:
            self._take(message)
        return self._limit is not None and position >= self._limit

    def wait(self, position: int) -> None:
        """Return when reading may go on past `position`."""
        while self.closed_at(position):
            self._take(self._line.receive())

    def _take(self, message: object) -> None:
        assert isinstance(message, ReadUntil), f"unexpected message {message}"
        self._limit = message.position


class _Ear:
    """Hears the audio as it goes by: probability and level of each frame."""

    def __init__(self, detector: SpeechDetector) -> None:
        self._detector = detector
        self._frame = detector.frame
        self._reported = 0
        self._meter = LevelMeter(detector.frame)
        self._probabilities: list[float] = []
        self._levels: list[float] = []
        self.position = 0
        """Samples heard."""
        self.heard = 0
        """Samples whose frames are decided: the detector works in batches, so it lags a little."""
        self.unreported = 0

    def hear(self, pcm: Pcm) -> None:
        self._probabilities.extend(self._detector.probabilities(pcm))
        self._levels.extend(self._meter.feed(pcm))
        self.position += len(pcm)
        self.unreported += len(pcm)
        self.heard = self._reported + self._frame * self._ready

    def finish(self) -> None:
        self._probabilities.extend(self._detector.flush())
        self._levels.extend(self._meter.flush())

    @property
    def _ready(self) -> int:
        return min(len(self._probabilities), len(self._levels))

    def report(self) -> FramesHeard:
        """Return the frames that are ready in both, rounded to what matters."""
        ready = self._ready
        self._reported += ready * self._frame
        heard = FramesHeard(
            position=self.position,
            heard=self._reported,
            probabilities=tuple(round(value, 4) for value in self._probabilities[:ready]),
            levels=tuple(round(value, 1) for value in self._levels[:ready]),
        )
        del self._probabilities[:ready], self._levels[:ready]
        self.unreported = 0
        return heard


if __name__ == "__main__":
    serve(Lifeline())
