"""``harness train``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.options import FRAMES, device_option, nodes_option, with_settings
from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.config.training import TrainConfig
    from harness.data.cross_validation import SplitVariant
    from harness.training.run import TrainingSetup

NEWEST: Final = "newest"


EPILOG = """\b
Examples:
  harness train --preset quick
  harness train --model unet --epochs 20 --device cuda
  harness train --model trinet --nodes unet,fpn,deeplabv3
  harness train --model all --jobs 4
  torchrun --nproc-per-node 4 -m harness train --model triunet
  harness train --resume
"""


@click.command(epilog=EPILOG)
@click.option(
    "--model",
    "names",
    multiple=True,
    metavar="NAME",
    help="A model of 'harness models', or all; repeatable. By default the paper's six networks, "
    "then DivergentNets from their best checkpoints.",
)
@click.option(
    "--preset",
    type=click.Choice(["paper", "quick", "demo"]),
    default="paper",
    show_default=True,
    help="The recipe to start from: the paper's, one that learns real frames on a "
    "CPU, or one for the drawn frames of 'harness demo'.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=NEWEST,
    metavar="[RUN]",
    help="Go on with an unfinished run, and with what was still to do after it; without RUN, the "
    "newest. On a CPU the weights become those of an unbroken run; on a GPU batches and "
    "augmentations are the same, and the weights are so up to rounding.",
)
@click.option("--epochs", type=int, help="Passes over the training frames.")
@click.option("--encoder", help="An encoder of segmentation-models-pytorch.")
@click.option("--encoder-weights", metavar="NAME|FILE", help="imagenet, none or a file.")
@nodes_option()
@click.option("--size", type=int, help="Side of the network input, in pixels.")
@click.option("--batch-size", type=int, help="Frames a step, over all processes together.")
@click.option(
    "--loss-class",
    metavar="NAME",
    help="Of the classes in harness.toml the one that a single-channel loss trains, and by whose "
    "IoU the best checkpoint is chosen; by default the first.",
)
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    help="Of the network; the presets' auto is bf16 where the device computes it natively.",
)
@click.option("--compile", is_flag=True, default=None, help="Have torch compile the network.")
@click.option(
    "--cuda-graphs/--no-cuda-graphs",
    "graphs",
    default=True,
    show_default=True,
    help="On a GPU, record a training step and replay it, which at small batches is faster.",
)
@click.option("--seed", type=int, help="Of weights, data order and augmentations.")
@click.option(
    "--workers",
    type=int,
    help="Processes that augment beside each training; by default as many as the cores allow, "
    "divided among all trainings of the machine.",
)
@click.option(
    "--save-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds between two writings of what --resume needs.",
)
@click.option("--leave-out", metavar="CENTRE", help="Train without a centre and test on it.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Cross-validate: each network once a fold; sequences stay whole.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Networks that train side by side: one a GPU, or sharing the cores of a CPU.",
)
@click.option(
    "--tracker",
    type=click.Choice(["mlflow"]),
    help="Tell MLflow of each epoch as well; its store is workspace/mlflow.db, or what "
    "MLFLOW_TRACKING_URI names.",
)
@device_option()
@with_settings(*FRAMES, "test_frames", "workspace", "splits")
def command(
    settings: Settings,
    names: Sequence[str],
    preset: str,
    resume: str | None,
    device: str,
    leave_out: str | None,
    folds: int | None,
    save_every: float,
    jobs: int,
    tracker: str | None,
    graphs: bool,
    **overrides: Any,
) -> None:
    """Train networks and register their best checkpoints.

    Each network trains on its own with the recipe of the preset; any option overrides it. What
    was finished before an interruption stays registered, and --resume goes on with the rest.
    """
    from harness.cli import training
    from harness.data.catalogue import require_frames
    from harness.training import distributed, mlflow_tracking
    from harness.training.run import TrainingSetup, train_worker
    from harness.utils import device as devices
    from harness.utils.device import keep_memory

    # Before torch allocates anything of size, or it does not take effect.
    keep_memory()
    with distributed.join(devices.choose(device)) as (together, own):
        setup = TrainingSetup(
            device=own,
            save_every_s=save_every,
            group=together,
            tracker=tracker or "",
            graphs=graphs,
        )
        if jobs > 1 and not together.is_single:
            raise click.UsageError("--jobs and torchrun are two ways to share the work; take one")
        if not together.is_main:
            train_worker(setup)
            return
        if tracker:
            mlflow_tracking.client()  # said before anything is entered
        require_frames(settings, ["train"])
        if resume is not None:
            _refuse_changes(names, {**overrides, "leave_out": leave_out, "folds": folds})
            training.resume(settings, None if resume == NEWEST else resume, setup, jobs)
            return
        overrides["classes"] = settings.classes.choosing(overrides.pop("loss_class"))
        configs, with_ensemble = _plan(names, preset, overrides)
        _start(settings, configs, with_ensemble, setup, jobs, leave_out=leave_out, folds=folds)


def _start(
    settings: Settings,
    configs: Sequence[TrainConfig],
    with_ensemble: bool,
    setup: TrainingSetup,
    jobs: int,
    *,
    leave_out: str | None,
    folds: int | None,
) -> None:
    """Enter what there is to do, for every division of the frames, and do it."""
    from dataclasses import replace

    from harness.cli import training
    from harness.data.catalogue import catalogue
    from harness.data.cross_validation import SplitVariant
    from harness.data.cross_validation import folds as divisions
    from harness.runs.workspace import Workspace
    from harness.training.queue import RunQueue

    workspace = Workspace(settings.workspace)
    workspace.check_writable()
    frames = catalogue(settings, needs=["train"])
    steps: list[TrainConfig | SplitVariant] = []
    for division in [SplitVariant(leave_out=leave_out)] if leave_out else divisions(folds):
        division.apply(frames)  # a centre that is not there is said before anything is entered
        steps += [
            replace(config, leave_out=division.leave_out, fold=division.fold) for config in configs
        ]
        steps += [division] if with_ensemble else []
    plan = RunQueue.new(workspace, steps)
    try:
        training.run_all(workspace, plan, frames, setup, jobs)
    finally:
        if not plan.runs:
            plan.finish()
    console.note("Measure them with: harness evaluate --split val")


def _refuse_changes(names: Sequence[str], given: dict[str, Any]) -> None:
    changed = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is not None]
    changed += ["--model"] if names else []
    if changed:
        raise click.UsageError(
            f"--resume goes on with the recipe that the run has; leave out {', '.join(changed)}"
        )


def _plan(
    names: Sequence[str], preset: str, overrides: dict[str, Any]
) -> tuple[list[TrainConfig], bool]:
    """Every recipe, checked before the first training begins."""
    import models
    from harness.config.training import resolve
    from harness.training.queue import plan

    networks, with_ensemble = plan(names)
    if overrides["nodes"] and "trinet" not in networks:
        raise click.UsageError("--nodes is for --model trinet")
    configs = []
    for name in networks:
        models.get(name)
        given = overrides if name == "trinet" else {**overrides, "nodes": None}
        configs.append(resolve(name, preset, **given))
    if configs:
        models.check(configs[0].encoder, configs[0].encoder_weights)
    return configs, with_ensemble
