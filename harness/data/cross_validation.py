"""The splits of a run: as they are, without a centre, or one fold of a cross-validation."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.data import splits
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class SplitVariant:
    """A change of a catalogue's splits.

    Attributes:
        leave_out: Centre that is tested on in place of the test split; empty for none.
        fold: ``K/N``, part K of N of a cross-validation; empty for none.
    """

    leave_out: str = ""
    fold: str = ""

    def __bool__(self) -> bool:
        """Whether it differs from the splits as they are."""
        return bool(self.leave_out or self.fold)

    def __str__(self) -> str:
        """Its words for messages."""
        if self.leave_out:
            return f"without {self.leave_out}"
        return f"fold {self.fold}" if self.fold else "as the splits say"

    @property
    def option(self) -> str:
        """The option that asks ``train`` and ``evaluate`` for it, with a space before it."""
        if self.leave_out:
            return f" --leave-out {shlex.quote(self.leave_out)}"
        return f" --folds {self.fold.partition('/')[2]}" if self.fold else ""

    def apply(self, frames: pd.DataFrame) -> pd.DataFrame:
        """A catalogue with its splits changed accordingly.

        Raises:
            UserError: If the centre or the fold does not exist.
        """
        if self.leave_out:
            return splits.leave_out(frames, self.leave_out)
        if self.fold:
            part, _, count = self.fold.partition("/")
            return splits.folds(frames, int(count))[int(part) - 1]
        return frames


def variants(leave_out: str | None, count: int | None) -> list[SplitVariant]:
    """What ``--leave-out`` and ``--folds`` ask for; without both the splits as they are.

    Raises:
        UserError: Both are given.
    """
    if leave_out and count:
        raise UserError("--leave-out and --folds are two divisions; give one of them")
    return every_fold(count) if count else [SplitVariant(leave_out=leave_out or "")]


def every_fold(count: int) -> list[SplitVariant]:
    """Every fold of a cross-validation."""
    return [SplitVariant(fold=f"{part}/{count}") for part in range(1, count + 1)]
