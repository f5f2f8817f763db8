"""``harness train``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from harness.cli.command import Command
from harness.cli.options import FRAMES, device_option, models_option, names_of, with_settings
from harness.cli.train_request import (
    Request,
    cluster_of,
    joined,
    launcher_options,
    request_options,
)
from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.training.slurm_jobs import Cluster
    from harness.training.train_run import TrainingSetup

_NEWEST: Final = "newest"  # what --resume means without a run

_RESUMED: Final = ("workers", "epochs", "patience")
"""Options that --resume RUN takes; without RUN only the first."""

EPILOG = """\b
Examples:
  harness train --preset quick
  harness train --model unet --epochs 20 --device cuda
  harness train --model trinet --nodes unet,fpn,deeplabv3
  harness train --model all --jobs 4
  harness train --launcher slurm --slurm partition=gpu --slurm gpus-per-node=1
  harness train --model divergentnets --members unet++,fpn,segformer,unet-20260726-101500
  harness train --model unet --seeds 5
  harness train --model unet --teacher divergentnets
  torchrun --nproc-per-node 4 -m harness train --model triunet
  harness train --preset quick --schedule cosine --set weight_decay=0.05
  harness train --print-recipe > mine.toml; harness train --preset mine.toml
  harness train --resume
  harness train --resume unet-20260726-101500 --epochs 300
  harness train --init unet-20260726-101500 --epochs 20
"""


@click.command(
    cls=Command,
    epilog=EPILOG,
    headings={"preset": "The recipe", "device": "How it runs"},
)
@models_option(
    "A model of 'harness models', or all; repeatable. By default the paper's six networks, "
    "then DivergentNets from their best checkpoints."
)
@click.option(
    "--members",
    callback=names_of,
    metavar="A,B,...",
    help="The members of DivergentNets in place of the paper's five: models, which are trained, "
    "and finished runs by their identifiers, of any seed, fold, encoder and size.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=_NEWEST,
    metavar="[RUN]",
    help="Go on with an unfinished run, and with what was still to do after it; without RUN, the "
    "newest. On a CPU the weights become those of an unbroken run; on a GPU batches and "
    "augmentations are the same, and the weights are so up to rounding.",
)
@click.option(
    "--init",
    type=os.path.expanduser,
    metavar="RUN|FILE",
    help="Start from all weights of a run, or of a checkpoint as import-checkpoint takes it. "
    "Model, encoder, nodes and inputs are the run's; a file takes --model, --encoder, and --set "
    "inputs=0-255 where its images were not normalised.",
)
@click.option("--leave-out", metavar="CENTRE", help="Train without a centre and test on it.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Cross-validate: each network once a fold; sequences stay whole.",
)
@click.option(
    "--seeds",
    type=click.IntRange(2),
    metavar="N",
    help="Train each network N times, from --seed on; DivergentNets is made once for each seed.",
)
@click.option(
    "--preset",
    type=os.path.expanduser,
    metavar="NAME|FILE",
    help="The recipe to start from: paper (the default), quick (learns real frames on a CPU), "
    "strong (a GPU), demo (for the drawn frames of 'harness demo'), or a TOML file like those of "
    "--print-recipe.",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change any setting of the recipe, by its name in --print-recipe; repeatable.",
)
@click.option(
    "--print-recipe",
    is_flag=True,
    help="Print the whole recipe as TOML, which --preset takes, and train nothing.",
)
@click.option(
    "--epochs",
    type=int,
    help="Passes over the training frames; with --resume RUN the new number in all, also of a "
    "finished run. With the step schedule and images of one size (--set grow_from=0) its weights "
    "become those of a run of that many epochs.",
)
@click.option(
    "--patience",
    type=int,
    metavar="N",
    help="End a training whose validation IoU has not improved for N epochs; 0 never does.",
)
@click.option(
    "--teacher",
    metavar="RUN|MODEL",
    help="Also learn the probabilities of a run, such as DivergentNets (distillation), computed "
    "for each batch; --set teacher_weight=W is their share, 0 to 1, beside the masks.",
)
@request_options()
@click.option("--seed", type=int, help="Fixes weights, order and augmentations.")
@device_option()
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Networks that train side by side: one a GPU, or sharing the cores of a CPU. By default "
    "one on a GPU; on a CPU one a core as far as memory reaches, the longest first. --jobs 1 "
    "trains one after another.",
)
@click.option(
    "--workers",
    type=int,
    help="Processes that augment beside each training; by default as many as the cores allow, "
    "divided among all trainings of the machine. 0 augments in the training process; --resume "
    "takes it too.",
)
@click.option(
    "--cuda-graphs/--no-cuda-graphs",
    "graphs",
    default=True,
    show_default=True,
    help="On a GPU, record a training step and replay it, which at small batches is faster.",
)
@click.option(
    "--save-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds between two writings of what --resume needs.",
)
@launcher_options
@click.option(
    "--tracker",
    type=click.Choice(["mlflow"]),
    help="Tell MLflow of each epoch as well; its store is workspace/mlflow.db, or what "
    "MLFLOW_TRACKING_URI names.",
)
@with_settings(*FRAMES, "workspace", "splits")
def command(
    settings: Settings,
    request: Request,
    print_recipe: bool,
    resume: str | None,
    device: str,
    jobs: int | None,
    launcher: str,
    sbatch: Sequence[str],
    save_every: float,
    tracker: str | None,
    graphs: bool,
) -> None:
    """Train networks and register their best checkpoints.

    Each network trains on its own with the recipe of the preset; options and --set change it. What
    was finished before an interruption stays registered, and --resume goes on with the rest.
    """
    from harness.data.catalogue import require_frames

    named = None if resume == _NEWEST else resume
    if resume is not None:
        request.refuse_changes(allowed=_RESUMED if named else _RESUMED[:1])
    if print_recipe and resume is not None:
        raise click.UsageError(
            "--print-recipe is of a new training; 'harness runs show RUN' shows a run's settings"
        )
    if print_recipe:
        request.print(settings)
        return
    workers = None if resume is None else request.changes["workers"]
    cluster = cluster_of(launcher, sbatch, device, jobs, tracker)
    with joined("cpu" if cluster else device, save_every, tracker, graphs, workers) as setup:
        from harness.training.train_all import resume as go_on
        from harness.training.train_run import train_worker

        if not setup.group.is_single and (cluster or (jobs and jobs > 1)):
            raise click.UsageError(
                "--jobs, --launcher slurm and torchrun are ways to share the work; take one"
            )
        if not setup.group.is_main:
            train_worker(setup)
            return
        require_frames(settings, ["train"])
        if resume is None:
            _start(settings, setup, jobs, cluster, request)
        else:
            epochs, patience = request.changes["epochs"], request.changes["patience"]
            go_on(settings, named, setup, jobs, cluster, epochs=epochs, patience=patience)


def _start(
    settings: Settings,
    setup: TrainingSetup,
    jobs: int | None,
    cluster: Cluster | None,
    request: Request,
) -> None:
    """Queue what there is to do, for every variant of the splits, and do it."""
    from harness.data.catalogue import catalogue
    from harness.runs.register_ensemble import check_members
    from harness.runs.workspace import Workspace
    from harness.training.checks import check_batches
    from harness.training.distributed import launch_time
    from harness.training.queue import queue_of, steps_for
    from harness.training.teacher import with_teachers
    from harness.training.train_all import run_all

    divisions, members = request.divisions, request.members or ()
    configs, with_ensemble = request.recipes(settings)
    workspace = Workspace(settings.workspace.absolute() if cluster else settings.workspace)
    check_members(workspace, members)
    configs = request.trainable(workspace, configs)
    workspace.check_writable()
    frames = catalogue(settings, needs=["train"])
    seeds = request.seeds or 1
    steps = steps_for(configs, divisions, with_ensemble, members=members, seeds=seeds)
    steps = with_teachers(workspace, steps)
    check_batches(steps, frames, device=setup.device, group=setup.group)
    request.warn_of_seen_frames(workspace, frames)
    tasks = queue_of(workspace, steps, restarted=launch_time() if setup.group.restarts else None)
    if tasks is None:
        console.note("A process was lost, but after all was trained: nothing is left to do.")
        return
    try:
        run_all(workspace, tasks, frames, setup, jobs, cluster)
    finally:
        if not tasks.runs:
            tasks.finish()
    console.note(f"Measure: {request.measured_by}")
