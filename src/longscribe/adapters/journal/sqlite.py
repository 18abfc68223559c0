"""The journal in SQLite: `job.db` of the job folder.

Each call below is one transaction, so an event and what it speaks of are stored
together or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from longscribe.adapters.journal.output_records import OutputRecords
from longscribe.adapters.journal.records import (
    CHUNK,
    EVENT,
    FAILURE,
    GAP,
    LANGUAGE,
    RECORDING,
    RESULT,
    TASK,
    add_event,
    read_events,
)
from longscribe.job_events import AttemptStarted, JobEvent, RunStarted, UnknownEvent
from longscribe.ports import DecodeTask, PlannedChunk, StoredPlan
from longscribe.types import ChunkFailure, ChunkResult, Gap, LanguageGuess
from longscribe.wire import from_json, to_json


class SqliteJournal(OutputRecords):
    """Fulfils `Journal`. For one process and one thread at a time (the job's lock sees to it).

    Args:
        path: of `job.db`, made if it is not there.
        on_network: the file lies on a network file system.

    Raises:
        JournalError: the file is damaged, is no journal, or is of a later version.
        StorageError: the disk is full or fails.
    """

    # --- events ---

    def record(self, event: JobEvent) -> JobEvent:
        if not event.transient:
            with self._transaction() as db:
                add_event(db, event)
        return event

    def events(self) -> Iterator[tuple[str, JobEvent | UnknownEvent]]:
        """Yield (time, event) from the beginning of the job."""
        with self._translated():
            yield from read_events(self._db)

    # --- plan ---

    def save_plan(self, plan: str, stored: StoredPlan) -> None:
        body = to_json(RECORDING, stored.recording)
        chunks = [
            (plan, each.chunk.chunk_id, each.audio, to_json(CHUNK, each.chunk))
            for each in stored.chunks
        ]
        with self._transaction() as db:
            # An earlier reading may have been cut into more chunks, by an older decoder.
            db.execute("DELETE FROM chunk WHERE plan = ?", (plan,))
            db.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?)", chunks)
            db.execute("INSERT OR REPLACE INTO recording VALUES (?, ?)", (plan, body))

    def stored_plan(self, plan: str) -> StoredPlan | None:
        body = self._body("SELECT body FROM recording WHERE plan = ?", plan)
        if body is None:
            return None
        with self._translated():
            rows = self._db.execute(
                "SELECT audio, body FROM chunk WHERE plan = ? ORDER BY chunk_id", (plan,)
            ).fetchall()
            return StoredPlan(
                recording=from_json(RECORDING, body),
                chunks=tuple(
                    PlannedChunk(audio=audio, chunk=from_json(CHUNK, chunk))
                    for audio, chunk in rows
                ),
            )

    def fingerprints(self) -> frozenset[str]:
        with self._translated():
            rows = self._db.execute("SELECT body FROM recording").fetchall()
            return frozenset(from_json(RECORDING, body).fingerprint for (body,) in rows)

    def knows_languages(self) -> bool:
        return self._body("SELECT 1 FROM language LIMIT 1") is not None

    def save_language(self, key: str, guess: LanguageGuess) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO language VALUES (?, ?)",
                (key, to_json(LANGUAGE, guess)),
            )

    def language(self, key: str) -> LanguageGuess | None:
        body = self._body("SELECT body FROM language WHERE key = ?", key)
        return self._record(LANGUAGE, body)

    # --- chunks ---

    def start_attempt(self, key: str, task: DecodeTask, event: AttemptStarted) -> AttemptStarted:
        body = to_json(TASK, task)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO attempt (key, number, label, task) VALUES (?, ?, ?, ?)",
                (key, event.attempt.number, event.attempt.label, body),
            )
            add_event(db, event)
        return event

    def attempts(self, key: str) -> int:
        return int(self._body("SELECT count(*) FROM attempt WHERE key = ?", key) or 0)

    def save_failure(
        self, key: str, number: int, failure: ChunkFailure, event: JobEvent
    ) -> JobEvent:
        with self._transaction() as db:
            db.execute(
                "UPDATE attempt SET failure = ? WHERE key = ? AND number = ?",
                (to_json(FAILURE, failure), key, number),
            )
            add_event(db, event)
        return event

    def failures(self, key: str) -> tuple[ChunkFailure, ...]:
        with self._translated():
            rows = self._db.execute(
                "SELECT failure FROM attempt WHERE key = ? AND failure IS NOT NULL ORDER BY id",
                (key,),
            ).fetchall()
            return tuple(from_json(FAILURE, body) for (body,) in rows)

    def save_result(self, key: str, result: ChunkResult, event: JobEvent) -> JobEvent:
        body = to_json(RESULT, result)
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO result VALUES (?, ?)", (key, body))
            add_event(db, event)
        return event

    def result(self, key: str) -> ChunkResult | None:
        body = self._body("SELECT body FROM result WHERE key = ?", key)
        return self._record(RESULT, body)

    def has_result(self, key: str) -> bool:
        return self._body("SELECT 1 FROM result WHERE key = ?", key) is not None

    def save_gap(self, key: str, gap: Gap, event: JobEvent) -> JobEvent:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO gap VALUES (?, ?)", (key, to_json(GAP, gap)))
            add_event(db, event)
        return event

    def gap(self, key: str) -> Gap | None:
        body = self._body("SELECT body FROM gap WHERE key = ?", key)
        return self._record(GAP, body)

    def glossary(self) -> str:
        body = self._body(
            "SELECT body FROM event WHERE type = 'glossary_taken' ORDER BY seq DESC LIMIT 1"
        )
        return "" if body is None else str(json.loads(body)["digest"])

    def films(self) -> tuple[RunStarted | None, frozenset[str]]:
        body = self._body(
            "SELECT body FROM event WHERE type = 'run_started' ORDER BY seq DESC LIMIT 1"
        )
        start = self._record(EVENT, body)
        with self._translated():
            rows = self._db.execute("SELECT body FROM event WHERE type = 'media_identified'")
            begun = {str(json.loads(row)["fingerprint"]) for (row,) in rows}
        return start if isinstance(start, RunStarted) else None, self.fingerprints() | begun

    def reopen_gaps(self) -> None:
        last = self._body(
            "SELECT type FROM event WHERE type IN ('run_finished', 'run_started') "
            "ORDER BY seq DESC LIMIT 1"
        )
        if last == "run_finished":
            with self._transaction() as db:
                db.execute("DELETE FROM attempt WHERE key IN (SELECT key FROM gap)")
                db.execute("DELETE FROM gap")
