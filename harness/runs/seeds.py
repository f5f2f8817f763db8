"""Runs that differ by their seed alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from harness.runs.run import Run

_FREE: Final = ("seed", "workers")
"""Settings that seeds of one recipe may differ in."""


def seeds_of(runs: Sequence[Run], run: Run) -> list[Run]:
    """The runs of a run's recipe on its frames, one a seed, in the order of their seeds.

    Args:
        runs: The runs among which they are looked for, newest first, as ``Workspace.runs`` gives
            them.
        run: One of them, which is among the result.
    """
    alike = [one for one in runs if _recipe(one) == _recipe(run)]
    by_seed = {_seed(one): one for one in reversed(alike)} | {_seed(run): run}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _seed(run: Run) -> int:
    return int(run.row["seed"] or 0)


def _recipe(run: Run) -> tuple[str, str, str]:
    return run.model, str(run.row["data"]), json.dumps(_without_seed(run.settings), sort_keys=True)


def _without_seed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _without_seed(value) if isinstance(value, Mapping) else value
        for name, value in settings.items()
        if name not in _FREE
    }
