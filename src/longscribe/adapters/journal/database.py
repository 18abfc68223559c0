"""The file of a journal: opened, checked, and written in transactions.

WAL with `synchronous=FULL`: a commit that has returned survives a power cut.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from longscribe.adapters.journal.schema import ADDED, APPLICATION_ID, LEDGER, VERSION
from longscribe.adapters.journal.seals import broken_seals, keep_seals
from longscribe.adapters.storage import sync_folder
from longscribe.errors import JournalError, StorageError
from longscribe.wire import Record, UnreadableRecordError, from_json

_ELSEWHERE = "Use another --job-dir, or move it away to start afresh; it is left as it is."


class JournalDatabase:
    """A journal's file and its transactions. For one process and one thread at a time.

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
        version = 0
        if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            # Before anything below is written to a strange file.
            version = check(self._db, self._path)
        # WAL needs memory shared between the processes that have the file open, which a
        # network file system does not give (sqlite.org/wal.html).
        self._db.execute(f"PRAGMA journal_mode={'DELETE' if on_network else 'WAL'}")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA fullfsync=ON")  # macOS; elsewhere it changes nothing
        if version < VERSION:
            with self._transaction() as db:
                for number in range(version + 1, VERSION + 1):
                    for statement in ADDED[number]:
                        db.execute(statement)
                    db.execute("INSERT INTO schema_ledger VALUES (?, ?)", (number, LEDGER[number]))
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


def check(db: sqlite3.Connection, path: Path) -> int:
    """Refuse a file that is no journal, is damaged, or is of a later version.

    Returns:
        The version of its schema.

    Raises:
        JournalError: says which, and what to do. The file is left as it is.
    """
    db.execute("BEGIN")  # one view of it, though another process may be writing
    try:
        return _examine(db, path)
    except (UnicodeDecodeError, sqlite3.OperationalError) as error:
        if getattr(error, "sqlite_errorname", "SQLITE_ERROR") != "SQLITE_ERROR":
            raise
        # Our statements are right, so its tables are not.
        raise JournalError(f"{path} is damaged ({error}).", _ELSEWHERE) from error
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _examine(db: sqlite3.Connection, path: Path) -> int:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    mark = db.execute("PRAGMA application_id").fetchone()[0]
    if mark != APPLICATION_ID or "schema_ledger" not in tables:
        raise JournalError(f"{path} is not a Longscribe journal.", _ELSEWHERE)
    version = db.execute("SELECT max(version) FROM schema_ledger").fetchone()[0]
    if version not in LEDGER:
        raise JournalError(
            f"{path} was written with journal version {version}; this program has {VERSION}.",
            f"Finish the job with the version that began it. {_ELSEWHERE}",
        )
    verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    # Some verdicts come under a heading.
    damage = broken_seals(db, version) if verdict == "ok" else verdict.splitlines()[-1]
    if damage:
        raise JournalError(f"{path} is damaged ({damage}).", _ELSEWHERE)
    return int(version)


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
