"""The register's file: made, migrated, read without writing, refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from metrics.utils.errors import UserError
from submissions import database
from submissions.database import FILE_NAME, Register, insert
from submissions.ledger import Ledger

TABLES = {"runs", "evaluations", "submissions", "scores"}
RUN = {"run": "unet-1", "model": "unet", "status": "finished", "created": "2021", "settings": {}}


def add_run(register: Register, **columns: object) -> None:
    with register.write() as connection:
        insert(connection, "runs", {**RUN, "versions": {}, **columns})


def runs(register: Register) -> list[str]:
    with register.read() as connection:
        return [row["run"] for row in connection.execute("SELECT run FROM runs")]


def direct(register: Register, *statements: str) -> list[tuple[object, ...]]:
    """What the last statement gives, by SQLite itself."""
    with closing(sqlite3.connect(register.path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


NEWER_COLUMN = "ALTER TABLE runs DROP COLUMN encoder_weights"
"""Makes the table of runs what it was in versions 0 and 1."""


def cannot_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite fail as it does on a WAL file in a folder that it cannot write."""
    connect = database._connect

    def refusing(name: str, *, uri: bool = False) -> sqlite3.Connection:
        if uri:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return connect(name, uri=uri)

    monkeypatch.setattr(database, "_connect", refusing)


def test_a_new_register_has_every_table_and_is_in_wal_mode(tmp_path: Path) -> None:
    register = Register(tmp_path / "new")
    add_run(register)

    found = direct(register, "SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {name for (name,) in found} == TABLES
    assert direct(register, "PRAGMA journal_mode") == [("wal",)]
    assert direct(register, "PRAGMA user_version") == [(2,)]


def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    register = Register(tmp_path)
    add_run(register)

    with pytest.raises(RuntimeError), register.write() as connection:  # noqa: PT012
        connection.execute("DELETE FROM runs")
        raise RuntimeError

    assert runs(register) == ["unet-1"]


def test_reading_cannot_write(tmp_path: Path) -> None:
    register = Register(tmp_path)
    add_run(register)

    with pytest.raises(UserError, match="readonly"), register.read() as connection:
        connection.execute("DELETE FROM runs")


def test_where_there_is_no_register_it_is_read_as_empty(tmp_path: Path) -> None:
    assert runs(Register(tmp_path / "nowhere")) == []
    assert list(tmp_path.iterdir()) == []


def test_a_register_of_an_older_version_is_read_as_it_lies(tmp_path: Path) -> None:
    register = Register(tmp_path)
    add_run(register)
    direct(register, "PRAGMA user_version = 0", NEWER_COLUMN, "DROP TABLE scores")

    assert runs(register) == ["unet-1"]
    assert Ledger(tmp_path).scores().empty
    assert direct(register, "PRAGMA user_version") == [(0,)]

    add_run(register, run="unet-2")
    assert direct(register, "PRAGMA user_version") == [(2,)]
    assert runs(register) == ["unet-1", "unet-2"]


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_folder_that_cannot_be_written_is_read_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    register = Register(tmp_path)
    add_run(register)
    with closing(sqlite3.connect(register.path)) as other, other:
        other.execute(f"PRAGMA user_version = {version}")
        if version < 2:
            other.execute(NEWER_COLUMN)
        other.execute("UPDATE runs SET run = 'in the WAL file'")
        other.commit()
        assert (tmp_path / f"{FILE_NAME}-wal").stat().st_size
        cannot_open(monkeypatch)

        assert runs(register) == ["in the WAL file"]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    register = Register(tmp_path)
    add_run(register)
    direct(register, "PRAGMA user_version = 99")

    with pytest.raises(UserError, match=r"newer version .* 99"):
        runs(register)
    with pytest.raises(UserError, match=r"newer version .* 99"):
        add_run(register)


@pytest.mark.parametrize("what", ["text", "folder"])
def test_what_is_no_register_is_a_clear_fault(tmp_path: Path, what: str) -> None:
    register = Register(tmp_path)
    if what == "text":
        register.path.write_text("these are no rows at all, just words in a file" * 20)
    else:
        register.path.mkdir()

    with pytest.raises(UserError, match="cannot use the register"):
        runs(register)
    with pytest.raises(UserError, match="cannot use the register"):
        add_run(register)


def test_a_register_that_may_not_be_written_is_a_clear_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register = Register(tmp_path)
    add_run(register)
    connect = database._connect

    def read_only(name: str, *, uri: bool = False) -> sqlite3.Connection:
        return connect(name if uri else f"file:{name}?mode=ro", uri=True)

    monkeypatch.setattr(database, "_connect", read_only)
    with pytest.raises(UserError, match="readonly"):
        add_run(register, run="unet-2")
    assert runs(register) == ["unet-1"]
