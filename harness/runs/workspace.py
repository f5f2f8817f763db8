"""The workspace: where runs, evaluations, submissions and scores lie, and their register.

A run's files are enough to use it; the register (``submissions.database``) is how it is found.
"""

from __future__ import annotations

import datetime as dt
import difflib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.runs.run import RUN_JSON, Run, Status, is_current, read_run_json, write_run_json
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.files import unwritable
from metrics.utils.names import valid_text
from submissions.database import Register, as_columns, frame, insert, stamp, update

if TYPE_CHECKING:
    import pandas as pd


class Workspace:
    """A folder of runs, evaluations, submissions and scores, with its register.

    Nothing is made until something is written, and reading changes no file: a workspace may be
    shared read-only. All methods raise a ``UserError`` where the register cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._register = Register(root)

    def check_writable(self) -> None:
        """Find out before hours of work; a workspace that is not there yet is not made.

        Raises:
            UserError: If the folder or the register cannot be written, or its path is no UTF-8,
                which TensorBoard and others cannot write to.
        """
        if valid_text(str(self.root)) != str(self.root):
            raise UserError(
                f"{self.root}: the workspace's path has bytes that are no UTF-8. Rename that "
                "folder, or give another one with --workspace."
            )
        if self._register.path.exists():
            with self._register.write():
                return
        there = next(f for f in (self.root, *self.root.absolute().parents) if f.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise unwritable(self.root, error) from error

    def new_run(
        self,
        model: str,
        *,
        before: Callable[[str], object] = lambda _run: None,
        label: str = "",
        **columns: Any,
    ) -> Run:
        """Register a run as ``running``, with further columns (mappings as JSON); make its folder.

        ``before`` is called with its identifier before it is registered. That tells a seed other
        than 0, and ``label``.

        Raises:
            UserError: If the workspace cannot be written.
        """
        run = self._new_folder(model, label, columns.get("seed")).name
        before(run)
        return self._enter(run, model=model, status="running", **columns)

    def new_finished_run(
        self,
        model: str,
        write: Callable[[Path], Mapping[str, Any]],
        *,
        label: str = "",
        **columns: Any,
    ) -> Run:
        """Write the files of a run, and then register it as ``finished``.

        ``write`` gets the folder and returns further columns. An interrupted process leaves no run
        in the register, and a killed one at most a folder.

        Raises:
            UserError: If the workspace cannot be written.
        """
        folder = self._new_folder(model, label, columns.get("seed"))
        try:
            columns |= write(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        values = {"model": model, "status": "finished", "finished": stamp(), **columns}
        return self._enter(folder.name, **values)

    def _new_folder(self, model: str, label: str, seed: int | None) -> Path:
        """Make the folder of a run that is yet to be registered."""
        self.check_writable()
        words = [model, label, f"seed{seed}" if seed else "", f"{now():%Y%m%d-%H%M%S}"]
        stem = "-".join(word for word in words if word)
        folder, count = self.root / "runs" / stem, 1
        while True:
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                count += 1
                folder = folder.with_name(f"{stem}-{count}")
            except OSError as error:
                raise unwritable(folder.parent, error) from error
            else:
                return folder

    def _enter(self, run: str, **columns: Any) -> Run:
        with self._register.write() as connection:
            insert(connection, "runs", {"run": run, "created": stamp(), **columns})
        entered = self.run(run)
        write_run_json(entered)
        return entered

    def update_run(self, run: str, **columns: Any) -> Run:
        """Change columns of a run, in its folder and in the register; mappings become JSON."""
        write_run_json(self.run(run), **columns)
        return self.sync_run(run)

    def finish_run(self, run: str, status: Status = "finished") -> None:
        """Mark a run as ended."""
        self.update_run(run, status=status, finished=stamp())

    def remove_run(self, run: str) -> None:
        """Forget a run and its evaluations; the caller deletes its folder.

        Raises:
            UserError: If the register cannot be written; the run stays as it was.
        """
        told = self.root / "runs" / run / RUN_JSON
        aside = told.with_name(f".{RUN_JSON}")
        with suppress(FileNotFoundError):
            told.rename(aside)  # or sync would enter it
        try:
            with self._register.write() as connection:
                connection.execute("DELETE FROM evaluations WHERE run = ?", [run])
                connection.execute("DELETE FROM runs WHERE run = ?", [run])
        except BaseException:
            with suppress(FileNotFoundError):
                aside.rename(told)
            raise

    def sync_run(self, run: str) -> Run:
        """Bring a run's row up to date with its folder, where whatever trains it writes."""
        self._sync(run)
        return self.run(run)

    def sync(self) -> list[Run]:
        """Bring the row of every run up to date with its folder, and enter those that have none.

        Returns:
            list: The runs whose row has changed.
        """
        runs = sorted(path.parent.name for path in self.root.glob(f"runs/*/{RUN_JSON}"))
        return [self.run(run) for run in runs if self._sync(run)]

    def _sync(self, run: str) -> bool:
        told = read_run_json(self.root / "runs" / run)
        with self._register.read() as connection:
            found = connection.execute("SELECT * FROM runs WHERE run = ?", [run])
            names = [description[0] for description in found.description]
            before = dict(found.fetchone() or {})
        row = {name: told[name] for name in names if name in told} | {"run": run}
        if not told or (before and (not is_current(told) or before | as_columns(row) == before)):
            return False
        with self._register.write() as connection:
            if before:
                update(connection, "runs", row, run=run)
            else:
                insert(connection, "runs", row)
        return True

    def runs(self, *, status: Status | None = None) -> list[Run]:
        """Registered runs, newest first; only those of a status where one is given."""
        where, values = ("WHERE status = ?", [status]) if status else ("", [])
        with self._register.read() as connection:
            query = f"SELECT * FROM runs {where} ORDER BY created DESC, rowid DESC"
            return [self._run(row) for row in connection.execute(query, values)]

    def run(self, run: str) -> Run:
        """One run by its identifier.

        Raises:
            UserError: If no such run is registered; the nearest identifiers are named.
        """
        with self._register.read() as connection:
            key = [valid_text(run)]  # a word of the command line may have bytes that are no UTF-8
            row = connection.execute("SELECT * FROM runs WHERE run = ?", key).fetchone()
        if row is None:
            known = [r.run for r in self.runs()]
            of_model = [name for name in known if name.startswith(f"{run}-")][:3]
            nearest = of_model or difflib.get_close_matches(run, known, n=3, cutoff=0.4)
            hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
            hint += f" '{command_line('runs')}' lists them."
            raise UserError(f"no run {run!r} in {self._register.path}.{hint}")
        return self._run(row)

    def enter_evaluation(self, **columns: Any) -> None:
        """Register an evaluation; one of the same run, split and protocol is replaced.

        Raises:
            UserError: If the run was removed meanwhile, or the register cannot be written.
        """
        with self._register.write() as connection:
            runs = connection.execute("SELECT 1 FROM runs WHERE run = ?", [columns["run"]])
            if runs.fetchone() is None:
                raise UserError(f"{columns['run']} was removed meanwhile; nothing was entered")
            insert(connection, "evaluations", {"created": stamp(), **columns}, replace=True)

    def described(self, run: str) -> Run:
        """A run as its folder describes it, for which no register is read; else as registered."""
        folder = self.root / "runs" / run
        row = read_run_json(folder)
        return Run.from_row(folder, row) if is_current(row) else self.run(run)

    def evaluations(self, split: str | None = None) -> pd.DataFrame:
        """Registered evaluations, newest first, one row each."""
        where, values = ("WHERE split = ?", [split]) if split else ("", [])
        with self._register.read() as connection:
            query = f"SELECT * FROM evaluations {where} ORDER BY created DESC, rowid DESC"
            return frame(connection, query, values)

    def score_folder(
        self, package: str | Path, sha256: str, protocol: str, *, top: Path | None = None
    ) -> Path:
        """Where the frame table and the result files of a scored package lie.

        Its name is the package's without the suffix, with digits of its SHA-256, since packages may
        share a name. ``top`` is the folder of all scores, by default ``scores`` in the workspace.
        """
        return (top or self.root / "scores") / f"{Path(package).stem}-{sha256[:8]}" / protocol

    def _run(self, row: sqlite3.Row) -> Run:
        return Run.from_row(self.root / "runs" / row["run"], dict(row))


def now() -> dt.datetime:
    """The present moment, with its time zone."""
    return dt.datetime.now(dt.UTC)
