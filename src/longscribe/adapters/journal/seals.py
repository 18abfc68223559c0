"""Seals: a checksum of every row, so that a rotten disk is noticed and never believed.

SQLite checks the order of its pages, not what is written on them: a flipped bit in a
text would be read as another word. So every row has a seal in the table `seal`.
Triggers of our own connection keep the seals, and opening a journal checks them all,
which also tells when a row or a whole page of rows has gone.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping

from longscribe.adapters.journal.schema import VERSION, tables

SEALED: Mapping[str, tuple[str, ...]] = {
    "event": ("seq", "at", "type", "body"),
    "chunk": ("plan", "chunk_id", "audio", "body"),
    "recording": ("plan", "body"),
    "language": ("key", "body"),
    "attempt": ("id", "key", "label", "number", "task", "failure"),
    "result": ("key", "body"),
    "gap": ("key", "body"),
    "written": ("digest",),
    "delivered": ("slot", "digest"),
}
"""Table → its columns."""
_SINCE = {"written": 2, "delivered": 2}
"""Table → the version of the schema that brought it, where that is not the first."""
_IDENTITIES = {"chunk": ("plan", "chunk_id")}
"""Table → the columns that name a row, where the first alone does not."""


def keep_seals(db: sqlite3.Connection) -> None:
    """Seal every row that is written over this connection from now on."""
    db.create_function("checksum", -1, _checksum, deterministic=True)
    for table in SEALED:
        values = f"'{table}', {_identity(table, 'NEW')}, {_sum(table, 'NEW')}"
        seal = f"INSERT OR REPLACE INTO seal VALUES ({values})"  # noqa: S608 - our own names
        row = _identity(table, "OLD")
        forget = f"DELETE FROM seal WHERE tab = '{table}' AND row = {row}"  # noqa: S608
        for event, action in (("INSERT", seal), ("UPDATE", seal), ("DELETE", forget)):
            db.execute(
                f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} "
                f"BEGIN {action}; END"
            )


def broken_seals(db: sqlite3.Connection, version: int = VERSION) -> str:
    """Return what is wrong with the rows of a journal of that version of the schema, as a clause.

    Empty if nothing is.
    """
    db.create_function("checksum", -1, _checksum, deterministic=True)
    statements = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    made = {sql.strip() for (sql,) in statements}
    if made != {statement.strip() for statement in tables(version)}:
        return "its tables are not as they were made"
    rows = 0
    for table in SEALED:
        if _SINCE.get(table, 1) > version:
            continue
        count, bad = db.execute(
            f"SELECT count(*), total(seal.sum IS NOT {_sum(table, 'it')}) FROM {table} AS it "  # noqa: S608
            f"LEFT JOIN seal ON seal.tab = '{table}' AND seal.row = {_identity(table, 'it')}"
        ).fetchone()
        if bad:
            return f"{bad:.0f} rows of its table {table!r} are not as they were written"
        rows += count
    seals = db.execute("SELECT count(*) FROM seal").fetchone()[0]
    return "" if seals == rows else f"it has {seals} seals for {rows} rows"


def _checksum(*columns: bytes | None) -> int:
    total = 0
    for column in columns:
        length = -1 if column is None else len(column)
        total = zlib.crc32(column or b"", zlib.crc32(str(length).encode(), total))
    return total


def _sum(table: str, row: str) -> str:
    # As bytes: a damaged text may be no text at all.
    return f"checksum({', '.join(f'CAST({row}.{name} AS BLOB)' for name in SEALED[table])})"


def _identity(table: str, row: str) -> str:
    names = _IDENTITIES.get(table, SEALED[table][:1])
    return " || '/' || ".join(f"{row}.{name}" for name in names)
