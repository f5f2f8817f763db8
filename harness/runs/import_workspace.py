"""Merge another workspace into this one: runs, evaluations, submissions and scores, with files."""

from __future__ import annotations

import filecmp
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness.runs.lock import lock_run
from harness.runs.workspace import Workspace
from harness.utils.folders import copy_folder, replace_folder
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import atomic_path
from submissions.database import FILE_NAME, Register, insert

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class _Table:
    """How rows of one table are compared.

    Attributes:
        key: Columns that identify a row in any workspace.
        local: Columns that may differ: numbers and paths of a workspace, times of a measurement.
    """

    key: Sequence[str]
    local: Sequence[str] = ()

    def key_of(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.key)

    def differing(self, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
        return [n for n in theirs if n not in self.local and ours.get(n) != theirs[n]]


_TABLES: Final = {
    "runs": _Table(key=("run",)),
    "evaluations": _Table(key=("run", "split", "protocol"), local=("created", "summary")),
    "submissions": _Table(key=("round", "package_sha256", "created"), local=("number", "package")),
    "scores": _Table(
        key=("package_sha256", "round", "team", "protocol", "truth_sha256", "test_set"),
        local=("number", "submission", "package", "created"),
    ),
}
_FOLDERS: Final = ("runs", "submissions", "scores")


def import_workspace(workspace: Workspace, other: Path) -> dict[str, int]:
    """Take over everything of another workspace that is not here yet.

    Files are copied first, each folder whole or not at all, and then entered in one transaction; so
    one that was interrupted is simply repeated. A run that is there and here must be the same, file
    by file; of an evaluation or a score that was made in both, with the same figures, ours is kept.

    Returns:
        dict: How many rows are new, by table.

    Raises:
        FaultsError: If something of the same identifier has another content, all of it; nothing is
            written then.
        UserError: If ``other`` is no workspace, or this one; or one of its runs is being trained.
    """
    if not (other / FILE_NAME).is_file():
        raise UserError(f"{other} is no workspace: there is no {FILE_NAME} in it")
    if workspace.root.exists() and other.samefile(workspace.root):
        raise UserError(f"{other} is the workspace that would be written to")
    theirs = Workspace(other)
    with ExitStack() as holds:
        for run in theirs.runs():
            if run.status != "finished":
                holds.enter_context(lock_run(run))
        rows = _rows(Register(other))
        rows["runs"] = [dict(run.reread().row) for run in reversed(theirs.runs())]
        ours = _rows(Register(workspace.root))
        faults = [fault for table in _TABLES for fault in _contradictions(table, ours, rows)]
        copies: list[tuple[Path, Path]] = []
        for name in _FOLDERS:
            faults += _compare(other / name, workspace.root / name, _kept(workspace, ours), copies)
        if faults:
            raise FaultsError(faults, f"{other} contradicts {workspace.root}; nothing was imported")
        for source, target in copies:
            _copy(source, target)
        with Register(workspace.root).write() as connection:
            return _enter(connection, rows, workspace.root, other)


def _rows(register: Register) -> dict[str, list[Row]]:
    with register.read() as connection:
        return {table: _all(connection, table) for table in _TABLES}


def _all(connection: sqlite3.Connection, table: str) -> list[Row]:
    return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def _contradictions(
    table: str, ours: Mapping[str, Sequence[Row]], theirs: Mapping[str, Sequence[Row]]
) -> list[Fault]:
    how = _TABLES[table]
    known = {how.key_of(row): row for row in ours[table]}
    return [
        Fault(
            path=f"{table.removesuffix('s')} {' '.join(str(value) for value in how.key_of(row))}",
            message=f"other {', '.join(differing)} here",
        )
        for row in theirs[table]
        if how.key_of(row) in known and (differing := how.differing(known[how.key_of(row)], row))
    ]


def _kept(workspace: Workspace, ours: Mapping[str, Sequence[Row]]) -> set[Path]:
    """Folders of evaluations and scores that stay as they are here: their rows are compared."""
    kept = {
        workspace.root / "runs" / row["run"] / "evaluations" / row["split"]
        for row in ours["evaluations"]
    }
    for row in ours["scores"]:
        kept.add(workspace.score_folder(row["package"], row["package_sha256"], row["protocol"]))
    return kept


def _compare(
    source: Path, target: Path, kept: set[Path], copies: list[tuple[Path, Path]]
) -> list[Fault]:
    """Faults of files that are here with another content; what is missing goes to ``copies``."""
    if not source.exists() or target in kept:
        return []
    if not target.exists():
        copies.append((source, target))
        return []
    if source.is_dir() and target.is_dir():
        return [
            fault
            for child in sorted(source.iterdir())
            if not child.name.startswith(".")  # locks, and what killed writers left
            for fault in _compare(child, target / child.name, kept, copies)
        ]
    if source.is_file() and target.is_file() and filecmp.cmp(source, target):
        return []
    return [Fault(path=str(target), message=f"another content than {source}")]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with replace_folder(target) as new:
            copy_folder(source, new, leave_out=[".*"])
    else:
        with atomic_path(target) as temporary:
            shutil.copy2(source, temporary)


def _enter(
    connection: sqlite3.Connection, rows: Mapping[str, Sequence[Row]], root: Path, other: Path
) -> dict[str, int]:
    """Insert the rows that are missing, with numbers and paths as they are here."""
    numbers: dict[int | None, int | None] = {None: None}
    new = {}
    for table, how in _TABLES.items():
        known = {how.key_of(row): row for row in _all(connection, table)}
        before = len(known)
        for row in rows[table]:
            key, values = how.key_of(row), dict(row)
            number = values.pop("number", None)
            if "package" in row:
                values["package"] = _package_here(row["package"], root, other)
            if "submission" in row:
                values["submission"] = numbers.get(row["submission"])
            if key not in known:
                known[key] = {"number": insert(connection, table, values)}
            if table == "submissions":  # which come before the scores that name them
                numbers[number] = known[key]["number"]
        new[table] = len(known) - before
    return new


def _package_here(package: str, root: Path, other: Path) -> str:
    """Where a package of the other workspace is in this one; others stay where they are."""
    parts = Path(package).parts
    for at in range(len(parts)):
        inside = Path(*parts[at:])
        if inside.parts[0] == "submissions" and (other / inside).exists():
            return str(root / inside)
    return package
