"""The tables of `job.db`, their version, and the ledger of changes to them."""

from __future__ import annotations

from collections.abc import Mapping

APPLICATION_ID = 0x4C534A31
"""`LSJ1`, in SQLite's own header: tells our file from any other database."""

LEDGER = {
    1: "events, plans, languages, attempts, results and gaps",
    2: "what was written to the output files",
}
"""Version → what it brought. Add a line with every change to `ADDED`."""

VERSION = max(LEDGER)

_FIRST = (
    # One row for each version of this schema that the file has had.
    "CREATE TABLE schema_ledger (version INTEGER PRIMARY KEY, note TEXT NOT NULL)",
    # What happened, in order. `at` is UTC; outputs never hold it.
    """
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, at TEXT NOT NULL, type TEXT NOT NULL, body TEXT NOT NULL
    )
    """,
    # Chunks of a plan; `audio` is the digest of their samples.
    """
    CREATE TABLE chunk (
        plan TEXT NOT NULL, chunk_id INTEGER NOT NULL, audio TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (plan, chunk_id)
    ) WITHOUT ROWID
    """,
    # Plans whose recording was read to its end.
    "CREATE TABLE recording (plan TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE language (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    # Tries at a result, by the result's key; `task` is what the worker was told. `failure`
    # is null while one runs, when it was cut short, and when it succeeded (then `result`
    # has a row).
    """
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL, label TEXT NOT NULL,
        number INTEGER NOT NULL, task TEXT NOT NULL, failure TEXT
    )
    """,
    "CREATE INDEX attempt_by_key ON attempt (key)",
    # A result is stored under a hash of everything that shaped it (core/keys.py).
    "CREATE TABLE result (key TEXT PRIMARY KEY, body TEXT NOT NULL)",
    # Results that were given up.
    "CREATE TABLE gap (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID",
    # A checksum of each row of the tables above (seals.py).
    """CREATE TABLE seal (
        tab TEXT NOT NULL, row TEXT NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY (tab, row)
    ) WITHOUT ROWID""",
)

ADDED: Mapping[int, tuple[str, ...]] = {
    1: _FIRST,
    2: (
        # Contents that were, or were about to be, put in place of an output file.
        "CREATE TABLE written (digest TEXT PRIMARY KEY) WITHOUT ROWID",
        # The last content that was surely in place: `slot` is folder and format.
        "CREATE TABLE delivered (slot TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID",
    ),
}
"""Version → the tables that it added. A journal of an earlier version is given them when a run
opens it, and is read without them."""


def tables(version: int) -> tuple[str, ...]:
    """Return the statements that make a journal of that version."""
    return tuple(made for number in range(1, version + 1) for made in ADDED[number])
