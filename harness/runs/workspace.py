"""The workspace: where runs, evaluations, submissions and scores lie, and their register.

A run's files are enough to use it; the register (``submissions.database``) is how it is found.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from harness.data.cross_validation import SplitVariant
from metrics.masks.classes import POLYP
from metrics.utils.errors import UserError
from metrics.utils.files import unwritable, write_json
from metrics.utils.names import valid_text
from submissions.database import Register, as_columns, frame, insert, stamp

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["running", "interrupted", "failed", "finished"]

BEST: Final = "best.safetensors"
"""The file of the weights of the best epoch, in a run's folder."""


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
        return self.folder / BEST

    @property
    def last(self) -> Path:
        """The training state that ``train --resume`` continues from."""
        return self.folder / "last.pt"

    @property
    def variant(self) -> SplitVariant:
        """The splits that the run was trained on; where members differ, those as they are."""
        variants = self.variants
        return variants[0] if len(variants) == 1 else SplitVariant()

    @property
    def variants(self) -> list[SplitVariant]:
        """The splits that the run, or each of an ensemble's members, was trained on."""
        recipes = self.settings["members"].values() if self.members else [self.settings]
        found = (
            SplitVariant(leave_out=one.get("leave_out", ""), fold=one.get("fold", ""))
            for one in recipes
        )
        return list(dict.fromkeys(found))

    @property
    def chosen_class(self) -> str:
        """The class that its figures speak of; of an ensemble, its members'."""
        recipe = next(iter(self.settings.get("members", {"": self.settings}).values()))
        return str(recipe.get("classes", {}).get("chosen") or POLYP)

    @property
    def tta(self) -> bool:
        """Whether its recipe, or that of every member, predicts with test-time augmentation."""
        if self.tuned:
            return bool(self.tuned["tta"])
        recipes = self.settings["members"].values() if self.members else [self.settings]
        return all(recipe.get("tta", False) for recipe in recipes)

    @property
    def tuned(self) -> Mapping[str, Any]:
        """What ``harness tune`` chose for the run, and on which split; else empty."""
        found: Mapping[str, Any] = self.settings.get("tuned", {})
        return found

    def label(self, split: str) -> str:
        """Its name in tables of a split; a run that was tuned on the split says so."""
        return f"{self.run} (tuned on {split})" if self.tuned.get("split") == split else self.run

    @property
    def validation_frames(self) -> str:
        """Fingerprint of the frames that ``best_iou`` is of; empty where unknown."""
        return str(self.row["data"] or "").rpartition("+")[2]  # 'TRAINING+VALIDATION'

    def evaluation(self, split: str) -> Path:
        """The folder of an evaluation of this run."""
        return self.folder / "evaluations" / split


class Workspace:
    """A folder of runs, evaluations, submissions and scores, with its register.

    Nothing is made until something is written, and reading changes no file: a workspace may be
    shared read-only. All methods raise a ``UserError`` where the register cannot be used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._register = Register(root)

    def check_writable(self) -> None:
        """Make the folder and the register now, before hours of work.

        Raises:
            UserError: If the folder or the register cannot be written, or its path is no UTF-8,
                which TensorBoard and others cannot write to.
        """
        if valid_text(str(self.root)) != str(self.root):
            raise UserError(
                f"{self.root}: the workspace's path has bytes that are no UTF-8. Rename that "
                "folder, or give another one with --workspace."
            )
        try:
            (self.root / "runs").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.root, error) from error
        with self._register.write():
            pass

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
        run = self.new_folder(model, label, columns.get("seed")).name
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
        folder = self.new_folder(model, label, columns.get("seed"))
        try:
            columns |= write(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        values = {"model": model, "status": "finished", "finished": stamp(), **columns}
        return self._enter(folder.name, **values)

    def new_folder(self, model: str, label: str = "", seed: int | None = None) -> Path:
        """Make the folder of a run that is yet to be registered.

        Raises:
            UserError: If the workspace cannot be written.
        """
        self.check_writable()
        words = [model, label, f"seed{seed}" if seed else "", f"{now():%Y%m%d-%H%M%S}"]
        stem = "-".join(word for word in words if word)
        folder, count = self.root / "runs" / stem, 1
        while True:
            try:
                folder.mkdir()
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
        return self.run(run)

    def update_run(self, run: str, **columns: Any) -> None:
        """Change columns of a run; mappings are stored as JSON."""
        values = as_columns(columns)
        sets = ", ".join(f"{name} = ?" for name in values)
        with self._register.write() as connection:
            connection.execute(f"UPDATE runs SET {sets} WHERE run = ?", [*values.values(), run])

    def finish_run(self, run: str, status: Status = "finished") -> None:
        """Mark a run as ended."""
        self.update_run(run, status=status, finished=stamp())

    def remove_run(self, run: str) -> None:
        """Forget a run and its evaluations; the caller deletes its folder."""
        with self._register.write() as connection:
            connection.execute("DELETE FROM evaluations WHERE run = ?", [run])
            connection.execute("DELETE FROM runs WHERE run = ?", [run])

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
            row = connection.execute("SELECT * FROM runs WHERE run = ?", [run]).fetchone()
        if row is None:
            known = [r.run for r in self.runs()]
            nearest = difflib.get_close_matches(run, known, n=3, cutoff=0.4)
            hint = f" Nearest: {', '.join(nearest)}." if nearest else ""
            raise UserError(
                f"no run {run!r} in {self._register.path}.{hint} 'harness runs' lists them."
            )
        return self._run(row)

    def enter_evaluation(self, **columns: Any) -> None:
        """Register an evaluation; one of the same run, split and protocol is replaced."""
        with self._register.write() as connection:
            insert(connection, "evaluations", {"created": stamp(), **columns}, replace=True)

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


def write_run_json(run: Run, **further: Any) -> None:
    """Write run.json: the run's register row, readable without the register."""
    write_json(run.folder / "run.json", {**run.row, "settings": run.settings, **further})


def masks_folder(run: Run, split: str) -> Path:
    """Where an evaluation keeps the predicted masks, ``FRAME.png``."""
    return run.evaluation(split) / "masks"
