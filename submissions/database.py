"""The register: one SQLite file a workspace; ``submissions.schema`` has its tables.

It holds the runs and evaluations (``harness.runs.workspace``) and the submissions and scores
(``submissions.ledger``). It is in WAL mode, so that several processes may train, evaluate and
submit at once. What only reads never writes: a workspace may be shared read-only. On a file system
without locks it can be read, from a copy, and is not written.
"""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if sys.platform != "win32":
    import fcntl

from metrics.utils.errors import UserError
from metrics.utils.files import unwritable
from metrics.utils.names import valid_text
from submissions.schema import MIGRATIONS

if TYPE_CHECKING:
    import pandas as pd

FILE_NAME: Final = "register.sqlite"
TIMEOUT_S: Final = 30.0
"""How long a process waits for another's transaction."""

_RETRY_S: Final = 0.05
_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_NOT_OPENED: Final = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class Register:
    """The register of a workspace. Safe to use from several processes at once.

    Args:
        workspace: Its folder; nothing is made or opened yet.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.path = workspace / FILE_NAME

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries, which changes no file.

        Where there is no register yet it is empty; one of an older version is migrated in memory.

        Raises:
            UserError: It cannot be read, is no SQLite file, or is of a newer version.
        """
        with self._faults(writing=False), closing(self._open_to_read()) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the register's one write lock: committed, or rolled back.

        File and folder are made where they are missing, an older version is migrated.

        Raises:
            UserError: It cannot be written, is no SQLite file, or is of a newer version.
        """
        try:
            self.workspace.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.workspace, error) from error
        if not self._has_locks():
            raise UserError(
                f"the file system of {self.workspace} has no file locks (NFS without lockd, Lustre "
                "without its option 'flock'), so the register cannot be written safely. Mount it "
                "with locks, or give a folder on another disk by --workspace; 'harness runs import "
                f"{self.workspace}' takes over there what this one holds."
            )
        with self._faults(writing=True), closing(_connect(str(self.path))) as connection:
            connection.row_factory = sqlite3.Row
            _use_wal(connection)
            # In WAL mode less would let a power cut undo what was committed.
            connection.execute("PRAGMA synchronous = FULL")
            with _transaction(connection):
                _migrate(connection, self.path)
                yield connection

    def _open_to_read(self) -> sqlite3.Connection:
        if not self.path.exists():
            if self.workspace.exists() and not self.workspace.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            return self._in_memory(None)
        if not self._has_locks():
            return self._from_copy()
        try:
            return self._open_read_only()
        except sqlite3.Error as error:
            if _code(error) not in _NOT_OPENED:
                raise
            return self._from_copy()

    def _open_read_only(self) -> sqlite3.Connection:
        connection = _connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        with ExitStack() as stack:
            stack.callback(connection.close)
            if _version(connection, self.path) < len(MIGRATIONS):
                return self._in_memory(connection)
            stack.pop_all()  # it stays open
        return connection

    def _from_copy(self) -> sqlite3.Connection:
        """The register of a folder without rights or locks, where SQLite cannot read a WAL file."""
        with tempfile.TemporaryDirectory() as folder:
            for name in (FILE_NAME, f"{FILE_NAME}-wal"):
                if (self.workspace / name).exists():
                    shutil.copyfile(self.workspace / name, Path(folder, name))
            with closing(_connect(str(Path(folder, FILE_NAME)))) as connection:
                return self._in_memory(connection)

    def _has_locks(self) -> bool:
        """Whether files of the workspace can be locked; SQLite would try for half a minute.

        Closing a file gives up all locks that this process has on it, also SQLite's. So where the
        register is open, and there is its WAL file, that one is tried, which nobody locks.
        """
        if sys.platform == "win32":
            return True
        wal = self.path.with_name(f"{FILE_NAME}-wal")
        tried = next((path for path in (wal, self.path) if path.exists()), None)
        try:
            with tried.open("rb") if tried else tempfile.TemporaryFile(dir=self.workspace) as file:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, 1)
        except OSError as error:
            return error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
        return True

    def _in_memory(self, source: sqlite3.Connection | None) -> sqlite3.Connection:
        memory = _connect(":memory:")
        with ExitStack() as stack:
            stack.callback(memory.close)
            if source is not None:
                source.backup(memory)
            _migrate(memory, self.path)
            stack.pop_all()  # it stays open
        return memory

    @contextmanager
    def _faults(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if writing and _code(error) in _NO_ROOM:
                raise unwritable(self.workspace, error) from error
            raise self._unusable(error) from error
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> UserError:
        return UserError(
            f"cannot use the register {self.path}: {getattr(error, 'strerror', None) or error}. "
            "Expected an SQLite file with the rights to use it; mend that, or give another folder "
            "with --workspace."
        )


def insert(
    connection: sqlite3.Connection, table: str, values: Mapping[str, Any], *, replace: bool = False
) -> int:
    """Insert a row; mappings and lists are stored as JSON.

    With ``replace`` a row of the same key is replaced; else it is an error.
    """
    row = as_columns(values)
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    query = f"{verb} INTO {table} ({names}) VALUES ({marks})"
    return int(connection.execute(query, list(row.values())).lastrowid or 0)


def update(
    connection: sqlite3.Connection, table: str, values: Mapping[str, Any], **key: Any
) -> None:
    """Change columns of the rows that have the values of a key."""
    row = as_columns(values)
    sets, where = (", ".join(f"{name} = ?" for name in row), " AND ".join(f"{n} = ?" for n in key))
    query = f"UPDATE {table} SET {sets} WHERE {where}"
    connection.execute(query, [*row.values(), *key.values()])


def as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is stored: mappings and lists as JSON, names that are no UTF-8 escaped."""

    def stored(value: Any) -> Any:
        if isinstance(value, Mapping | list | tuple):
            return json.dumps(value)
        return valid_text(value) if isinstance(value, str) else value

    return {name: stored(value) for name, value in values.items()}


def frame(connection: sqlite3.Connection, query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
    """The rows of a query as a table, which has its columns also where there are no rows."""
    import pandas as pd

    found = connection.execute(query, values)
    columns = [description[0] for description in found.description]
    return pd.DataFrame([tuple(row) for row in found], columns=columns)


def stamp(moment: dt.datetime | None = None) -> str:
    """A moment, the present one by default, as the register writes it: ISO 8601, UTC, seconds."""
    return (moment or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).isoformat(timespec="seconds")


def _connect(database: str, *, uri: bool = False) -> sqlite3.Connection:
    # Without an isolation level sqlite3 begins no transactions of its own.
    return sqlite3.connect(database, timeout=TIMEOUT_S, isolation_level=None, uri=uri)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back where the disk is full
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the tables to this version; within a transaction, so that it happens once."""
    version = _version(connection, path)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise UserError(
            f"{path} was written by a newer version of harness (schema {version}; this one reads "
            f"up to {len(MIGRATIONS)}). Install that version, or give another --workspace."
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


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's own."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
