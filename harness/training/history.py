"""Figures of an epoch, and the callbacks of a run."""

from __future__ import annotations

import csv
import dataclasses
from ast import literal_eval
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.utils.progress import duration
from metrics.utils.files import atomic_path

HISTORY: Final = "history.csv"
"""The file of a run's epochs, in its folder."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """Figures of one epoch: a row of history.csv.

    IoU and F1 are those of the chosen class, by default polyp, on the validation frames: means over
    frames at network size.
    """

    epoch: int  # from 1
    loss: float  # mean over the epoch's steps
    iou: float
    f1: float
    learning_rate: float  # in the last step
    seconds: float  # training and validation together
    images_per_second: float  # training alone
    waiting: float  # share of the training time spent waiting for data, from 0 to 1
    best: bool  # whether its weights became the best checkpoint


@dataclass(frozen=True, kw_only=True)
class Callbacks:
    """Called after each step, with the steps done in the run and in all, and after each epoch."""

    step: Callable[[int, int], object] = lambda _done, _total: None
    epoch: Callable[[Epoch], object] = lambda _epoch: None


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write epochs as CSV, one row each, whole or not at all."""
    names = [field.name for field in dataclasses.fields(Epoch)]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(dataclasses.asdict(epoch) for epoch in history)


def read_history(path: Path) -> list[Epoch]:
    """The epochs of a history.csv; none where there is none yet."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    return [Epoch(**{name: literal_eval(value) for name, value in row.items()}) for row in rows]


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """The figures of an epoch, of so many in all, on one line for the user."""
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  "
        f"loss {epoch.loss:.3f}  IoU {epoch.iou:.3f}  F1 {epoch.f1:.3f}  "
        f"{epoch.images_per_second:.0f} images/s  {epoch.waiting:.0%} waiting for data  "
        f"{duration(epoch.seconds)}{'  best' if epoch.best else ''}"
    )
