"""Which classes runs tell apart; without torch, for what only reads results."""

from __future__ import annotations

from collections.abc import Iterable

from harness.config.training import TrainConfig
from harness.runs.run import Run
from harness.utils import console
from metrics.masks.classes import Classes
from metrics.utils.errors import UserError
from metrics.utils.names import few


def shared_classes(runs: Iterable[Run]) -> Classes:
    """The classes of runs; of ensembles, those of their members.

    Raises:
        UserError: If they are not the same in all.
    """
    recipes = {
        name: TrainConfig.from_dict(settings)
        for run in runs
        for name, settings in run.recipes.items()
    }
    found = {config.classes: name for name, config in recipes.items()}
    if len(found) > 1:
        named = "; ".join(
            f"{name}: {', '.join(classes.names)} ({', '.join(map(str, classes.values))}), "
            f"{classes.chosen} chosen"
            for classes, name in found.items()
        )
        raise UserError(
            f"these runs have different classes ({named}); name runs of one [classes] table and "
            "--loss-class"
        )
    return next(iter(found))


def warn_of_other_classes(runs: Iterable[Run], today: Classes) -> None:
    """Warn of runs that read masks by other names and values than today's ``[classes]``."""
    if not today.values:
        return
    wanted = today.table
    if others := [run.run for run in runs if shared_classes([run]).table != wanted]:
        console.warn(
            "Trained with other classes than [classes] says today, and masks are read by their "
            f"own: {few(others)}."
        )
