"""The ledger's tables in the register: opening the file, and its schema by version."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Final

from metrics.utils.errors import UserError

TIMEOUT_S: Final = 30.0
"""How long a process waits for another's transaction."""

_ROOM: Final = "submissions"
_RETRY_S: Final = 0.05

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE submissions (
            number INTEGER PRIMARY KEY,
            round TEXT NOT NULL,
            day TEXT NOT NULL,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            run TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            checkpoint_sha256 TEXT NOT NULL,
            frames INTEGER NOT NULL,
            latency_ms REAL,
            settings TEXT NOT NULL
        )""",
        "CREATE INDEX submissions_by_day ON submissions (round, day)",
        """CREATE TABLE scores (
            number INTEGER PRIMARY KEY,
            submission INTEGER REFERENCES submissions (number),
            round TEXT NOT NULL,
            team TEXT NOT NULL,
            model TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            protocol TEXT NOT NULL,
            truth_sha256 TEXT NOT NULL,
            test_set TEXT NOT NULL,
            created TEXT NOT NULL,
            n INTEGER NOT NULL,
            score REAL,
            sd_frames REAL,
            sd_metrics REAL,
            sd_sets REAL,
            iou REAL,
            f1 REAL,
            f2 REAL,
            ppv REAL,
            recall REAL,
            latency_ms REAL,
            settings TEXT NOT NULL,
            UNIQUE (package_sha256, round, team, protocol, truth_sha256, test_set)
        )""",
    ),
)
"""One tuple of statements a version: added to, never changed."""


def open_register(path: Path) -> sqlite3.Connection:
    """Open the register in WAL mode, durable at each commit; transactions are explicit.

    Raises:
        OSError: Its folder cannot be made.
        sqlite3.Error: It cannot be opened or is no SQLite file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the ledger's tables to this version, once, whoever comes first.

    Raises:
        UserError: They were written by a newer version.
    """
    if _version(connection, path) == len(_MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_versions (room TEXT PRIMARY KEY, version INTEGER)"
        )
        for statements in _MIGRATIONS[_version(connection, path) :]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(
            "INSERT OR REPLACE INTO schema_versions VALUES (?, ?)", [_ROOM, len(_MIGRATIONS)]
        )
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    tables = "SELECT 1 FROM sqlite_master WHERE name = 'schema_versions'"
    if connection.execute(tables).fetchone() is None:
        return 0
    query = "SELECT version FROM schema_versions WHERE room = ?"
    row = connection.execute(query, [_ROOM]).fetchone()
    version = int(row[0]) if row is not None else 0
    if version > len(_MIGRATIONS):
        raise UserError(
            f"{path}: its submissions were written by a newer version (schema {version}, this one "
            f"reads {len(_MIGRATIONS)}). Install that version, or give another --workspace."
        )
    return version


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, waiting for others who do the same: SQLite itself does not wait there."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
