"""``harness train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from harness import console
from harness.cli.options import device_option, nodes_option, with_settings
from metrics.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from harness.config import TrainConfig
    from harness.division import Division
    from harness.fit import Epoch
    from harness.jobs import Frames
    from harness.plans import Plan
    from harness.settings import Settings
    from harness.workspace import Run, Workspace

NEWEST: Final = "newest"

EPILOG = """\b
Examples:
  harness train --preset quick
  harness train --model unet --epochs 20 --device cuda
  harness train --model trinet --nodes unet,fpn,deeplabv3
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
    help="The recipe to start from: the paper's, one that learns real frames in half an hour on a "
    "CPU, or one for the drawn frames of 'harness demo'.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=NEWEST,
    metavar="[RUN]",
    help="Go on with an unfinished run, and with what was still to do after it; without RUN, the "
    "newest.",
)
@click.option("--epochs", type=int, help="Passes over the training frames.")
@click.option("--encoder", help="An encoder of segmentation-models-pytorch.")
@click.option("--encoder-weights", metavar="NAME|FILE", help="imagenet, none or a file.")
@nodes_option()
@click.option("--size", type=int, help="Side of the network input, in pixels.")
@click.option("--batch-size", type=int, help="Frames a step.")
@click.option("--learning-rate", type=float, help="Peak learning rate.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), help="Of the network.")
@click.option("--seed", type=int, help="Of weights, data order and augmentations.")
@click.option("--workers", type=int, help="Processes that augment beside the training.")
@click.option("--leave-out", metavar="CENTRE", help="Train without a centre and test on it.")
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Cross-validate: each network once a fold; sequences stay whole.",
)
@device_option()
@with_settings("endocv", "hyperkvasir", "test_frames", "workspace", "splits")
def command(
    settings: Settings,
    names: Sequence[str],
    preset: str,
    resume: str | None,
    device: str,
    leave_out: str | None,
    folds: int | None,
    **overrides: Any,
) -> None:
    """Train networks and register their best checkpoints.

    Each network trains on its own with the recipe of the preset; any option overrides it. What
    was finished before an interruption stays registered, and --resume goes on with the rest.
    """
    from dataclasses import replace

    from harness import device as devices
    from harness.division import Division
    from harness.division import folds as divisions

    # Before torch allocates anything of size, or it does not take effect.
    devices.keep_memory()
    chosen = devices.choose(device)
    settings.require("endocv")
    if resume is not None:
        _resume(settings, resume, chosen)
        return
    configs, with_ensemble = _plan(names, preset, overrides)
    from harness.plans import Plan
    from harness.workspace import Workspace

    workspace = Workspace(settings.workspace)
    frames = _catalogue(settings)
    steps: list[TrainConfig | Division] = []
    for division in [Division(leave_out=leave_out)] if leave_out else divisions(folds):
        division.apply(frames)  # a centre that is not there is said before anything is entered
        steps += [
            replace(config, leave_out=division.leave_out, fold=division.fold) for config in configs
        ]
        steps += [division] if with_ensemble else []
    plan = Plan.new(workspace, steps)
    try:
        _work_off(workspace, plan, frames, chosen)
    finally:
        if not plan.runs:
            plan.finish()
    console.note("Measure them with: harness evaluate --split val")


def _plan(
    names: Sequence[str], preset: str, overrides: dict[str, Any]
) -> tuple[list[TrainConfig], bool]:
    """Every recipe, checked before the first training begins."""
    import models
    from harness import jobs
    from harness.config import resolve

    networks, with_ensemble = jobs.plan(names)
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


def _catalogue(settings: Settings) -> pd.DataFrame:
    from harness.data.catalogue import catalogue

    return catalogue(settings, needs=["endocv"])


def _work_off(workspace: Workspace, plan: Plan, frames: pd.DataFrame, device: torch.device) -> None:
    """Do what a plan has left: steps that have a finished run are passed over."""
    from harness import jobs
    from harness.config import TrainConfig
    from harness.division import Division

    finished: dict[Division, dict[str, Run]] = {}
    trained = 0
    for position, step in enumerate(plan.steps):
        if not isinstance(step, TrainConfig):
            _register_ensemble(workspace, finished.get(step, {}), step)
            continue
        trained += 1
        division = Division(leave_out=step.leave_out, fold=step.fold)
        run = _begun(workspace, plan.runs.get(position))
        if run is None or run.status != "finished":
            ready = _prepare(workspace, division.apply(frames), step)
            if run is None:
                run = jobs.start(workspace, step, ready)
                plan.begin(position, run)
            _refuse_other_frames(run, ready)
            title = f"{step.model} ({trained} of {plan.networks})"
            run = _train(workspace, run, ready, title, device)
        finished.setdefault(division, {})[step.model] = run
    plan.finish()


def _begun(workspace: Workspace, name: str | None) -> Run | None:
    """The run that a step became, if it was not removed since."""
    return next((run for run in workspace.runs() if run.run == name), None)


def _refuse_other_frames(run: Run, ready: Frames) -> None:
    if ready.data != run.row["data"]:
        raise UserError(
            f"{run.run} began on other training and validation frames than are there now; going "
            "on with these would not reach the same result. Start it anew without --resume."
        )


def _prepare(workspace: Workspace, frames: pd.DataFrame, config: TrainConfig) -> Frames:
    from harness import jobs

    with console.progress(f"Decoding frames at {config.size} pixels") as bar:
        return jobs.prepare(workspace, frames, config.size, progress=bar.update)


def _train(workspace: Workspace, run: Run, ready: Frames, title: str, device: torch.device) -> Run:
    from harness import jobs
    from harness.config import TrainConfig
    from harness.fit import Watcher

    config = TrainConfig.from_dict(run.settings)
    console.note(
        f"{title}: {len(ready.train)} training and {len(ready.val)} validation frames, "
        f"{config.epochs} epochs, {config.encoder}, seed {config.seed}, on {device} -> {run.run}"
    )
    with console.progress(title) as bar:

        def tell(epoch: Epoch) -> None:
            bar.update(detail=f"loss {epoch.loss:.3f}, IoU {epoch.iou:.3f}, F1 {epoch.f1:.3f}")
            console.note(_line(epoch, config.epochs))

        run = jobs.train(
            workspace, run, ready, device=device, watcher=Watcher(step=bar.update, epoch=tell)
        )
    console.success(
        f"{run.run}: best in epoch {run.row['best_epoch']}, validation IoU "
        f"{run.row['best_iou']:.3f}, F1 {run.row['best_f1']:.3f} (polyp, {config.size} pixels, "
        f"n = {len(ready.val)})"
    )
    return run


def _line(epoch: Epoch, epochs: int) -> str:
    return (
        f"  epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  {epoch.size} px  "
        f"loss {epoch.loss:.3f}  IoU {epoch.iou:.3f}  F1 {epoch.f1:.3f}  "
        f"{epoch.images_per_second:.0f} images/s  {epoch.waiting:.0%} waiting for data  "
        f"{console.duration(epoch.seconds)}{'  best' if epoch.best else ''}"
    )


def _resume(settings: Settings, name: str, device: torch.device) -> None:
    """Go on with a run, and with what was still to do after it."""
    from harness import plans
    from harness.config import TrainConfig
    from harness.division import Division
    from harness.workspace import Workspace

    workspace = Workspace(settings.workspace)
    named = None if name == NEWEST else workspace.run(name)
    if named is not None and named.status == "finished":
        console.note(f"{named.run} is finished already.")
        return
    plan = plans.unfinished(workspace, named.run if named else None)
    if plan is not None:
        _work_off(workspace, plan, _catalogue(settings), device)
        return
    run = named or next((run for run in workspace.runs() if run.status != "finished"), None)
    if run is None:
        console.note("Nothing to go on with: every run is finished.")
        return
    config = TrainConfig.from_dict(run.settings)
    ready = _prepare(workspace, Division.of(run).apply(_catalogue(settings)), config)
    _refuse_other_frames(run, ready)
    _train(workspace, run, ready, f"{config.model} (resumed)", device)


def _register_ensemble(
    workspace: Workspace, finished: Mapping[str, Run], division: Division
) -> None:
    import models
    from harness import ensemble

    names = models.get(ensemble.NAME).members
    members = ensemble.members_for(workspace, names, finished, division)
    run = ensemble.register(workspace, members)
    console.success(f"{run.run}: registered from the best checkpoints of {', '.join(members)}")
