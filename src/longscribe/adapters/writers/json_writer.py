"""JSON (`.json`): everything known about the transcript, for programs.

`docs/reference/json.md` describes each field; a test holds the two together.
The document is written as it is read, one segment or window a line, so its
length costs no memory.

Ledger of `SCHEMA`:
    1  first version
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TextIO

from longscribe.core.bias.report import replaced_in
from longscribe.ports import TranscriptView
from longscribe.types import (
    CoverageEntry,
    CoverageKind,
    Evidence,
    Gap,
    Proposal,
    Segment,
    Span,
    WindowResult,
    Word,
    to_seconds,
)

SCHEMA = 1
"""Raised when a field changes its meaning or goes; a new field does not raise it."""

# Raw, these would end a line for some readers, or could not be written as UTF-8 at all.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")

_Record = Mapping[str, object]


class JsonWriter:
    """Writes the whole transcript as one JSON object."""

    extension = "json"

    def write(self, view: TranscriptView, out: TextIO) -> None:
        head = {
            "schema": SCHEMA,
            "generator": "longscribe",
            "media": view.media,
            "language": view.language,
            "duration": to_seconds(view.duration),
            "complete": view.complete,
        }
        out.write("{\n")
        out.writelines(f'"{name}": {_dump(value)},\n' for name, value in head.items())
        _write_text(view.segments(), out)
        _write_list("segments", _segments(view.windows()), out)
        _write_list("windows", map(_window, view.windows()), out)
        _write_list("gaps", map(_gap, view.gaps()), out)
        _write_coverage(view, out)
        out.write("}\n")


# --- one record a line -------------------------------------------------------


def _segments(windows: Iterable[WindowResult]) -> Iterator[_Record]:
    number = 0
    for result in windows:
        for segment in result.segments:
            yield _segment(number, segment, replaced_in(segment, result.proposals))
            number += 1


def _segment(number: int, segment: Segment, replaced: Sequence[Proposal]) -> _Record:
    return {
        "id": number,
        **_times(segment),
        "text": segment.text,
        "avg_logprob": _number(segment.average_logprob),
        "no_speech_prob": _number(segment.no_speech_probability),
        "compression_ratio": _number(segment.compression_ratio),
        "chunk_id": segment.chunk_id,
        "window": segment.window,
        "bias_window_id": segment.bias_window_id,
        "bias_terms": segment.bias_terms,
        "replaced": [
            {"heard": it.heard, "written": it.written, "term": it.term, **_times(it)}
            for it in replaced
        ],
        "words": [_word(word) for word in segment.words],
    }


def _word(word: Word) -> _Record:
    return {"word": word.text, **_times(word), "probability": _number(word.probability)}


def _window(result: WindowResult) -> _Record:
    prompt = result.prompt
    return {
        "chunk_id": result.chunk_id,
        "index": result.window.index,
        **_times(result.window.span),
        "bias_window_id": result.bias_window_id,
        "prompt": {"terms": prompt.terms, "text": prompt.text, "tokens": prompt.token_ids},
        "remarks": result.remarks,
        "proposals": [proposal_record(proposal) for proposal in result.proposals],
    }


def proposal_record(proposal: Proposal) -> dict[str, object]:
    """Return a proposal as it stands in the file."""
    return {
        "term": proposal.term,
        "heard": proposal.heard,
        "written": proposal.written,
        **_times(proposal),
        "accepted": proposal.accepted,
        "reason": proposal.reason,
        "evidence": _evidence(proposal.evidence),
    }


def _evidence(evidence: Evidence) -> _Record:
    return {
        "sound": _number(evidence.sound),
        "acoustic": None if evidence.acoustic is None else _number(evidence.acoustic),
        "margin": _number(evidence.margin),
        "confidence": _number(evidence.confidence),
        "commonness": _number(evidence.commonness),
        "second_pass": evidence.second_pass,
        "recurrence": evidence.recurrence,
        "timing": evidence.timing,
        "alias": evidence.alias,
        "small": evidence.small,
        "letters": evidence.letters,
        "words": evidence.words,
        "probability": _number(evidence.probability),
        "threshold": _number(evidence.threshold),
    }


def _gap(gap: Gap) -> _Record:
    return {**_times(gap.span), "reason": gap.reason, "chunk_id": gap.chunk_id}


def _entry(entry: CoverageEntry) -> _Record:
    return {**_times(entry.span), "kind": entry.kind, "reason": entry.reason}


def _times(item: Segment | Word | Span | Proposal) -> _Record:
    return {"start": to_seconds(item.start), "end": to_seconds(item.end)}


def _number(value: float) -> float | None:
    """Return `value` to four decimals; JSON has no word for what is not finite, so that is None."""
    return round(value, 4) if math.isfinite(value) else None


# --- the parts of the document ----------------------------------------------


def _write_text(segments: Iterable[Segment], out: TextIO) -> None:
    """Write `text`, the segments' texts joined and stripped, piece by piece."""
    out.write('"text": "')
    begun, held_space = False, ""
    for segment in segments:
        text = segment.text if begun else segment.text.lstrip()
        said = text.rstrip()
        if said:
            out.write(_dump(held_space + said)[1:-1])
            begun, held_space = True, text[len(said) :]
        else:
            held_space += text
    out.write('",\n')


def _write_coverage(view: TranscriptView, out: TextIO) -> None:
    samples = dict.fromkeys(CoverageKind, 0)
    for entry in view.coverage():
        samples[entry.kind] += entry.span.length
    seconds = {kind: to_seconds(count) for kind, count in samples.items()}
    out.write(f'"coverage": {{\n"seconds": {_dump(seconds)},\n"samples": {_dump(samples)},\n')
    _write_list("entries", map(_entry, view.coverage()), out, last=True)
    out.write("}\n")


def _write_list(name: str, records: Iterable[_Record], out: TextIO, *, last: bool = False) -> None:
    out.write(f'"{name}": [')
    separator = "\n"
    for record in records:
        out.write(separator + _dump(record))
        separator = ",\n"
    out.write("]\n" if last else "],\n")


def _dump(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
