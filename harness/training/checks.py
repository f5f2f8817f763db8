"""What a recipe needs to be trained, checked before the first training begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import models
from harness.config.training import SMALLEST_SIZE, TrainConfig
from harness.data.augment import create as augmentations
from harness.data.cache import FrameCache
from harness.data.catalogue import of_split
from harness.data.cross_validation import SplitVariant
from harness.runs.network import build, options
from harness.training import optimiser, schedules
from harness.training.distributed import ProcessGroup
from harness.training.queue import Step, variant_of
from harness.utils.command_line import command_line
from metrics.masks.classes import Classes
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.validation import suggest
from models import losses
from models.weights import source

if TYPE_CHECKING:
    import pandas as pd


def check_names(config: TrainConfig) -> None:
    """Refuse a schedule, loss, optimiser or augmentation that is not in its table.

    Raises:
        FaultsError: If any is unknown, all at once, with the nearest names.
    """
    tables = {
        "schedule": schedules.SCHEDULES,
        "loss": losses.LOSSES,
        "optimiser": optimiser.OPTIMISERS,
        "augmentation": augmentations.AUGMENTATIONS,
    }
    faults = [
        Fault(path="", message=f"unknown {kind} {getattr(config, kind)!r}; "
              f"{suggest(getattr(config, kind), table)}")
        for kind, table in tables.items()
        if getattr(config, kind) not in table
    ]  # fmt: skip
    if faults:
        raise FaultsError(faults, "the recipe cannot be trained")


def check_networks(configs: Sequence[TrainConfig]) -> None:
    """Refuse networks that do not work on their encoder or at their size, and a file of weights.

    The recipes differ by their model alone, so the first one's encoder tells whether a file of
    encoder weights fits. Networks of the paper are only built, on torch's device ``meta``: they
    work at any size.

    Raises:
        FaultsError: If any does not, all of them.
        ModelError: If a file of encoder weights does not fit.
    """
    faults = []
    for config in configs:
        try:
            if config.model in models.PAPER_NETWORKS:
                models.outline(config.model, **options(config))
            else:
                models.try_out(config.model, size=config.size, **options(config))
        except models.ModelError as error:
            faults.append(Fault(path="", message=error.message))
    if faults:
        raise FaultsError(faults, "networks cannot be trained")
    if configs and isinstance(source(configs[0].encoder_weights), Path):
        build(configs[0])


def check_batches(
    steps: Sequence[Step],
    frames: pd.DataFrame,
    *,
    device: torch.device,
    group: ProcessGroup,
) -> None:
    """Refuse recipes with batches that are too small for batch norm, or that a group cannot train.

    Raises:
        UserError: If a split has no training frames, or several processes would have a teacher.
        FaultsError: If batches are too small, for each model.
    """
    counts: dict[SplitVariant, int] = {}
    found = []
    networks = [step for step in steps if isinstance(step, TrainConfig)]
    if not group.is_single and any(step.teacher for step in networks):
        raise UserError("a network with a --teacher trains in one process; leave out torchrun")
    for step in networks:
        variant = variant_of(step)
        if variant not in counts:
            counts[variant] = len(of_split(variant.apply(frames), "train"))
        found.append(batch_fault(step, counts[variant], device=device, group=group))
    faults = [Fault(path="", message=fault) for fault in dict.fromkeys(found) if fault]
    if faults:
        raise FaultsError(faults, "batches are too small")


def check_polyps(train: FrameCache, val: FrameCache, classes: Classes) -> str:
    """Refuse training frames without a pixel of the chosen class.

    Returns:
        str: A warning where the validation frames have none; else empty.

    Raises:
        UserError: If the training frames have none.
    """
    name, index = classes.chosen, classes.channel
    if not train.holds(index):
        raise UserError(
            f"none of the {len(train)} masks of the training split holds a pixel of {name}, so "
            f"there is nothing to learn. '{command_line('data check')}' shows what the masks hold."
        )
    if val.holds(index):
        return ""
    return (
        f"None of the {len(val)} masks of the validation split holds a pixel of {name}: the best "
        "checkpoint is chosen without measuring any."
    )


def batch_fault(
    config: TrainConfig, frames: int, *, device: torch.device, group: ProcessGroup
) -> str:
    """Why the smallest batch of an epoch cannot be trained on; empty where it can.

    Batch norm cannot normalise a single value per channel. A network has such values where it
    pools the whole frame to one pixel (the DeepLabs, some encoders), or where the frame is as small
    as the encoder's stride; there a batch needs two frames.

    ``frames`` is the number of training frames.
    """
    needed = models.smallest_batch(config.model, config.nodes)
    # On GPUs batch norm measures the shares of all processes together.
    joint = group.is_single or device.type == "cuda"
    smallest = _smallest_batch(frames, config.batch_size)
    if smallest < 2 * (1 if joint else group.world_size) and _fails_on_one_frame(config):
        needed = max(needed, 2)
    needed = max(needed, group.world_size) if joint else needed * group.world_size
    if smallest >= needed:
        return ""
    by = "" if group.is_single else f" by {group.world_size} processes"
    fault = (
        f"{config.model} at {config.input_size(0)} pixels can be trained{by} on batches of "
        f"{needed} frames or more, but with --batch-size {config.batch_size} the smallest batch "
        f"of the {frames} training frames has {smallest}"
    )
    larger = range(config.batch_size + 1, frames + 1)
    enough = next((b for b in larger if _smallest_batch(frames, b) >= needed), None)
    if enough is None:
        larger_size = ", a larger --size" if config.input_size(0) == SMALLEST_SIZE else ""
        return f"{fault}. Take more frames{larger_size} or another model."
    return f"{fault}. Take --batch-size {enough}."


def _fails_on_one_frame(config: TrainConfig) -> bool:
    """Whether batch norm meets a single value per channel where it is trained on one frame.

    It is tried on torch's device ``meta``, where tensors have shapes and no content.
    """
    size = config.input_size(0)  # the smallest
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = build(config, weights=False).train()
        network(torch.empty(1, 3, size, size, device="meta"))
    except ValueError as error:
        return "more than 1 value per channel" in str(error)
    except (RuntimeError, TypeError):  # a plug-in's, say, that cannot be tried without content
        return size == SMALLEST_SIZE
    return False


def _smallest_batch(frames: int, batch_size: int) -> int:
    """Frames of the smallest batch, as ``loader.batches`` divides them: evenly."""
    return frames // -(-frames // batch_size)
