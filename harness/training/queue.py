"""The queue of what one ``harness train`` has to do, kept on disk until all of it is done."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import models
from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant
from harness.runs.workspace import Workspace, now
from metrics.utils.errors import UserError
from metrics.utils.files import write_json
from models import ENSEMBLE, PAPER_NETWORKS

Step = TrainConfig | SplitVariant
"""A network to train, or a variant of the splits whose networks become an ensemble."""


@dataclass(frozen=True, kw_only=True)
class RunQueue:
    """Steps in their order, and the runs that some of them have become.

    Attributes:
        path: Its file, gone once everything is done.
        steps: What to do.
        runs: The run of each step that was begun, by the step's position.
    """

    path: Path
    steps: Sequence[Step]
    runs: dict[int, str]

    @classmethod
    def new(cls, workspace: Workspace, steps: Sequence[Step]) -> Self:
        """Write a new queue.

        Raises:
            UserError: If the workspace cannot be written.
        """
        folder = _folder(workspace)
        stem = f"{now():%Y%m%d-%H%M%S-%f}"
        made = cls(path=folder / f"{stem}.json", steps=list(steps), runs={})
        made._write()
        return made

    @classmethod
    def read(cls, path: Path) -> Self:
        """A queue from its file.

        Raises:
            UserError: If the file cannot be read.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            steps = [_step(step) for step in values["steps"]]
            runs = {int(position): run for position, run in values["runs"].items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path} cannot be read ({error}). It only says what was left to train; delete it, "
                "and train what is missing by name."
            ) from error
        return cls(path=path, steps=steps, runs=runs)

    @property
    def networks(self) -> int:
        """How many networks it trains in all."""
        return sum(isinstance(step, TrainConfig) for step in self.steps)

    def begin(self, position: int, run: str) -> None:
        """Note that a step becomes a run; before it is registered, so that no kill hides it."""
        self.runs[position] = run
        self._write()

    def finish(self) -> None:
        """Everything is done."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {"steps": [_values(step) for step in self.steps], "runs": self.runs})


def unfinished(workspace: Workspace, run: str | None = None) -> RunQueue | None:
    """The newest queue that is not done, or the one that a run belongs to.

    Args:
        workspace: Where queues lie.
        run: A run's identifier.
    """
    paths = sorted(_folder(workspace).glob("*.json"), reverse=True)
    queues = (RunQueue.read(path) for path in paths)
    return next((each for each in queues if run is None or run in each.runs.values()), None)


def _folder(workspace: Workspace) -> Path:
    return workspace.root / "plans"


def _values(step: Step) -> dict[str, Any]:
    kind = "train" if isinstance(step, TrainConfig) else "ensemble"
    return {kind: dataclasses.asdict(step)}


def _step(values: dict[str, Any]) -> Step:
    if "train" in values:
        return TrainConfig.from_dict(values["train"])
    return SplitVariant(**values["ensemble"])


def networks_for(names: Sequence[str]) -> tuple[list[str], bool]:
    """The networks to train for the models asked for.

    Args:
        names: Registered names, or ``all``; empty for the paper's six and their ensemble.

    Returns:
        tuple: Networks to train, in order and without repetition, and whether to register
        DivergentNets from its members afterwards.
    """
    wanted = list(dict.fromkeys(names or ["all"]))
    if "all" in wanted:
        return list(PAPER_NETWORKS), True
    with_ensemble = ENSEMBLE in wanted
    return [name for name in wanted if name != ENSEMBLE], with_ensemble


def recipes_for(
    names: Sequence[str], preset: str, changes: Mapping[str, Any]
) -> tuple[list[TrainConfig], bool]:
    """The recipe of every network to train, and whether their ensemble follows.

    Args:
        names: As for :func:`networks_for`.
        preset: A preset's name or file.
        changes: Settings by name; ``nodes`` are trinet's.

    Raises:
        UserError: If a model or the preset is unknown.
        FaultsError: If the recipe cannot work, with all reasons.
    """
    networks, with_ensemble = networks_for(names)
    if changes.get("nodes") and "trinet" not in networks:
        raise UserError("nodes are for the model trinet")
    configs = []
    for name in networks:
        models.get(name)
        config = resolve(name, preset, **changes)
        configs.append(config if name == "trinet" else dataclasses.replace(config, nodes=()))
    return configs, with_ensemble


def steps_for(
    configs: Sequence[TrainConfig], variants: Sequence[SplitVariant], with_ensemble: bool
) -> list[Step]:
    """The steps of a queue: each recipe for each variant of the splits, then its ensemble."""
    steps: list[Step] = []
    for variant in variants:
        steps += [
            dataclasses.replace(config, leave_out=variant.leave_out, fold=variant.fold)
            for config in configs
        ]
        steps += [variant] if with_ensemble else []
    return steps
