"""Under which name a run's figures are shown, and which runs are shown as one model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.utils import console
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.data.cross_validation import SplitVariant
    from harness.runs.run import Run


def of_all_folds(found: Sequence[Run], wanted: Sequence[SplitVariant]) -> list[Run]:
    """The runs of models that have one in every fold; the others would be of fewer frames.

    Raises:
        UserError: There is no such model.
    """
    variants: dict[str, set[SplitVariant]] = {}
    for run in found:
        variants.setdefault(run.model, set()).add(run.variant)
    lacking = {
        model: ", ".join(one.fold for one in wanted if one not in there)
        for model, there in variants.items()
        if len(there) < len(wanted)
    }
    said = "; ".join(f"{model} has no run of fold {folds}" for model, folds in lacking.items())
    if len(lacking) == len(variants):
        raise UserError(f"no model has a run of every fold: {said}")
    if said:
        console.warn(f"Left out, since their figures would be of other frames: {said}.")
    return [run for run in found if run.model not in lacking]


def label_of(run: Run, chosen: Sequence[Run], split: str) -> str:
    """The model's name; the run's where several of the model are measured, or it was tuned.

    The folds of one cross-validation are measured as one model.
    """
    alike = {other.run: other.variant for other in chosen if other.model == run.model}
    divisions = {variant.fold.partition("/")[2] for variant in alike.values()}
    are_folds = len(divisions) == 1 and "" not in divisions and len({*alike.values()}) == len(alike)
    is_alone = (len(alike) == 1 or are_folds) and not run.tuned
    return run.model if is_alone else run.label(split)
