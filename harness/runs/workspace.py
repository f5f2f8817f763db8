"""Where runs, evaluations and submissions lie, and the register of them.

The register is an SQLite file in WAL mode, so that several processes may train, evaluate and
submit at once. The files of a run are enough to use it; the register is how it is found.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from metrics.utils.errors import UserError
from metrics.utils.files import write_json

if TYPE_CHECKING:
    import pandas as pd

import datetime as dt
import difflib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from metrics.utils.files import unwritable

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["running", "interrupted", "failed", "finished"]

_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    created TEXT NOT NULL,
    finished TEXT,
    epochs INTEGER NOT NULL DEFAULT 0,
    best_epoch INTEGER,
    best_iou REAL,
    best_f1 REAL,
    parameters INTEGER,
    seed INTEGER,
    settings TEXT NOT NULL,
    versions TEXT NOT NULL,
    data TEXT,
    checkpoint TEXT,
    members TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE IF NOT EXISTS evaluations (
    run TEXT NOT NULL,
    model TEXT NOT NULL,
    split TEXT NOT NULL,
    protocol TEXT NOT NULL,
    created TEXT NOT NULL,
    frames INTEGER NOT NULL,
    score REAL,
    checkpoint TEXT,
    data TEXT,
    settings TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (run, split, protocol)
);
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row of the register, and where its files are.

    Attributes:
        run: Identifier, also the folder's name.
        model: Registered name of the architecture.
        status: ``running``, ``interrupted``, ``failed`` or ``finished``.
        folder: The run's folder.
        settings: The recipe (``TrainConfig.to_dict``), or an ensemble's settings.
        members: For an ensemble, member name to the run it came from; else empty.
        row: Every column of the register.
    """

    run: str
    model: str
    status: Status
    folder: Path
    settings: Mapping[str, Any]
    members: Mapping[str, str]
    row: Mapping[str, Any]

    @property
    def best(self) -> Path:
        """The weights of the best epoch."""
        return self.folder / "best.safetensors"

    @property
    def last(self) -> Path:
        """All that is needed to go on training."""
        return self.folder / "last.pt"

    def evaluation(self, split: str) -> Path:
        """The folder of an evaluation of this run."""
        return self.folder / "evaluations" / split


class Workspace:
    """A folder of runs, evaluations and submissions, with its register.

    Args:
        root: The folder; made when missing.

    Raises:
        UserError: If the folder or the register cannot be written, or is something else.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            (root / "runs").mkdir(parents=True, exist_ok=True)
            with self.connect() as register:
                register.execute("PRAGMA journal_mode=WAL")
                register.executescript(_SCHEMA)
        except OSError as error:
            raise unwritable(root, error) from error

    @property
    def register(self) -> Path:
        """The SQLite file."""
        return self.root / "register.sqlite"

    @contextmanager
    def connect(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the register: committed when the block ends well."""
        try:
            with closing(sqlite3.connect(self.register, timeout=30)) as connection:
                connection.row_factory = sqlite3.Row
                with connection:
                    yield connection
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ROOM:
                raise unwritable(self.root, error) from error
            raise UserError(
                f"cannot use the register {self.register}: {error}. Expected an SQLite file that "
                "can be written; give another folder with --workspace."
            ) from error

    def new_run(self, model: str, **columns: Any) -> Run:
        """Enter a run as ``running`` and make its folder.

        Args:
            model: Registered name of the architecture.
            **columns: Further columns; mappings are stored as JSON.
        """
        stem = f"{model}-{now():%Y%m%d-%H%M%S}"
        run, count = stem, 1
        while True:
            try:
                (self.root / "runs" / run).mkdir()
                break
            except FileExistsError:
                count += 1
                run = f"{stem}-{count}"
            except OSError as error:
                raise unwritable(self.root / "runs", error) from error
        values = {"run": run, "model": model, "status": "running", "created": _stamp(), **columns}
        with self.connect() as register:
            _insert(register, "runs", values)
        return self.run(run)

    def update_run(self, run: str, **columns: Any) -> None:
        """Change columns of a run; mappings are stored as JSON."""
        values = _stored(columns)
        sets = ", ".join(f"{name} = ?" for name in values)
        with self.connect() as register:
            register.execute(f"UPDATE runs SET {sets} WHERE run = ?", [*values.values(), run])

    def finish_run(self, run: str, status: Status = "finished") -> None:
        """Mark a run as ended."""
        self.update_run(run, status=status, finished=_stamp())

    def remove_run(self, run: str) -> None:
        """Forget a run and its evaluations (its folder is the caller's to delete)."""
        with self.connect() as register:
            register.execute("DELETE FROM evaluations WHERE run = ?", [run])
            register.execute("DELETE FROM runs WHERE run = ?", [run])

    def runs(self, *, status: Status | None = None, model: str | None = None) -> list[Run]:
        """Registered runs, newest first."""
        query, values = "SELECT * FROM runs WHERE 1", []
        for column, value in (("status", status), ("model", model)):
            if value is not None:
                query += f" AND {column} = ?"
                values.append(value)
        with self.connect() as register:
            rows = register.execute(f"{query} ORDER BY created DESC, rowid DESC", values).fetchall()
        return [self._run(row) for row in rows]

    def run(self, run: str) -> Run:
        """One run by its identifier.

        Raises:
            UserError: If no such run is registered; the nearest identifiers are named.
        """
        with self.connect() as register:
            row = register.execute("SELECT * FROM runs WHERE run = ?", [run]).fetchone()
        if row is None:
            known = [r.run for r in self.runs()]
            nearest = difflib.get_close_matches(run, known, n=3, cutoff=0.4)
            hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
            raise UserError(f"no run {run!r} in {self.register}.{hint} 'harness runs' lists them.")
        return self._run(row)

    def newest(self, model: str) -> Run | None:
        """The newest finished run of a model, or ``None``."""
        finished = self.runs(status="finished", model=model)
        return finished[0] if finished else None

    def enter_evaluation(self, **columns: Any) -> None:
        """Enter an evaluation; one of the same run, split and protocol is replaced."""
        with self.connect() as register:
            _insert(register, "evaluations", {"created": _stamp(), **columns}, replace=True)

    def evaluations(self, split: str | None = None) -> pd.DataFrame:
        """Registered evaluations, newest first, one row each."""
        import pandas as pd

        where, values = ("WHERE split = ?", [split]) if split else ("", [])
        with self.connect() as register:
            query = f"SELECT * FROM evaluations {where} ORDER BY created DESC, rowid DESC"
            return pd.read_sql_query(query, register, params=values)

    def _run(self, row: sqlite3.Row) -> Run:
        columns = dict(row)
        return Run(
            run=columns["run"],
            model=columns["model"],
            status=columns["status"],
            folder=self.root / "runs" / columns["run"],
            settings=json.loads(columns["settings"]),
            members=json.loads(columns["members"]),
            row=columns,
        )


def now() -> dt.datetime:
    """The present moment, with its time zone."""
    return dt.datetime.now(dt.UTC)


def _stamp() -> str:
    return now().isoformat(timespec="seconds")


def _stored(columns: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: json.dumps(value) if isinstance(value, Mapping | list | tuple) else value
        for name, value in columns.items()
    }


def _insert(
    register: sqlite3.Connection, table: str, columns: Mapping[str, Any], *, replace: bool = False
) -> None:
    values = _stored(columns)
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    verb = "INSERT OR REPLACE" if replace else "INSERT"
    register.execute(f"{verb} INTO {table} ({names}) VALUES ({marks})", list(values.values()))


def write_run_json(run: Run, **further: Any) -> None:
    """Write run.json: the run's register row, readable without the register."""
    write_json(run.folder / "run.json", {**run.row, "settings": run.settings, **further})


def masks_folder(run: Run, split: str) -> Path:
    """Where an evaluation keeps the predicted masks, ``FRAME.png``."""
    return run.evaluation(split) / "masks"
