"""What a recording of the benchmark is, and where it lies: `NNN.flac`, `NNN.json`.

The JSON is the truth that hypotheses are scored against: what is said when, which terms are spoken,
which are listed and not spoken, and the names that fill glossaries up.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

TERM, PLAIN, NEAR, WRONG_TIME = "term", "plain", "near", "wrong_time"
NON_SPEECH = ("silence", "noise", "hum", "music")
SPOKEN, ABSENT = "spoken", "absent"  # kinds of terms; the third is WRONG_TIME


@dataclass(frozen=True, kw_only=True)
class Line:
    """One utterance, or one stretch without any (no text). Times in seconds."""

    start: float
    end: float
    stratum: str
    """`term`: with terms. `plain`: without. `near`: with names that only sound like a term.
    `wrong_time`: with terms that are listed for another time. Else a kind of non-speech."""
    block: int
    text: str = ""
    """As it should be written."""
    spoken: str = ""
    """As the synthesizer got it."""
    terms: tuple[str, ...] = ()
    """The listed terms in `text`, one for each mention."""
    voice: str = ""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A stretch of one kind: a scene with its terms, ordinary speech, noise."""

    start: float
    end: float
    stratum: str


@dataclass(frozen=True, kw_only=True)
class ListedTerm:
    """A true term of the recording: every glossary holds it."""

    text: str
    plain: str
    """The spelling from which it is spoken."""
    kind: str
    """`spoken`, `absent` (a near-homophone of it is spoken instead) or `wrong_time`."""
    spoken_in: tuple[int, ...]
    """Numbers of the blocks where it is spoken."""
    listed_for: tuple[int, ...]
    """Numbers of the blocks that a glossary with times lists it for."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording and all that is known of it."""

    name: str
    folder: Path
    seed: str
    duration: float
    blocks: tuple[Block, ...]
    lines: tuple[Line, ...]
    terms: tuple[ListedTerm, ...]
    near_others: tuple[str, ...]
    """Names that nobody says but that sound like something that is said."""
    random_others: tuple[str, ...]
    """Names that nobody says."""

    @property
    def media(self) -> Path:
        return self.folder / f"{self.name}.flac"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.json"


def save(recording: Recording) -> None:
    """Write the JSON beside the media."""
    fields = {key: value for key, value in dataclasses.asdict(recording).items() if key != "folder"}
    text = json.dumps(fields, indent=1, ensure_ascii=False)
    recording.path.write_text(text + "\n", encoding="utf-8")


def load(path: Path) -> Recording:
    """Read what `save` wrote."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Recording(
        name=fields["name"],
        folder=path.parent,
        seed=fields["seed"],
        duration=fields["duration"],
        blocks=tuple(Block(**block) for block in fields["blocks"]),
        lines=tuple(Line(**{**line, "terms": tuple(line["terms"])}) for line in fields["lines"]),
        terms=tuple(
            ListedTerm(
                **{
                    **term,
                    "spoken_in": tuple(term["spoken_in"]),
                    "listed_for": tuple(term["listed_for"]),
                }
            )
            for term in fields["terms"]
        ),
        near_others=tuple(fields["near_others"]),
        random_others=tuple(fields["random_others"]),
    )


def load_all(folder: Path) -> list[Recording]:
    """Read the recordings in `folder` whose media is there, by name."""
    paths = sorted(folder.glob("[0-9][0-9][0-9].json"))
    return [load(path) for path in paths if path.with_suffix(".flac").exists()]
