"""Media files that nobody made: `python -m tests.faults.fuzz_media` mutates some and reads them.

Each mutated file goes through the real reader (decoder, mixer, clock, spool) in a
process of its own with limits on memory, disk and CPU time; some go through a
whole run of the command with a recognizer that costs nothing. A seed gives the
same files again. Exits 0 only if every promise was kept:

* the reader ends with all of the audio in the spool, or with an error of ours;
* a run ends with status 0, 1 or 3, without a traceback, its coverage tiling the
  recording;
* nothing takes more memory, disk or time than `Bounds` says.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from longscribe.ports import ReadTask
from longscribe.worker import reader
from longscribe.worker.messages import FromChildMessage, ReadUntil, ToChildMessage
from tests.media_samples import Track, bursts, write

ROOT = Path(__file__).parents[2]
FILES = 500
SEED = 14
WHOLE_EVERY = 10
"""Of so many files one goes through a whole run."""
MEBIBYTE = 2**20


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What reading a file of about 100 kB may take."""

    memory: int = 1024 * MEBIBYTE
    """Bytes of address space beyond what the idle reader has."""
    resident: int = 512 * MEBIBYTE
    """Bytes of resident memory at the highest."""
    disk: int = 256 * MEBIBYTE
    cpu: int = 120
    """Seconds."""


BOUNDS = Bounds()


# --- files -------------------------------------------------------------------


def make_originals(folder: Path) -> list[Path]:
    """Write one small file of each kind."""
    rng = np.random.default_rng(0)

    def track(codec: str, rate: int = 16_000, **more: Any) -> Track:
        sound = bursts(rate, 3.0, [0.5, 1.25, 2.5])
        sound = sound + rng.normal(size=sound.shape).astype(np.float32) * 0.01
        if more.get("layout") == "stereo":
            sound = np.repeat(sound, 2, axis=0)
        return Track(sound=sound.astype(np.float32), rate=rate, codec=codec, **more)

    stereo = {"layout": "stereo"}
    paths = [
        write(folder / "a.wav", track("pcm_s16le")),
        write(folder / "b.wav", track("adpcm_ima_wav")),
        write(folder / "c.wav", track("pcm_s16le"), options={"rf64": "always"}),
        write(folder / "d.w64", track("pcm_s16le")),
        write(folder / "e.aiff", track("pcm_s16be")),
        write(folder / "f.caf", track("pcm_s16be")),
        write(folder / "g.flac", track("flac", format="s16")),
        write(folder / "h.mp3", track("libmp3lame", 44_100, **stereo)),
        write(folder / "i.m4a", track("aac", 44_100, **stereo)),
        write(folder / "j.mp4", track("aac", 48_000), video=3.0),
        write(folder / "k.mkv", track("flac", 48_000, format="s16"), track("ac3", 48_000)),
        write(folder / "l.mka", track("libopus", 48_000)),
        write(folder / "m.ogg", track("libopus", 48_000)),
        write(folder / "n.webm", track("libopus", 48_000)),
        write(folder / "o.ts", track("ac3", 48_000), video=3.0, video_codec="mpeg2video"),
        write(folder / "p.avi", track("libmp3lame", 48_000), video=3.0),
        write(folder / "q.flv", track("libmp3lame", 44_100)),
        write(folder / "r.aac", track("aac", 44_100)),
    ]
    for number in range(2):
        write(folder / f"piece{number}.ts", track("ac3", 48_000))
    playlist = folder / "s.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\npiece0.ts\n#EXTINF:3.0,\ngone.ts\n"
        "#EXTINF:3.0,\npiece1.ts\n#EXT-X-ENDLIST\n"
    )
    return [*paths, playlist]


Mutation = Callable[[bytearray, random.Random, bytes], str]


def _flip(content: bytearray, dice: random.Random, other: bytes) -> str:
    count = dice.choice((1, 3, 20, 200))
    for _ in range(count):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return f"{count} bits flipped"


def _flip_header(content: bytearray, dice: random.Random, other: bytes) -> str:
    count = dice.choice((1, 2, 8))
    for _ in range(count):
        content[dice.randrange(min(len(content), 600))] = dice.randrange(256)
    return f"{count} bytes of the header changed"


def _truncate(content: bytearray, dice: random.Random, other: bytes) -> str:
    length = dice.randrange(1, len(content) + 1)
    del content[length:]
    return f"cut to {length} bytes"


def _behead(content: bytearray, dice: random.Random, other: bytes) -> str:
    length = dice.randrange(1, max(2, len(content) // 2))
    del content[:length]
    return f"{length} bytes cut from the beginning"


def _splice(content: bytearray, dice: random.Random, other: bytes) -> str:
    start = dice.randrange(len(other))
    block = other[start : start + dice.choice((16, 500, 8000))]
    at = dice.randrange(len(content) + 1)
    content[at:at] = block
    return f"{len(block)} bytes of another file put in"


def _overwrite(content: bytearray, dice: random.Random, other: bytes) -> str:
    at, length = dice.randrange(len(content)), dice.choice((16, 500, 8000))
    length = min(length, len(content) - at)
    content[at : at + length] = dice.choice((bytes(length), dice.randbytes(length)))
    return f"{length} bytes overwritten"


def _duplicate(content: bytearray, dice: random.Random, other: bytes) -> str:
    start = dice.randrange(len(content))
    end = min(len(content), start + dice.choice((64, 4000, len(content))))
    content[end:end] = content[start:end]
    return f"{end - start} bytes doubled"


def _maximise(content: bytearray, dice: random.Random, other: bytes) -> str:
    """Give fields the values at which arithmetic ends."""
    values = (b"\xff" * 4, b"\x7f" + b"\xff" * 3, b"\xff" * 3 + b"\x7f", b"\0" * 4, b"\xff" * 8)
    count = dice.choice((1, 2, 4))
    for _ in range(count):
        value = dice.choice(values)
        at = dice.randrange(max(1, min(len(content), dice.choice((64, 1000, 10**9)))))
        content[at : at + len(value)] = value[: len(content) - at]
    return f"{count} fields at their limits"


MUTATIONS: Sequence[Mutation] = (
    _flip,
    _flip_header,
    _truncate,
    _behead,
    _splice,
    _overwrite,
    _duplicate,
    _maximise,
)


def mutate(original: bytes, others: Sequence[bytes], dice: random.Random) -> tuple[bytes, str]:
    """Return a mutation of `original`, and how it was made."""
    content = bytearray(original)
    how = [
        dice.choice(MUTATIONS)(content, dice, dice.choice(others))
        for _ in range(dice.choice((1, 1, 2, 3)))
        if content
    ]
    return bytes(content), ", ".join(how)


# --- through the reader ------------------------------------------------------


class _Done(BaseException):
    """The reader has no more to say."""


@dataclass(kw_only=True)
class _Script:
    """Fulfils `Line`: tells the reader to read to the end, and keeps what it says."""

    task: ReadTask
    heard: list[FromChildMessage] = field(default_factory=list)
    _told: int = 0

    def receive(self) -> ToChildMessage:
        self._told += 1
        if self._told == 1:
            return self.task
        raise _Done

    def pending(self) -> ToChildMessage | None:
        self._told += 1
        return ReadUntil(position=None) if self._told == 2 else None

    def send(self, message: FromChildMessage) -> None:
        self.heard.append(message)


READ, REFUSED = "read", "refused"


def read_here(path: Path, spool: Path) -> str:
    """Read a file in this process; return how it ended well, or what was not kept."""
    script = _Script(
        task=ReadTask(
            media=str(path),
            audio_track=None,
            spool=str(spool),
            reader="longscribe.adapters.media.pyav:open_media",
            detector="tests.faults.media:WaveDetector",
        )
    )
    with contextlib.suppress(_Done):
        reader.serve(script)
    last = script.heard[-1]
    if last.type == "broke":
        if last.slug in ("media", "usage"):
            return REFUSED
        return f"the reader broke: {last.slug} {last.found}\n{last.traceback}"
    if last.type != "media_ended":
        return f"the reader ended with {last.type}"
    frames = [message for message in script.heard if message.type == "frames_heard"]
    size = spool.stat().st_size
    if size != 2 * last.duration or frames[-1].position != last.duration:
        return f"{size} bytes were spooled of {last.duration} samples"
    lost = [message.loss.span for message in script.heard if message.type == "audio_missing"]
    if any(span.end > last.duration for span in lost):
        return f"a loss {lost} lies behind the end {last.duration}"
    return READ


def read_apart(path: Path, folder: Path) -> str:
    """Read a file in a process of its own, under limits; return as `read_here`."""
    spool, report = folder / "audio.s16", folder / "report.txt"
    report.unlink(missing_ok=True)
    spool.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        _read_in_child(path, spool, report)
    _, status, used = os.wait4(pid, 0)
    spool.unlink(missing_ok=True)
    if os.WIFSIGNALED(status):
        return f"the reader ended with signal {os.WTERMSIG(status)}"
    if used.ru_maxrss * 1024 > BOUNDS.resident:
        return f"{used.ru_maxrss / 1024:.0f} MiB were resident"
    return report.read_text(encoding="utf-8") if report.exists() else "the reader said nothing"


def _read_in_child(path: Path, spool: Path, report: Path) -> None:
    """Never returns."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        room = pages * resource.getpagesize() + BOUNDS.memory
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        resource.setrlimit(resource.RLIMIT_FSIZE, (BOUNDS.disk, BOUNDS.disk))
        resource.setrlimit(resource.RLIMIT_CPU, (BOUNDS.cpu, BOUNDS.cpu))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        told = read_here(path, spool)
    except BaseException:  # noqa: BLE001 - whatever it was, it is the finding
        told = traceback.format_exc()
    report.write_text(told, encoding="utf-8")
    os._exit(0)


# --- through the command -----------------------------------------------------


def run_whole(path: Path, folder: Path) -> str:
    """Run the command on a file; return what was not kept, or an empty text."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "longscribe", "transcribe", str(path), "-o", str(out)),
            *("--recognizer", "tests.faults.recognizers:load", "--model", "none"),
            *("--language", "en"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode not in (0, 1, 3) or "Traceback" in done.stderr:
        return f"status {done.returncode}: {done.stderr[-2000:]}"
    if done.returncode == 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
        left = list(out.glob("*.longscribe/audio.s16"))
        if len(lines) != 1 or left:
            return f"status 1, the spool left: {left}, said: {done.stderr[-2000:]}"
        return ""
    [document] = out.glob("*.json")
    told = json.loads(document.read_text(encoding="utf-8"))
    return _accounts(told, gaps=done.returncode == 3)


def _accounts(told: dict[str, Any], *, gaps: bool) -> str:
    at = 0.0
    for entry in told["coverage"]["entries"]:
        if abs(entry["start"] - at) > 0.002:
            return f"the coverage jumps from {at} to {entry['start']}"
        at = entry["end"]
    if abs(at - told["duration"]) > 0.002:
        return f"the coverage ends at {at}, the recording at {told['duration']}"
    if gaps != bool(told["gaps"]):
        return f"status {3 if gaps else 0} with the gaps {told['gaps']}"
    return ""


# --- all of them -------------------------------------------------------------


def fuzz(folder: Path, files: int, seed: int, only: int | None = None) -> tuple[list[str], str]:
    """Mutate and read; return what was not kept, and a line that sums up."""
    originals = make_originals(folder)
    contents = [path.read_bytes() for path in originals]
    found: list[str] = []
    counts: Counter[str] = Counter()
    slowest = 0.0
    for number in range(files):
        dice = random.Random(f"{seed}-{number}")
        original = originals[number % len(originals)]
        content, how = mutate(original.read_bytes(), contents, dice)
        if only is not None and number != only:
            continue
        path = folder / f"mutated{original.suffix}"
        path.write_bytes(content)
        began = time.monotonic()
        told = read_apart(path, folder)
        slowest = max(slowest, time.monotonic() - began)
        killed = told.startswith("the reader ended with signal")
        ended = told in (READ, REFUSED)
        counts[told if ended else "ended otherwise"] += 1
        # What kills the reader must still end well for the user.
        if killed or (ended and number % WHOLE_EVERY == 0):
            told = run_whole(path, folder)
            counts["whole runs"] += 1
        elif ended:
            told = ""
        if told:
            found.append(f"file {number} ({original.name}: {how}): {told}")
        path.unlink()
    return found, f"{dict(counts)}; the slowest took {slowest:.1f} s"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.fuzz_media",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", type=int, default=None, metavar="NUMBER", help="one file")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="longscribe-fuzz-"))
    try:
        found, summary = fuzz(folder, given.files, given.seed, given.only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for finding in found:
        print(finding)  # noqa: T201
    print(f"{summary}; promises broken: {len(found)}")  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
