"""A run: what its folder holds, and its run.json, which says how far it is.

Whatever trains a run writes in its folder and nowhere else. The register is brought up to date from
there (``Workspace.sync``), so that no process on another machine writes an SQLite file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from harness.data.cross_validation import SplitVariant
from metrics.masks.classes import POLYP
from metrics.utils.errors import UserError
from metrics.utils.files import write_json
from submissions.database import as_columns, stamp

Status = Literal["running", "interrupted", "failed", "finished"]

BEST: Final = "best.safetensors"
"""The file of the weights of the best epoch, in a run's folder."""

LOG: Final = "train.log"
"""The file of what happened as a run was trained, in its folder."""

MASKS: Final = "masks"
"""The folder of the predicted masks, ``FRAME.png``, in that of an evaluation."""

RUN_JSON: Final = "run.json"
"""The file of a run's columns in the register, in its folder."""

_JSON: Final = ("settings", "versions", "members", "encoder_weights")
"""Columns that are JSON in the register."""


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

    @classmethod
    def from_row(cls, folder: Path, row: Mapping[str, Any]) -> Self:
        """A run from its folder and its row of the register or run.json."""
        columns = as_columns(row)
        return cls(
            run=columns["run"],
            model=columns["model"],
            status=columns["status"],
            folder=folder,
            settings=json.loads(columns["settings"]),
            members=json.loads(columns["members"]),
            row=columns,
        )

    def reread(self) -> Self:
        """The run as its folder says now; as it is where an earlier version began it."""
        told = read_run_json(self.folder)
        row = {name: told.get(name, value) for name, value in self.row.items()}
        return self.from_row(self.folder, row) if is_current(told) else self

    @property
    def best(self) -> Path:
        """The weights of the best epoch."""
        return self.folder / BEST

    @property
    def last(self) -> Path:
        """The training state that ``train --resume`` continues from."""
        return self.folder / "last.pt"

    @property
    def recipes(self) -> Mapping[str, Mapping[str, Any]]:
        """An ensemble's recipes by member; of any other run its own, by its identifier."""
        found: Mapping[str, Any] = self.settings.get("members", {self.run: self.settings})
        return found

    @property
    def variant(self) -> SplitVariant:
        """The splits that the run was trained on; where members differ, those as they are."""
        variants = self.variants
        return variants[0] if len(variants) == 1 else SplitVariant()

    @property
    def variants(self) -> list[SplitVariant]:
        """The splits that the run, or each of an ensemble's members, was trained on."""
        found = (
            SplitVariant(leave_out=one.get("leave_out", ""), fold=one.get("fold", ""))
            for one in self.recipes.values()
        )
        return list(dict.fromkeys(found))

    @property
    def chosen_class(self) -> str:
        """The class that its figures speak of; of an ensemble, its members'."""
        recipe = next(iter(self.recipes.values()))
        return str(recipe.get("classes", {}).get("chosen") or POLYP)

    @property
    def tta(self) -> bool:
        """Whether its recipe, or that of every member, predicts with test-time augmentation."""
        if self.tuned:
            return bool(self.tuned["tta"])
        return all(recipe.get("tta", False) for recipe in self.recipes.values())

    @property
    def tuned(self) -> Mapping[str, Any]:
        """What ``harness tune`` chose for the run, and on which split; else empty."""
        found: Mapping[str, Any] = self.settings.get("tuned", {})
        return found

    def label(self, split: str) -> str:
        """Its name in tables of a split, or ``A and B``; a run that was tuned on one says so."""
        tuned_on = self.tuned.get("split")
        return f"{self.run} (tuned on {tuned_on})" if tuned_on in split.split(" and ") else self.run

    def contender(self, split: str) -> str:
        """Its name in a ranking of a split: the model's; a run that was tuned keeps its own."""
        return self.label(split) if self.tuned else self.model

    @property
    def training_frames(self) -> str:
        """Fingerprint of the frames that it was trained on; empty where unknown."""
        training, _, validation = str(self.row["data"] or "").partition("+")
        return training if validation else ""

    @property
    def validation_frames(self) -> str:
        """Fingerprint of the frames that ``best_iou`` is of; empty where unknown."""
        return str(self.row["data"] or "").rpartition("+")[2]  # 'TRAINING+VALIDATION'

    def evaluation(self, split: str) -> Path:
        """The folder of an evaluation of this run."""
        return self.folder / "evaluations" / split


def read_run_json(folder: Path) -> dict[str, Any]:
    """The columns of a run as its folder has them; empty without run.json.

    Raises:
        UserError: If the file cannot be read.
    """
    path = folder / RUN_JSON
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); expected the columns of a run as JSON. Move it "
            "away: the register then keeps what it has of the run."
        ) from error


def is_current(row: Mapping[str, Any]) -> bool:
    """Whether a run.json is kept up to date; earlier versions wrote it once, at the end."""
    return "updated" in row


def write_run_json(run: Run, **columns: Any) -> None:
    """Change columns of a run in its run.json, and note others there.

    Raises:
        UnwritableError: If the disk is full or the folder cannot be written.
    """
    before = read_run_json(run.folder)
    row = {**run.row, **(before if is_current(before) else {}), **columns, "updated": stamp()}
    for name in _JSON:
        if isinstance(row.get(name), str):  # as JSON within JSON it could not be read by eye
            row[name] = json.loads(row[name])
    write_json(run.folder / RUN_JSON, row)


def write_end(run: Run, status: Status) -> None:
    """Note in a run's run.json how it ended, and when.

    Raises:
        UnwritableError: As :func:`write_run_json`.
    """
    write_run_json(run, status=status, finished=stamp())


def log(run: Run, text: str) -> None:
    """Add a line to a run's train.log; a disk that is full must not end the training here."""
    with (
        suppress(OSError),
        (run.folder / LOG).open("a", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.write(f"{stamp()} {text}\n")
