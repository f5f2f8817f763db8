"""The recipes that the options of ``harness train`` ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.options import Command, encoder_option, nodes_option, together
from harness.utils import console
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.config.settings import Settings
    from harness.config.training import TrainConfig
    from harness.data.cross_validation import SplitVariant
    from harness.runs.workspace import Workspace
    from harness.training.slurm_jobs import Cluster
    from harness.training.train_run import TrainingSetup

_OF_WEIGHTS: Final = ("encoder", "nodes", "inputs")
"""Settings that a run's weights determine, besides the model."""


_RECIPE: Final = {
    "encoder": encoder_option(),
    "encoder_weights": click.option(
        "--encoder-weights",
        metavar="NAME|FILE",
        help="What it starts from: imagenet, none or a file.",
    ),
    "nodes": nodes_option(),
    "size": click.option("--size", type=int, help="Side of the network input, in pixels."),
    "batch_size": click.option(
        "--batch-size", type=int, help="Frames a step, over all processes together."
    ),
    "loss_class": click.option(
        "--loss-class",
        metavar="NAME",
        help="Of the classes in harness.toml the one that a single-channel loss trains, and by "
        "whose IoU the best checkpoint is chosen; by default the first.",
    ),
    "learning_rate": click.option("--learning-rate", type=float, help="Peak learning rate."),
    "schedule": click.option(
        "--schedule", metavar="NAME", help="Of the learning rate: step, one-cycle or cosine."
    ),
    "optimiser": click.option(
        "--optimiser", metavar="NAME", help="How weights are updated: adam or adamw."
    ),
    "loss": click.option(
        "--loss", metavar="NAME", help="What is minimised: single-channel-dice or dice+ce."
    ),
    "augmentation": click.option(
        "--augmentation", metavar="NAME", help="How frames are varied: paper, light or none."
    ),
    "precision": click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16"]),
        help="What the network computes in; the presets' auto is bf16 where the device has it.",
    ),
    "compile": click.option(
        "--compile",
        is_flag=True,
        default=None,
        help="Compile the network first; pays on a GPU in long trainings.",
    ),
}


_CHANGES: Final = {*_RECIPE, "epochs", "patience", "teacher", "seed", "workers"}
"""The options that change one setting of the recipe each."""


def request_options() -> Callable[[Command], Callable[..., object]]:
    """The options of the recipe; with others of the command they are passed as ``request``."""

    def combine(values: dict[str, Any]) -> dict[str, Any]:
        changes = {name: values.pop(name) for name in tuple(values) if name in _CHANGES}
        others = {one.name: values.pop(one.name) for one in fields(Request) if one.name in values}
        return {"request": Request(changes=changes, **others)}

    return together([*_RECIPE.values()], combine)


def launcher_options(command: Command) -> Command:
    """``--launcher`` and ``--slurm``: where the jobs of a training run."""
    command = click.option(
        "--slurm",
        "sbatch",
        multiple=True,
        metavar="KEY=VALUE",
        help="An option of sbatch for each network, such as partition=gpu, gpus-per-node=1, "
        "cpus-per-task=8 or time=24:00:00 (by default 4 hours, after which a job is requeued and "
        "goes on); repeatable. setup='module load cuda' is a line of shell before it.",
    )(command)
    return click.option(
        "--launcher",
        type=click.Choice(["local", "slurm"]),
        default="local",
        show_default=True,
        help="local trains on this machine; slurm submits each network as a job of an array, "
        "--jobs of them at a time, and waits. Ctrl-C leaves the jobs in the cluster.",
    )(command)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked to train: values of options, empty or ``None`` where not given.

    ``pairs`` are those of ``--set``, ``changes`` those of the recipe's other options by name.
    """

    names: Sequence[str]
    preset: str | None
    pairs: Sequence[str]
    changes: Mapping[str, Any]
    init: str | None
    members: Sequence[str] | None
    seeds: int | None
    leave_out: str | None
    folds: int | None

    @property
    def divisions(self) -> list[SplitVariant]:
        """The splits to train on, one after another."""
        from harness.data.cross_validation import variants

        return variants(self.leave_out, self.folds)

    @property
    def measured_by(self) -> str:
        """The command that measures what was trained."""
        split = "test" if self.leave_out else "val"
        seeds = " --seeds" if self.seeds and not self.folds else ""
        return command_line(f"evaluate --split {split}{self.divisions[0].option}{seeds}")

    def recipes(self, settings: Settings) -> tuple[list[TrainConfig], bool]:
        """The recipe of every network, checked, and whether their ensemble follows."""
        from harness.config.recipe import parse_settings
        from harness.runs.initial_weights import settings_of
        from harness.runs.workspace import Workspace
        from harness.training.checks import check_names
        from harness.training.queue import recipes_for

        given = {name: value for name, value in self.changes.items() if value is not None}
        pairs = parse_settings(self.pairs)
        if twice := [name for name in pairs if given.get(name, pairs[name]) != pairs[name]]:
            raise click.UsageError(
                f"{', '.join(twice)}: given by --set and by an option of its own; keep one"
            )
        names = list(self.names)
        if self.init is not None:
            theirs = dict(settings_of(Workspace(settings.workspace), self.init))
            names = names or [theirs.pop("model")] if theirs else names
            given = {**{name: theirs[name] for name in _OF_WEIGHTS if name in theirs}, **given}
        classes = settings.classes.choosing(given.pop("loss_class", None))
        changes = {**given, **pairs, "classes": classes}
        configs, with_ensemble = recipes_for(
            names, self.preset or "paper", changes, self.members or ()
        )
        for config in configs[:1]:  # the others differ by their model alone
            check_names(config)
        return configs, with_ensemble

    def trainable(self, workspace: Workspace, configs: list[TrainConfig]) -> list[TrainConfig]:
        """The recipes with the weights that they start from; weights and networks are tried."""
        import models
        from harness.runs.initial_weights import checked
        from harness.training.checks import check_networks

        if self.init is not None:
            if len(configs) != 1:
                raise click.UsageError("--init starts one network; name it with one --model")
            configs = [checked(workspace, self.init, configs[0])]
        for config in configs[:1]:  # the others differ by their model alone
            models.check_weights(config.encoder, config.encoder_weights)
        check_networks(configs)
        return configs

    def warn_of_seen_frames(self, workspace: Workspace, frames: pd.DataFrame) -> None:
        """Warn where the weights to start from were trained on frames that are held out."""
        from harness.runs.initial_weights import warning as seen_frames

        if self.init and (warning := seen_frames(workspace, self.init, frames, self.divisions)):
            console.warn(warning)

    def refuse_changes(self, *, allowed: Sequence[str]) -> None:
        """Refuse options that would change the recipe of a run that is resumed."""
        given: dict[str, object] = {
            "model": self.names or None,
            "preset": self.preset,
            "set": self.pairs or None,
            "init": self.init,
            "members": self.members or None,
            "seeds": self.seeds,
            **self.changes,
            "leave_out": self.leave_out,
            "folds": self.folds,
        }
        changed = [
            f"--{name.replace('_', '-')}"
            for name, value in given.items()
            if value is not None and name not in allowed
        ]
        if changed:
            raise click.UsageError(
                "--resume goes on with the recipe that the run has; leave out "
                f"{', '.join(changed)} (--epochs and --patience can be changed where RUN is named)"
            )

    def print(self, settings: Settings) -> None:
        """Print the recipe; those of several models differ by the nodes of trinet alone."""
        from harness.config.recipe import to_toml

        configs, _ = self.recipes(settings)
        if not configs:
            raise click.UsageError("an ensemble has no recipe; name one of its members")
        console.show(to_toml(next((config for config in configs if config.nodes), configs[0])))


@contextmanager
def joined(
    device: str, save_every: float, tracker: str | None, graphs: bool, workers: int | None
) -> Iterator[TrainingSetup]:
    """Where the networks train, in the process group that torchrun started this process for."""
    from harness.training import distributed
    from harness.training.loggers import import_mlflow
    from harness.training.train_run import TrainingSetup
    from harness.utils import device as devices

    # Before torch allocates anything of size, or it does not take effect.
    devices.keep_memory()
    with distributed.join(devices.choose(device)) as (group, own):
        if tracker:
            import_mlflow()  # so that it is missed before anything is registered
        yield TrainingSetup(
            device=own,
            save_every_s=save_every,
            group=group,
            tracker=tracker or "",
            graphs=graphs,
            workers=workers,
        )


def cluster_of(
    launcher: str, sbatch: Sequence[str], device: str, jobs: int | None, tracker: str | None
) -> Cluster | None:
    """The cluster that ``--launcher slurm`` asks for; ``None`` for this machine.

    Raises:
        UserError: If submitit or SLURM are missing, or an option of sbatch cannot be given.
    """
    if launcher != "slurm":
        if sbatch:
            raise click.UsageError("--slurm is for --launcher slurm")
        return None
    from harness.training.slurm_jobs import Cluster, parse

    if not shutil.which("sbatch"):
        raise UserError(
            "--launcher slurm: there is no SLURM on this machine (no sbatch); start it where jobs "
            "are submitted, such as a cluster's login node"
        )
    if tracker and not os.environ.get("MLFLOW_TRACKING_URI"):
        raise click.UsageError(
            "--tracker mlflow with --launcher slurm needs a server, since jobs on several nodes "
            "cannot share a file: set MLFLOW_TRACKING_URI"
        )
    return Cluster(device=device, parameters=parse(sbatch), at_once=jobs)
