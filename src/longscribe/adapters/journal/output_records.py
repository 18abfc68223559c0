"""What a journal holds of the output files: which contents are the job's own work."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

from longscribe.adapters.journal.database import JournalDatabase
from longscribe.adapters.journal.records import add_event
from longscribe.job_events import JobEvent


class OutputRecords(JournalDatabase):
    """A journal's records of outputs; fulfils `OutputRecord`."""

    def outputs_complete(self) -> bool:
        body = self._body(
            "SELECT body FROM event WHERE type = 'outputs_written' ORDER BY seq DESC LIMIT 1"
        )
        return body is not None and bool(json.loads(body)["complete"])

    def will_write(self, digests: Collection[str]) -> None:
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO written VALUES (?)", [(d,) for d in digests])

    def wrote(self, digest: str) -> bool:
        return self._body("SELECT 1 FROM written WHERE digest = ?", digest) is not None

    def delivered(self, slot: str) -> str | None:
        return self._body("SELECT digest FROM delivered WHERE slot = ?", slot)

    def save_outputs(self, event: JobEvent, delivered: Mapping[str, str]) -> JobEvent:
        with self._transaction() as db:
            db.executemany("INSERT OR REPLACE INTO delivered VALUES (?, ?)", delivered.items())
            add_event(db, event)
        return event
