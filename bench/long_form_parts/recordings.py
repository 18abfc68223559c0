"""Recordings of people with what they say, read from a folder; joined; and sound without speech."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench._common import SAMPLE_RATE, read_samples, write_flac
from bench.bias_parts.noises import non_speech

AUDIO = frozenset({
    ".aac", ".aiff", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg",
    ".opus", ".sph", ".wav", ".webm", ".wma",
})  # fmt: skip
"""Endings of the files that are taken for recordings."""
BETWEEN = 2.0
"""Seconds of silence between recordings that are joined."""
NOISES = ("noise", "music", "applause", "breath", "hum")
STRETCH = 30.0
"""Seconds of one noise before the next."""
UNSAID = (
    "Abernock", "Belquist", "Carradoon", "Dunvarrow", "Eskeldine", "Fothermere", "Glasmuir",
    "Hestonby", "Ivellorne", "Jarnaway", "Kestrelby", "Lomberdine", "Morvanna", "Netherquill",
    "Ostrevant", "Pelliwick", "Quarrendon", "Rostemby", "Silverquoy", "Tamberlain",
)  # fmt: skip
"""Made-up names, for recordings that come without words that nobody says."""


class MaterialError(Exception):
    """The folder holds nothing that can be scored: what was found and what is expected."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Something to transcribe, and what should come of it."""

    name: str
    media: Path
    text: str
    """What is said, in any spelling; empty where nobody speaks."""
    seconds: float
    unsaid: tuple[str, ...] = ()
    """Rare words that nobody says in it."""

    @property
    def spoken(self) -> bool:
        """Whether anybody speaks in it."""
        return bool(self.text.strip())


def read_folder(folder: Path) -> list[Recording]:
    """Return the recordings of a folder in the order of their names.

    Each audio file must have its words beside it, under its own name: in a `.json` file with
    `utterances` or `segments` (objects with `text`) or `text`, or in a `.txt` file.

    Raises:
        MaterialError: there is no audio, or a file has no words.
    """
    media = [path for path in sorted(folder.glob("*")) if path.suffix.lower() in AUDIO]
    if not media:
        raise MaterialError(f"{folder} holds no audio ({', '.join(sorted(AUDIO))}).")
    return [_read(path) for path in media]


def _read(media: Path) -> Recording:
    beside = media.with_suffix(".json")
    about: dict[str, Any] = {}
    if beside.is_file():
        about = json.loads(beside.read_text(encoding="utf-8"))
        parts = about.get("utterances") or about.get("segments") or [about]
        text = " ".join(str(part.get("text", "")) for part in parts)
    elif media.with_suffix(".txt").is_file():
        text = media.with_suffix(".txt").read_text(encoding="utf-8")
    else:
        text = ""
    if not text.strip():
        raise MaterialError(
            f"{media} has no words beside it: expected {media.stem}.json with `utterances`, "
            f"`segments` or `text`, or {media.stem}.txt."
        )
    return Recording(
        name=media.stem,
        media=media,
        text=text,
        seconds=duration(media),
        unsaid=tuple(about.get("others", ())),
    )


def duration(media: Path) -> float:
    """Return the length of a file in seconds, as its container says."""
    with av.open(str(media)) as container:
        return (container.duration or 0) / av.time_base


def chosen(recordings: Sequence[Recording], wanted: Sequence[str]) -> list[Recording]:
    """Return the first N recordings, or those that are named; all if nothing is wanted.

    Raises:
        MaterialError: a name is none of theirs.
    """
    if not wanted:
        return list(recordings)
    if len(wanted) == 1 and wanted[0].isdecimal() and int(wanted[0]) <= len(recordings):
        return list(recordings[: int(wanted[0])])
    by_name = {each.name: each for each in recordings}
    for name in wanted:
        if name not in by_name:
            raise MaterialError(f"there is no recording {name!r}; there are {', '.join(by_name)}.")
    return [by_name[name] for name in wanted]


# --- joined ------------------------------------------------------------------


def groups(recordings: Sequence[Recording], minutes: float) -> list[list[Recording]]:
    """Put recordings together, in their order, until each group is at least `minutes` long.

    What is left over at the end joins the last group: so each word is counted once.
    """
    found: list[list[Recording]] = [[]]
    for each in recordings:
        if sum(one.seconds for one in found[-1]) >= 60 * minutes:
            found.append([])
        found[-1].append(each)
    if len(found) > 1 and sum(one.seconds for one in found[-1]) < 60 * minutes:
        rest = found.pop()
        found[-1] += rest
    return found


def joined(recordings: Sequence[Recording], minutes: float, folder: Path) -> list[Recording]:
    """Return recordings of at least `minutes`, made of these; each of them is in one."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for group in groups(recordings, minutes):
        name = f"{group[0].name}+{len(group) - 1}" if len(group) > 1 else group[0].name
        media = folder / f"{name}.flac"
        _write_once(media, _samples(group))
        found.append(
            Recording(
                name=name,
                media=media,
                text=" ".join(each.text for each in group),
                seconds=duration(media),
                unsaid=_unsaid_in_all(group),
            )
        )
    return found


def _samples(group: Sequence[Recording]) -> Iterator[np.ndarray]:
    for number, each in enumerate(group):
        if number:
            yield np.zeros(round(BETWEEN * SAMPLE_RATE), np.int16)
        yield read_samples(each.media)


def _unsaid_in_all(group: Sequence[Recording]) -> tuple[str, ...]:
    said = {word for each in group for word in each.text.lower().split()}
    return tuple(word for word in group[0].unsaid if word.lower() not in said)


def unsaid_terms(recording: Recording, count: int) -> list[str]:
    """Return `count` rare words that nobody says in the recording, or made-up names."""
    said = set(recording.text.lower().split())
    pool = [*recording.unsaid, *UNSAID]
    return [word for word in dict.fromkeys(pool) if word.lower() not in said][:count]


# --- nobody speaks -----------------------------------------------------------


def without_speech(minutes: float, seed: int, folder: Path) -> Recording:
    """Return a recording of noise, music, applause, breath and hum, the same for a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    media = folder / f"non-speech-{minutes:g}min-seed{seed}.flac"
    _write_once(media, _noises(minutes, seed))
    return Recording(name=media.stem, media=media, text="", seconds=duration(media))


def _noises(minutes: float, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    left, number = 60 * minutes, 0
    while left > 0:
        yield non_speech(NOISES[number % len(NOISES)], min(left, STRETCH), rng)
        left, number = left - STRETCH, number + 1


def _write_once(media: Path, parts: Iterator[np.ndarray]) -> None:
    """Write audio that is not there yet; it appears when it is whole."""
    if not media.exists():
        unfinished = media.with_suffix(".unfinished")
        write_flac(unfinished, parts)
        unfinished.rename(media)
