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


def older(register: Register, version: int) -> None:
    """Take a register back to an older version."""
    added = [f"{name}_sets" for name in ("score", "iou", "f1", "f2", "ppv", "recall")]
    drops = [f"ALTER TABLE scores DROP COLUMN {name}" for name in added] if version < 2 else []
    if version < 3:
        drops.append("ALTER TABLE runs DROP COLUMN encoder_weights")
    direct(register, f"PRAGMA user_version = {version}", *drops)


def direct(register: Register, *statements: str) -> list[tuple[object, ...]]:
    """What the last statement gives, by SQLite itself."""
    with closing(sqlite3.connect(register.path)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements][-1]


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
    assert direct(register, "PRAGMA user_version") == [(3,)]


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
    older(register, 0)
    direct(register, "DROP TABLE scores")

    assert runs(register) == ["unet-1"]
    assert Ledger(tmp_path).scores().empty
    assert direct(register, "PRAGMA user_version") == [(0,)]

    add_run(register, run="unet-2")
    assert direct(register, "PRAGMA user_version") == [(3,)]
    assert runs(register) == ["unet-1", "unet-2"]


SCORE = {
    "round": "2", "team": "", "model": "unet", "package": "p.zip", "package_sha256": "0",
    "protocol": "official", "truth_sha256": "t", "created": "2021", "settings": {},
}  # fmt: skip


def add_scores(register: Register, *rows: tuple[str, int, float | None]) -> None:
    with register.write() as connection:
        for test_set, n, score in rows:
            values = {"test_set": test_set, "n": n, "score": score, "f1": score}
            insert(connection, "scores", {**SCORE, **values})


@pytest.mark.parametrize(
    ("rows", "average"),
    [
        ([("a", 1, 0.2), ("b", 3, 0.8)], 0.5),
        ([("a", 1, 0.2), ("b", 3, None)], None),  # undefined by the strict protocol
        ([("a", 1, 0.2)], None),  # a set's row is not there
        ([], None),
    ],
)
@pytest.mark.parametrize("written", [False, True])
def test_an_older_scores_average_over_sets_follows_from_the_rows_of_its_sets(
    tmp_path: Path, rows: list[tuple[str, int, float | None]], average: float | None, written: bool
) -> None:
    register = Register(tmp_path)
    add_scores(register, ("all", 4, 0.65), *rows)
    older(register, 1)
    if written:
        add_run(register)

    (score,) = Ledger(tmp_path).scores().to_dict("records")
    assert score["score"] == 0.65
    assert score["score_sets"] == score["f1_sets"] == (pytest.approx(average) if average else None)


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_folder_that_cannot_be_written_is_read_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    register = Register(tmp_path)
    add_run(register)
    older(register, version)
    with closing(sqlite3.connect(register.path)) as other, other:
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
