"""The queue of what one ``harness train`` has to do, kept on disk until all of it is done."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import models
from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant
from harness.runs.run import Run
from harness.runs.workspace import Workspace, now
from metrics.utils.errors import UserError
from metrics.utils.files import write_json
from models import ENSEMBLE, PAPER_NETWORKS

_FOLDER: Final = "plans"


@dataclass(frozen=True, kw_only=True)
class EnsembleStep:
    """An ensemble to make of networks that are trained by then, with their splits and their seed.

    The ``members`` are models and runs; empty for DivergentNets' own. The seed is ``None`` in
    queues of earlier versions.
    """

    leave_out: str = ""
    fold: str = ""
    members: tuple[str, ...] = ()
    seed: int | None = None

    def takes(self, network: Step | None) -> bool:
        """Whether it is to be made of a network: one of its members, splits and seed."""
        return (
            isinstance(network, TrainConfig)
            and network.model in (self.members or models.get(ENSEMBLE).members)
            and variant_of(network) == variant_of(self)
            and self.seed in (None, network.seed)
        )


Step = TrainConfig | EnsembleStep


@dataclass(frozen=True, kw_only=True)
class RunQueue:
    """Steps in their order, and the runs that some of them have become.

    Attributes:
        path: Its file, gone once everything is done.
        steps: What to do; ``None`` where a step was struck, so that the others keep their places.
        runs: The run of each step that was begun, by the step's position.
    """

    path: Path
    steps: list[Step | None]
    runs: dict[int, str]

    @classmethod
    def new(cls, workspace: Workspace, steps: Sequence[Step]) -> Self:
        """Write a new queue; a ``UserError`` where the workspace cannot be written."""
        path = workspace.root / _FOLDER / f"{now():%Y%m%d-%H%M%S-%f}.json"
        made = cls(path=path, steps=list(steps), runs={})
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
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError) as error:
            raise UserError(
                f"{path} cannot be read ({error}). It only says what was left to train; delete it, "
                "and train what is missing by name."
            ) from error
        return cls(path=path, steps=steps, runs=runs)

    @property
    def networks(self) -> int:
        """How many networks it trains in all."""
        return sum(isinstance(step, TrainConfig) for step in self.steps)

    def run(self, workspace: Workspace, position: int) -> Run | None:
        """The run that a step became, if it was not removed since."""
        name = self.runs.get(position)
        return next((run for run in workspace.runs() if run.run == name), None)

    def is_finished(self, workspace: Workspace, position: int) -> bool:
        """Whether a step has become a finished run."""
        run = self.run(workspace, position)
        return run is not None and run.status == "finished"

    def is_done(self, workspace: Workspace) -> bool:
        """Whether nothing is left of it."""
        steps = enumerate(self.steps)
        return all(step is None or self.is_finished(workspace, at) for at, step in steps)

    def begin(self, position: int, run: str) -> None:
        """Note that a step becomes a run; before it is registered, so that no kill hides it."""
        self.refresh()  # or writing would bring back what was struck meanwhile
        self.runs[position] = run
        self._write()

    def refresh(self) -> None:
        """Drop the steps that another process struck since it was read, or all if it is gone."""
        kept = self.read(self.path).steps if self.path.exists() else [None] * len(self.steps)
        self.steps[:] = kept

    def finish(self) -> None:
        """Everything is done."""
        self.path.unlink(missing_ok=True)

    def _write(self) -> None:
        write_json(self.path, {"steps": [_values(step) for step in self.steps], "runs": self.runs})


def unfinished(workspace: Workspace, run: str | None = None) -> RunQueue | None:
    """The newest queue, or the one that a run belongs to, by its identifier."""
    found = (q for q in all_queues(workspace) if run is None or run in q.runs.values())
    return next(found, None)


def all_queues(workspace: Workspace) -> Iterator[RunQueue]:
    """Every queue on disk, newest first."""
    return map(RunQueue.read, reversed(_files(workspace)))


def finish_done(workspace: Workspace) -> None:
    """Remove the queues that were done without the process that began them, as by a cluster."""
    for path in _files(workspace):
        with suppress(UserError):  # what cannot be read is said where it is needed
            if (tasks := RunQueue.read(path)).is_done(workspace):
                tasks.finish()


def _files(workspace: Workspace) -> list[Path]:
    return sorted((workspace.root / _FOLDER).glob("*.json"))


def strike(workspace: Workspace, run: str) -> bool:
    """Strike a run that is to be removed from its queue, and the ensemble that waits for it.

    The result says whether such an ensemble, not made yet, was struck.
    """
    tasks = unfinished(workspace, run)
    if tasks is None:
        return False
    gone = {at for at, name in tasks.runs.items() if name == run}
    waiting = {
        at
        for at, step in enumerate(tasks.steps)
        if isinstance(step, EnsembleStep)
        and any(step.takes(tasks.steps[one]) for one in gone)
        and not tasks.is_finished(workspace, at)
    }
    for at in gone | waiting:
        tasks.steps[at] = None
        tasks.runs.pop(at, None)
    if tasks.is_done(workspace):
        tasks.finish()
    else:
        tasks._write()
    return bool(waiting)


def variant_of(step: Step) -> SplitVariant:
    """The splits that a network, or those of an ensemble, are trained on."""
    return SplitVariant(leave_out=step.leave_out, fold=step.fold)


def queue_of(
    workspace: Workspace, steps: Sequence[Step], *, restarted: dt.datetime | None
) -> RunQueue | None:
    """A new queue of some steps; where torchrun starts a command again, the one that it had.

    ``restarted`` is when that torchrun began; ``None`` for the first start. The queue is ``None``
    where all of it was done before the restart.
    """
    if restarted is not None:
        queues = all_queues(workspace)
        if begun := next((queue for queue in queues if queue.steps == list(steps)), None):
            return begun
        if _trained_since(workspace, steps, restarted):
            return None
    return RunQueue.new(workspace, steps)


def _trained_since(workspace: Workspace, steps: Sequence[Step], moment: dt.datetime) -> bool:
    """Whether every network of some steps was begun after a moment and is finished."""
    second = moment.replace(microsecond=0)  # the register has no fractions
    done = [
        TrainConfig.from_dict(run.settings)
        for run in workspace.runs(status="finished")
        if not run.members and dt.datetime.fromisoformat(run.row["created"]) >= second
    ]
    # A run has the precision that 'auto' meant.
    return all(
        any(dataclasses.replace(run, precision=step.precision) == step for run in done)
        for step in steps
        if isinstance(step, TrainConfig)
    )


def _values(step: Step | None) -> dict[str, Any] | None:
    if step is None:
        return None
    kind = "train" if isinstance(step, TrainConfig) else "ensemble"
    return {kind: dataclasses.asdict(step)}


def _step(values: dict[str, Any] | None) -> Step | None:
    if values is None:
        return None
    if "train" in values:
        return TrainConfig.from_dict(values["train"])
    values = values["ensemble"]
    return EnsembleStep(**{**values, "members": tuple(values.get("members", ()))})


def networks_for(names: Sequence[str], members: Sequence[str] = ()) -> tuple[list[str], bool]:
    """The networks to train, each once, and whether an ensemble of the members follows.

    ``names`` are models, or ``all``; none stands for the paper's six and their ensemble, or, with
    members, for the ensemble alone. The ``members`` are models, which are trained, and runs.

    Raises:
        UserError: If there are members of a model that is no ensemble.
    """
    wanted = list(dict.fromkeys(names or ([ENSEMBLE] if members else ["all"])))
    with_ensemble = "all" in wanted or ENSEMBLE in wanted
    if members and not with_ensemble:
        raise UserError(f"--members are those of {ENSEMBLE}; add --model {ENSEMBLE}")
    networks = [*(PAPER_NETWORKS if "all" in wanted else ()), *wanted]
    networks += [name for name in members if name in models.names()]
    return [n for n in dict.fromkeys(networks) if n not in ("all", ENSEMBLE)], with_ensemble


def recipes_for(
    names: Sequence[str], preset: str, changes: Mapping[str, Any], members: Sequence[str] = ()
) -> tuple[list[TrainConfig], bool]:
    """The recipe of every network to train, and whether their ensemble follows.

    ``names`` and ``members`` are as for :func:`networks_for`, ``preset`` is a name or a file; of
    the ``changes``, by the settings' names, ``nodes`` are trinet's.

    Raises:
        UserError: If a model or the preset is unknown.
        FaultsError: If the recipe cannot work, with all reasons.
    """
    networks, with_ensemble = networks_for(names, members)
    if changes.get("nodes") and "trinet" not in networks:
        raise UserError("nodes are for the model trinet")
    configs = []
    for name in networks:
        models.get(name)
        config = resolve(name, preset, **changes)
        configs.append(config if name == "trinet" else dataclasses.replace(config, nodes=()))
    return configs, with_ensemble


def steps_for(
    configs: Sequence[TrainConfig],
    variants: Sequence[SplitVariant],
    with_ensemble: bool,
    *,
    members: Sequence[str] = (),
    seeds: int = 1,
) -> list[Step]:
    """The steps of a queue: every recipe, then their ensemble, for each variant and each seed.

    The members are those of :class:`EnsembleStep`; seeds count from that of the recipes on.

    Raises:
        FaultsError: If a seed is larger than the largest.
    """
    steps: list[Step] = []
    first = configs[0].seed if configs else 0
    seeds = seeds if configs else 1
    for variant, seed in itertools.product(variants, range(first, first + seeds)):
        own: dict[str, Any] = {"leave_out": variant.leave_out, "fold": variant.fold, "seed": seed}
        steps += [TrainConfig.from_dict({**config.to_dict(), **own}) for config in configs]
        if with_ensemble:
            steps.append(EnsembleStep(members=tuple(members), **own))
    return steps
