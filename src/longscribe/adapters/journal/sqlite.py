"""The journal in SQLite: `job.db` of the job folder.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut.
Each call below is one transaction, so an event and what it speaks of are stored
together or not at all.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter

from longscribe.adapters.journal.schema import APPLICATION_ID, LEDGER, TABLES, VERSION
from longscribe.adapters.journal.seals import broken_seals, keep_seals
from longscribe.adapters.storage import sync_folder
from longscribe.errors import JournalError, StorageError
from longscribe.job_events import AttemptStarted, JobEvent, UnknownEvent
from longscribe.ports import DecodeTask, PlannedChunk, StoredPlan
from longscribe.types import Chunk, ChunkFailure, ChunkResult, Gap, LanguageGuess, Recording
from longscribe.wire import Record, UnreadableRecordError, from_json, to_json

EVENT: TypeAdapter[JobEvent] = TypeAdapter(Annotated[JobEvent, Field(discriminator="type")])
KNOWN_EVENTS = frozenset(event.type for event in get_args(JobEvent))
_CHUNK: TypeAdapter[Chunk] = TypeAdapter(Chunk)
_RECORDING: TypeAdapter[Recording] = TypeAdapter(Recording)
_LANGUAGE: TypeAdapter[LanguageGuess] = TypeAdapter(LanguageGuess)
_RESULT: TypeAdapter[ChunkResult] = TypeAdapter(ChunkResult)
_FAILURE: TypeAdapter[ChunkFailure] = TypeAdapter(ChunkFailure)
_GAP: TypeAdapter[Gap] = TypeAdapter(Gap)
_TASK: TypeAdapter[DecodeTask] = TypeAdapter(DecodeTask)

_ELSEWHERE = "Use another --job-dir, or move it away to start afresh; it is left as it is."


class SqliteJournal:
    """Fulfils `Journal`. For one process and one thread at a time (the job's lock sees to it).

    Args:
        path: of `job.db`, made if it is not there.
        on_network: the file lies on a network file system.

    Raises:
        JournalError: the file is damaged, is no journal, or is of another version.
        StorageError: the disk is full or fails.
    """

    def __init__(self, path: Path, *, on_network: bool) -> None:
        self._path = path
        with self._translated():
            self._db = connect(path)
            try:
                self._prepare(on_network=on_network)
            except BaseException:
                self._db.close()
                raise
        sync_folder(path.parent)

    def _prepare(self, *, on_network: bool) -> None:
        is_new = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if not is_new:
            check(self._db, self._path)  # before anything below is written to a strange file
        # WAL needs memory shared between the processes that have the file open, which a
        # network file system does not give (sqlite.org/wal.html).
        self._db.execute(f"PRAGMA journal_mode={'DELETE' if on_network else 'WAL'}")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA fullfsync=ON")  # macOS; elsewhere it changes nothing
        if is_new:
            with self._transaction() as db:
                for statement in TABLES:
                    db.execute(statement)
                db.executemany("INSERT INTO schema_ledger VALUES (?, ?)", LEDGER.items())
                db.execute(f"PRAGMA application_id={APPLICATION_ID}")
        keep_seals(self._db)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translate(error, self._path) from error
        except UnreadableRecordError as error:
            raise unreadable(error, self._path) from error
        except UnicodeDecodeError as error:
            raise JournalError(f"{self._path} is damaged ({error}).", _ELSEWHERE) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit everything inside, durably, or nothing."""
        with self._translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _body(self, query: str, *arguments: Any) -> str | None:
        with self._translated():
            row = self._db.execute(query, arguments).fetchone()
        return None if row is None else str(row[0])

    def _record(self, kind: TypeAdapter[Record], body: str | None) -> Record | None:
        with self._translated():
            return None if body is None else from_json(kind, body)

    # --- events ---

    def record(self, event: JobEvent) -> JobEvent:
        if not event.transient:
            with self._transaction() as db:
                _add_event(db, event)
        return event

    def events(self) -> Iterator[tuple[str, JobEvent | UnknownEvent]]:
        """Yield (time, event) from the beginning of the job."""
        with self._translated():
            yield from read_events(self._db)

    # --- plan ---

    def save_plan(self, plan: str, stored: StoredPlan) -> None:
        body = to_json(_RECORDING, stored.recording)
        chunks = [
            (plan, each.chunk.chunk_id, each.audio, to_json(_CHUNK, each.chunk))
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
                recording=from_json(_RECORDING, body),
                chunks=tuple(
                    PlannedChunk(audio=audio, chunk=from_json(_CHUNK, chunk))
                    for audio, chunk in rows
                ),
            )

    def fingerprints(self) -> frozenset[str]:
        with self._translated():
            rows = self._db.execute("SELECT body FROM recording").fetchall()
            return frozenset(from_json(_RECORDING, body).fingerprint for (body,) in rows)

    def knows_languages(self) -> bool:
        return self._body("SELECT 1 FROM language LIMIT 1") is not None

    def save_language(self, key: str, guess: LanguageGuess) -> None:
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO language VALUES (?, ?)",
                (key, to_json(_LANGUAGE, guess)),
            )

    def language(self, key: str) -> LanguageGuess | None:
        body = self._body("SELECT body FROM language WHERE key = ?", key)
        return self._record(_LANGUAGE, body)

    # --- chunks ---

    def start_attempt(self, key: str, task: DecodeTask, event: AttemptStarted) -> AttemptStarted:
        body = to_json(_TASK, task)
        with self._transaction() as db:
            db.execute(
                "INSERT INTO attempt (key, number, label, task) VALUES (?, ?, ?, ?)",
                (key, event.attempt.number, event.attempt.label, body),
            )
            _add_event(db, event)
        return event

    def attempts(self, key: str) -> int:
        return int(self._body("SELECT count(*) FROM attempt WHERE key = ?", key) or 0)

    def save_failure(
        self, key: str, number: int, failure: ChunkFailure, event: JobEvent
    ) -> JobEvent:
        with self._transaction() as db:
            db.execute(
                "UPDATE attempt SET failure = ? WHERE key = ? AND number = ?",
                (to_json(_FAILURE, failure), key, number),
            )
            _add_event(db, event)
        return event

    def failures(self, key: str) -> tuple[ChunkFailure, ...]:
        with self._translated():
            rows = self._db.execute(
                "SELECT failure FROM attempt WHERE key = ? AND failure IS NOT NULL ORDER BY id",
                (key,),
            ).fetchall()
            return tuple(from_json(_FAILURE, body) for (body,) in rows)

    def save_result(self, key: str, result: ChunkResult, event: JobEvent) -> JobEvent:
        body = to_json(_RESULT, result)
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO result VALUES (?, ?)", (key, body))
            _add_event(db, event)
        return event

    def result(self, key: str) -> ChunkResult | None:
        body = self._body("SELECT body FROM result WHERE key = ?", key)
        return self._record(_RESULT, body)

    def has_result(self, key: str) -> bool:
        return self._body("SELECT 1 FROM result WHERE key = ?", key) is not None

    def save_gap(self, key: str, gap: Gap, event: JobEvent) -> JobEvent:
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO gap VALUES (?, ?)", (key, to_json(_GAP, gap)))
            _add_event(db, event)
        return event

    def gap(self, key: str) -> Gap | None:
        body = self._body("SELECT body FROM gap WHERE key = ?", key)
        return self._record(_GAP, body)

    def glossary(self) -> str:
        body = self._body(
            "SELECT body FROM event WHERE type = 'glossary_taken' ORDER BY seq DESC LIMIT 1"
        )
        return "" if body is None else str(json.loads(body)["digest"])

    def outputs_complete(self) -> bool:
        body = self._body(
            "SELECT body FROM event WHERE type = 'outputs_written' ORDER BY seq DESC LIMIT 1"
        )
        return body is not None and bool(json.loads(body)["complete"])

    def reopen_gaps(self) -> None:
        last = self._body(
            "SELECT type FROM event WHERE type IN ('run_finished', 'run_started') "
            "ORDER BY seq DESC LIMIT 1"
        )
        if last == "run_finished":
            with self._transaction() as db:
                db.execute("DELETE FROM attempt WHERE key IN (SELECT key FROM gap)")
                db.execute("DELETE FROM gap")

    def close(self) -> None:
        with self._translated():
            self._db.close()


@contextmanager
def open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database to read it only, also where nothing can be written.

    To read while others write, SQLite needs a file beside the database. On a disk that
    can't be written, nobody writes: a copy, with what was not yet written back, says the same.
    """
    with contextlib.ExitStack() as stack:
        try:
            db = connect(path, read_only=True)
            stack.callback(db.close)
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname not in _CANT_WRITE_BESIDE:
                raise
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="longscribe-"))
            copy = Path(scratch) / path.name
            for suffix in ("", "-wal", "-journal"):
                source = path.with_name(path.name + suffix)
                if source.exists():
                    shutil.copyfile(source, copy.with_name(copy.name + suffix))
            db = connect(copy)
            stack.callback(db.close)
        yield db


_CANT_WRITE_BESIDE = frozenset(
    {"SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_READONLY_DIRECTORY"}
    | {"SQLITE_READONLY_CANTINIT", "SQLITE_READONLY_RECOVERY", "SQLITE_READONLY_CANTLOCK"}
)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the database; transactions are begun and ended by hand."""
    mode = "ro" if read_only else "rwc"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10,
    )


def check(db: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is no journal, is damaged, or is of another version.

    Raises:
        JournalError: says which, and what to do. The file is left as it is.
    """
    db.execute("BEGIN")  # one view of it, though another process may be writing
    try:
        _examine(db, path)
    except (UnicodeDecodeError, sqlite3.OperationalError) as error:
        if getattr(error, "sqlite_errorname", "SQLITE_ERROR") != "SQLITE_ERROR":
            raise
        # Our statements are right, so its tables are not.
        raise JournalError(f"{path} is damaged ({error}).", _ELSEWHERE) from error
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _examine(db: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    mark = db.execute("PRAGMA application_id").fetchone()[0]
    if mark != APPLICATION_ID or "schema_ledger" not in tables:
        raise JournalError(f"{path} is not a Longscribe journal.", _ELSEWHERE)
    version = db.execute("SELECT max(version) FROM schema_ledger").fetchone()[0]
    if version != VERSION:
        raise JournalError(
            f"{path} was written with journal version {version}; this program has {VERSION}.",
            f"Finish the job with the version that began it. {_ELSEWHERE}",
        )
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    # Some verdicts come under a heading.
    damage = broken_seals(db) if verdict == "ok" else verdict.splitlines()[-1]
    if damage:
        raise JournalError(f"{path} is damaged ({damage}).", _ELSEWHERE)


def read_events(db: sqlite3.Connection) -> Iterator[tuple[str, JobEvent | UnknownEvent]]:
    """Yield (time, event) in order.

    Raises:
        UnreadableRecordError: one of a known type says what no such event can say.
    """
    for at, kind, body in db.execute("SELECT at, type, body FROM event ORDER BY seq"):
        known = kind in KNOWN_EVENTS
        yield at, from_json(EVENT, body) if known else UnknownEvent(type=kind, body=body)


def unreadable(error: UnreadableRecordError, path: Path) -> JournalError:
    """Return the error for a record that this version does not understand."""
    lines = str(error).splitlines()
    return JournalError(
        f"{path} holds a record that this version of Longscribe can't read ({lines[0]}).",
        f"Finish the job with the version that wrote it. {_ELSEWHERE}",
    )


def translate(error: sqlite3.Error, path: Path) -> Exception:
    """Return our error for SQLite's; the error itself if it is a defect in our SQL."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code == "SQLITE_ERROR":
        return error
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        what = "The disk is full" if code == "SQLITE_FULL" else f"The disk fails ({code})"
        return StorageError(
            f"{what}: the journal {path} can't be written.",
            "Everything finished so far is kept. Make room and run the same command again.",
        )
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return JournalError(
            f"{path} is damaged or is no journal ({error}).",
            "Use another --job-dir, or move it away to start afresh; it is left as it is.",
        )
    return StorageError(
        f"The journal {path} can't be used ({error}).",
        "Check that its folder can be written, or give another --job-dir.",
    )


def _add_event(db: sqlite3.Connection, event: JobEvent) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    db.execute(
        "INSERT INTO event (at, type, body) VALUES (?, ?, ?)",
        (at, event.type, to_json(EVENT, event)),
    )


def read_result(db: sqlite3.Connection, key: str) -> ChunkResult | None:
    """Return the result under `key`."""
    row = db.execute("SELECT body FROM result WHERE key = ?", (key,)).fetchone()
    return None if row is None else from_json(_RESULT, row[0])


def latest_task(db: sqlite3.Connection, label: str) -> DecodeTask | None:
    """Return what a worker was told at the latest attempt at the chunk, or part, `label`."""
    row = db.execute(
        "SELECT task FROM attempt WHERE label = ? ORDER BY id DESC LIMIT 1", (label,)
    ).fetchone()
    return None if row is None else from_json(_TASK, row[0])


def dump(db: sqlite3.Connection) -> dict[str, Any]:
    """Return everything the journal holds, as plain values for JSON."""

    def bodies(query: str) -> list[Any]:
        """Return the rows; the last column is JSON, whose keys join the others."""
        cursor = db.execute(query)
        columns = [name for name, *_ in cursor.description[:-1]]
        return [
            {**dict(zip(columns, row[:-1], strict=True)), **json.loads(row[-1])} for row in cursor
        ]

    return {
        "schema_version": VERSION,
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
        "events": bodies("SELECT seq, at, body FROM event ORDER BY seq"),
    }
