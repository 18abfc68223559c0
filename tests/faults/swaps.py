"""Other audio in the place of what was planned: media, tracks and spools that are exchanged.

The recognizer of this suite writes a word as a digest of its samples, so words of other
audio are known for certain.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.faults.harness import Job, Journal, Report, run
from tests.faults.kills import check_killed
from tests.faults.media import make_speech
from tests.faults.stage import PLAIN, Scenario, Stage

SECONDS = 100.0
"""Two chunks."""
OPTIONS = (*PLAIN, "-f", "srt", "-f", "json")
WIDER = ("--beam-size", "2")
INSTANTS = range(3, 63, 5)
"""Writes of the supervisor at which the first run is killed."""
READ_TO_END = 24
"""Of those, the first at which the reader has surely come to its end."""
SHORT = (1, 43)
"""Instants that the short form takes."""


def scenarios() -> Iterator[Scenario]:
    for at in INSTANTS:
        for change in (overwritten, renamed):
            yield Scenario(
                name=f"killed at write {at}, then the media is {change.__name__} with other audio",
                play=partial(_other_media, at, change),
                short=at == SHORT[1] and change is renamed,
            )
        yield Scenario(
            name=f"killed at write {at} over one track, then another track is asked for",
            play=partial(_other_track, at),
            short=at == SHORT[1],
        )
    for harm in HARMS:
        for kept in (False, True):
            how = "kept" if kept else "left by a kill"
            yield Scenario(
                name=f"the audio {how} is {harm.__name__}",
                play=partial(_harmed, harm, kept),
                short=harm is exchanged and kept,
            )


# --- recordings ----------------------------------------------------------------


def _speech(stage: Stage, seed: int, channels: int = 1) -> Path:
    """Return a recording of its own for each seed, all of one length and name."""
    path = stage.root / f"speech-{seed}-{channels}" / "talk.wav"
    with stage.once(path.parent) as missing:
        if missing:
            make_speech(path, SECONDS, seed=seed, channels=channels)
    return path


def _calm(stage: Stage, media: Path, *more: str) -> Report:
    name = f"calm-{media.parent.name}-{'-'.join(more)}"
    return stage.calm_run(
        name, lambda folder: Job(folder=folder, media=media, options=(*OPTIONS, *more))
    )[0]


def overwritten(media: Path, by: Path) -> None:
    """In place: the same inode, size and time of modification."""
    times = media.stat()
    with media.open("r+b") as file:
        file.write(by.read_bytes())
    os.utime(media, ns=(times.st_atime_ns, times.st_mtime_ns))


def renamed(media: Path, by: Path) -> None:
    aside = media.with_name("aside")
    shutil.copy2(by, aside)
    aside.replace(media)


def _alone(report: Report) -> Report:
    """Return a report without what its journal says: other audio, or a wider search, is rightly
    decoded where the same chunk was decoded before."""
    return replace(report, journal=Journal(events=(), attempts=()))


def _killed(name: str, job: Job, at: int, stage: Stage) -> bool:
    """Run a job and kill it at a write; tell whether it came to that."""
    killed = run(job, at=at, action="kill-all" if at % 2 else "kill")
    if killed.status == 0:
        return False
    stage.struck("SIGKILL at a write")
    check_killed(name, killed, stage)
    return True


# --- scenarios -------------------------------------------------------------------


def _other_media(at: int, change: Callable[[Path, Path], None], stage: Stage) -> None:
    name = f"other media after write {at}"
    one, two = _speech(stage, 1), _speech(stage, 2)
    folder = stage.folder()
    job = Job(folder=folder, media=folder / "talk.wav", options=(*OPTIONS, "--keep-audio"))
    shutil.copy2(one, job.media)
    _killed(name, job, at, stage)
    for media in (two, one, two):
        time.sleep(0.01)  # a tick of the file system's clock
        change(job.media, media)
        stage.struck("media exchanged")
        stage.settle(name, _alone(run(job)), _calm(stage, media))


def _other_track(at: int, stage: Stage) -> None:
    name = f"another track after write {at}"
    media = _speech(stage, 3, channels=2)
    job = Job(folder=stage.folder(), media=media, options=(*OPTIONS, "--audio-track", "0"))
    stage.settle(name, run(job), _calm(stage, media, "--audio-track", "0"))
    other = replace(job, options=(*OPTIONS, "--audio-track", "1"))
    if _killed(name, other, at, stage):
        stage.struck("track exchanged")
    wider = replace(job, options=(*job.options, *WIDER))
    stage.settle(name, _alone(run(wider)), _calm(stage, media, "--audio-track", "0", *WIDER))
    stage.struck("track exchanged")
    stage.settle(name, _alone(run(other)), _calm(stage, media, "--audio-track", "1"))


def _harmed(harm: Callable[[Path, Path], None], kept: bool, stage: Stage) -> None:
    name = f"audio {harm.__name__}"
    one, two = _speech(stage, 1), _speech(stage, 2)
    other = Job(folder=stage.folder(), media=two, options=(*OPTIONS, "--keep-audio"))
    stage.settle(name, run(other), _calm(stage, two))
    job = Job(folder=stage.folder(), media=one, options=(*OPTIONS, "--keep-audio"))
    if kept:
        stage.settle(name, run(job), _calm(stage, one))
        more: tuple[str, ...] = WIDER
    else:
        more = ()
        if not _killed(name, job, READ_TO_END, stage):
            stage.complain(name, f"the run ended before write {READ_TO_END}")
    spool = job.path / "audio.s16"
    if spool.exists():
        harm(spool, other.path / "audio.s16")
        stage.struck("audio harmed")
    again = replace(job, options=(*job.options, *more))
    done = run(again)
    stage.settle(name, _alone(done) if kept else done, _calm(stage, one, *more))


def zeroed(spool: Path, other: Path) -> None:
    spool.write_bytes(bytes(spool.stat().st_size))


def shortened(spool: Path, other: Path) -> None:
    os.truncate(spool, spool.stat().st_size // 2)


def lengthened(spool: Path, other: Path) -> None:
    os.truncate(spool, spool.stat().st_size + 32_000)


def exchanged(spool: Path, other: Path) -> None:
    shutil.copyfile(other, spool)


def exchanged_with_its_label(spool: Path, other: Path) -> None:
    shutil.copyfile(other, spool)
    shutil.copyfile(other.with_suffix(".plan"), spool.with_suffix(".plan"))


def flipped_by_a_bit(spool: Path, other: Path) -> None:
    # In a word of each minute: what lies in silence is no part of any window's words.
    data = bytearray(spool.read_bytes())
    for at in range(2 * 16_000, len(data), 20 * 2 * 16_000):
        data[at] ^= 1
    spool.write_bytes(data)


def shifted(spool: Path, other: Path) -> None:
    data = spool.read_bytes()
    spool.write_bytes(data[3200:] + data[:3200])


HARMS = (
    zeroed,
    shortened,
    lengthened,
    exchanged,
    exchanged_with_its_label,
    flipped_by_a_bit,
    shifted,
)
