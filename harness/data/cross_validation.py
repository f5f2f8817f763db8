"""The splits of a run: as they are, without a centre, or one fold of a cross-validation."""

from __future__ import annotations

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

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.leave_out and self.fold:
            raise UserError("--leave-out and --folds are two divisions; give one of them")

    def __bool__(self) -> bool:
        """Whether it differs from the splits as they are."""
        return bool(self.leave_out or self.fold)

    def __str__(self) -> str:
        """Its words for messages."""
        if self.leave_out:
            return f"without {self.leave_out}"
        return f"fold {self.fold}" if self.fold else "as the splits say"

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


def folds(count: int | None) -> list[SplitVariant]:
    """Every fold of a cross-validation; the splits as they are where ``count`` is ``None``."""
    if count is None:
        return [SplitVariant()]
    return [SplitVariant(fold=f"{part}/{count}") for part in range(1, count + 1)]
