"""The records of a journal: their forms as JSON, and how they are read from its tables."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from longscribe.job_events import JobEvent, UnknownEvent
from longscribe.ports import DecodeTask
from longscribe.types import Chunk, ChunkFailure, ChunkResult, Gap, LanguageGuess, Recording
from longscribe.wire import from_json, to_json

EVENT: TypeAdapter[JobEvent] = TypeAdapter(Annotated[JobEvent, Field(discriminator="type")])
KNOWN_EVENTS = frozenset(event.type for event in get_args(JobEvent))
CHUNK: TypeAdapter[Chunk] = TypeAdapter(Chunk)
RECORDING: TypeAdapter[Recording] = TypeAdapter(Recording)
LANGUAGE: TypeAdapter[LanguageGuess] = TypeAdapter(LanguageGuess)
RESULT: TypeAdapter[ChunkResult] = TypeAdapter(ChunkResult)
FAILURE: TypeAdapter[ChunkFailure] = TypeAdapter(ChunkFailure)
GAP: TypeAdapter[Gap] = TypeAdapter(Gap)
TASK: TypeAdapter[DecodeTask] = TypeAdapter(DecodeTask)


def add_event(db: sqlite3.Connection, event: JobEvent) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    db.execute(
        "INSERT INTO event (at, type, body) VALUES (?, ?, ?)",
        (at, event.type, to_json(EVENT, event)),
    )


def read_events(db: sqlite3.Connection) -> Iterator[tuple[str, JobEvent | UnknownEvent]]:
    """Yield (time, event) in order.

    Raises:
        UnreadableRecordError: one of a known type says what no such event can say.
    """
    for at, kind, body in db.execute("SELECT at, type, body FROM event ORDER BY seq"):
        known = kind in KNOWN_EVENTS
        yield at, from_json(EVENT, body) if known else UnknownEvent(type=kind, body=body)


def read_result(db: sqlite3.Connection, key: str) -> ChunkResult | None:
    """Return the result under `key`."""
    row = db.execute("SELECT body FROM result WHERE key = ?", (key,)).fetchone()
    return None if row is None else from_json(RESULT, row[0])


def latest_task(db: sqlite3.Connection, label: str) -> DecodeTask | None:
    """Return what a worker was told at the latest attempt at the chunk, or part, `label`."""
    row = db.execute(
        "SELECT task FROM attempt WHERE label = ? ORDER BY id DESC LIMIT 1", (label,)
    ).fetchone()
    return None if row is None else from_json(TASK, row[0])


def dump(db: sqlite3.Connection) -> dict[str, Any]:
    """Return everything the journal holds, as plain values for JSON."""

    def bodies(query: str) -> list[Any]:
        """Return the rows; the last column is JSON, whose keys join the others."""
        cursor = db.execute(query)
        columns = [name for name, *_ in cursor.description[:-1]]
        return [
            {**dict(zip(columns, row[:-1], strict=True)), **json.loads(row[-1])} for row in cursor
        ]

    version = db.execute("SELECT max(version) FROM schema_ledger").fetchone()[0]
    return {
        "schema_version": version,
        "recordings": bodies("SELECT plan, body FROM recording"),
        "plan": bodies("SELECT plan, audio, body FROM chunk ORDER BY plan, chunk_id"),
        "languages": bodies("SELECT key, body FROM language"),
        "attempts": [
            {
                "key": key,
                "label": label,
                "number": number,
                "failure": json.loads(failure) if failure else None,
                "task": json.loads(task),
            }
            for key, label, number, failure, task in db.execute(
                "SELECT key, label, number, failure, task FROM attempt ORDER BY id"
            )
        ],
        "results": bodies("SELECT key, body FROM result ORDER BY rowid"),
        "gaps": bodies("SELECT key, body FROM gap"),
        **(_outputs(db) if version > 1 else {}),
        "events": bodies("SELECT seq, at, body FROM event ORDER BY seq"),
    }


def _outputs(db: sqlite3.Connection) -> dict[str, Any]:
    """Return what a journal holds of the output files, as plain values for JSON."""
    return {
        "written": [d for (d,) in db.execute("SELECT digest FROM written ORDER BY digest")],
        "delivered": dict(
            db.execute("SELECT slot, digest FROM delivered ORDER BY slot").fetchall()
        ),
    }
