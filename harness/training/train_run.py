"""Train one run in its folder: decode its frames, build network, data and trainer."""

from __future__ import annotations

import dataclasses
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

import models
from harness.config.training import TrainConfig
from harness.data import cache
from harness.data.catalogue import of_split
from harness.data.loader import BatchLoader, workers_that_fit
from harness.runs import initial_weights as initial
from harness.runs.lock import lock_run
from harness.runs.network import build, normalisation
from harness.runs.run import Run, log, write_end, write_run_json
from harness.runs.workspace import Workspace
from harness.training import loop
from harness.training.checks import batch_fault
from harness.training.distributed import SINGLE, ProcessGroup, is_lost_peer
from harness.training.history import Callbacks, Epoch, epoch_line
from harness.training.loggers import open_loggers
from harness.training.teacher import load_teacher
from harness.training.trainer import Trainer
from harness.utils import device as devices
from harness.utils.signals import default_signals
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import remove_stale_partials

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """Where and how a run trains; it does not change the weights that the run ends with.

    Attributes:
        device: The network's device.
        save_every_s: Seconds between two writings of what a resumed run needs.
        group: The processes that share the work.
        tracker: ``mlflow`` to log to MLflow too; empty for TensorBoard only.
        side_by_side: Runs that train on this machine at once and share its cores.
        graphs: Whether a GPU's steps are recorded as CUDA graphs.
        workers: Processes that augment, in place of the recipe's; ``None`` for the recipe's.
    """

    device: torch.device
    save_every_s: float = loop.SAVE_EVERY_S
    group: ProcessGroup = SINGLE
    tracker: str = ""
    side_by_side: int = 1
    graphs: bool = True
    workers: int | None = None

    @property
    def trainings(self) -> int:
        """Processes that train on this machine at once."""
        return self.side_by_side * self.group.on_machine


@dataclass(frozen=True, kw_only=True)
class TrainingFrames:
    """The frames of a training, decoded once at network size: a cache for each of its splits."""

    train: cache.FrameCache
    val: cache.FrameCache

    @property
    def data(self) -> str:
        """Fingerprint of the training and of the validation frames, by their contents."""
        return f"{self.train.contents}+{self.val.contents}"


def prepare(
    workspace: Workspace,
    frames: pd.DataFrame,
    size: int,
    *,
    classes: Classes = ONE,
    progress: Callable[[int, int], object] = lambda _done, _total: None,
) -> TrainingFrames:
    """Decode the training and validation frames, or find them decoded already.

    ``progress`` is called with the frames done and in all, over both splits.

    Raises:
        UserError: If a split is empty.
        FaultsError: If frames or masks cannot be used, all of them in both splits.
    """
    train, val = of_split(frames, "train"), of_split(frames, "val")
    folder = workspace.root / "cache"
    total = len(train) + len(val)

    caches: list[cache.FrameCache] = []
    faults: list[Fault] = []
    for part, before in ((train, 0), (val, len(train))):

        def advance(done: int, _all: int, before: int = before) -> None:
            progress(before + done, total)

        try:
            caches.append(
                cache.FrameCache.build(part, size, folder, progress=advance, classes=classes)
            )
        except FaultsError as error:
            faults += error.faults
    if faults:
        raise FaultsError(faults, f"frames cannot be used, of {total} in all")
    return TrainingFrames(train=caches[0], val=caches[1])


def train(
    workspace: Workspace,
    run: Run,
    frames: TrainingFrames,
    setup: TrainingSetup,
    *,
    callbacks: Callbacks,
) -> Run:
    """Train a run to its end, from its first step or from where it stopped.

    Only the run's folder is written, not the register; see ``Workspace.sync_run``. The main process
    of a group calls this, the others call :func:`train_worker`.

    Raises:
        Interrupted: On a signal to stop.
        UserError: If another process trains the run, the weights cannot be had, batches are too
            small, the loss is no number, or the disk is full.
    """
    with lock_run(run), _noting_failure(run):
        run = _with_precision(run.reread(), setup.device)
        log(run, f"begun by process {os.getpid()} of {socket.gethostname()} on {setup.device}")
        remove_stale_partials(run.folder)  # a killed process left half a state there
        setup.group.share((workspace, run, frames))
        training = _build(workspace, run, frames, setup, callbacks)
        with open_loggers(
            workspace.root, run, training.trainer, frames.val, training.epoch, setup.tracker
        ) as loggers:

            def epoch(done: Epoch) -> None:
                loggers(done)
                log(run, epoch_line(done, run.settings["epochs"]))
                callbacks.epoch(done)

            training.callbacks = dataclasses.replace(callbacks, epoch=epoch)
            training()
            log(run, "finished")
    return run.reread()


@contextmanager
def _noting_failure(run: Run) -> Iterator[None]:
    """Note that a run ended where the loop could not: before its first step, say."""
    try:
        yield
    except BaseException as error:
        with suppress(UserError):
            if run.reread().status == "running":
                write_end(run, "failed" if isinstance(error, Exception) else "interrupted")
        raise


def _with_precision(run: Run, device: torch.device) -> Run:
    """The run with the precision that ``auto`` means on the device, which it keeps from now on."""
    config = TrainConfig.from_dict(run.settings)
    if config.precision != "auto":
        return run
    config = dataclasses.replace(config, precision=devices.precision("auto", device))
    write_run_json(run, settings=config.to_dict())
    return run.reread()


def train_worker(setup: TrainingSetup) -> None:
    """Train along with the main process of a group until it has nothing left to train.

    The main process gives the messages that concern all; where it is lost, this one ends with
    status 1.
    """
    try:
        while True:
            with default_signals():  # while waiting, a signal ends this process at once
                job: tuple[Workspace, Run, TrainingFrames] | None = setup.group.share()
            if job is None:
                return
            workspace, run, frames = job
            _build(workspace, run, frames, setup, Callbacks())()
    except RuntimeError as error:
        if not is_lost_peer(error):
            raise
        raise SystemExit(1) from error


def _build(
    workspace: Workspace,
    run: Run,
    frames: TrainingFrames,
    setup: TrainingSetup,
    callbacks: Callbacks,
) -> loop.TrainingLoop:
    """Build network, data and trainer, and restore the state of a run that was interrupted."""
    config = TrainConfig.from_dict(run.settings)
    group, device = setup.group, setup.device
    if fault := batch_fault(config, len(frames.train), device=device, group=group):
        raise group.only_main_reports(UserError(fault))
    devices.make_current(device)
    torch.manual_seed(config.seed)
    network = _network(workspace, run, config, group)
    batches = _batches(config, frames, setup)
    trainer = Trainer(
        config,
        network,
        device=device,
        normalisation=normalisation(config),
        steps=batches.steps * config.epochs,
        group=group,
        teacher=load_teacher(workspace, config, device),
        graphs=setup.graphs,
    )
    return loop.TrainingLoop(
        run,
        config,
        trainer=trainer,
        batches=batches,
        callbacks=callbacks,
        save_every_s=setup.save_every_s,
    )


def _network(workspace: Workspace, run: Run, config: TrainConfig, group: ProcessGroup) -> nn.Module:
    """Build the network, and note its size and where its encoder's weights came from."""
    # With a state to go on from, the encoder's first weights are not needed again; and a group
    # starts from those of its main process.
    pretrained = group.is_main and not run.last.exists()
    network = build(config, weights=pretrained)
    if pretrained:
        origin = models.origin(config.encoder, config.encoder_weights)
        write_run_json(run, encoder_weights=origin)
        if config.init:
            initial.load(workspace, config, network)
    if group.is_main:
        parameters = sum(p.numel() for p in network.parameters())
        write_run_json(run, parameters=parameters, status="running")
    return network


def _batches(config: TrainConfig, frames: TrainingFrames, setup: TrainingSetup) -> BatchLoader:
    """The run's batches, with fewer workers where shared memory does not hold those of all."""
    wanted = config.workers if setup.workers is None else setup.workers
    if wanted is None:
        wanted = devices.workers(setup.device, trainings=setup.trainings)
    workers = workers_that_fit(wanted, config, trainings=setup.trainings)
    if workers < wanted:
        warnings.warn(
            f"shared memory (/dev/shm) is too small for the batches of {wanted} workers; training "
            f"goes on with {workers}, to the same result but perhaps slower. A container gets more "
            "by 'docker run --shm-size 2g'.",
            stacklevel=2,
        )
    return BatchLoader(
        dataclasses.replace(config, workers=workers),
        frames.train,
        frames.val,
        pin=setup.device.type == "cuda",
        rank=setup.group.rank,
        world_size=setup.group.world_size,
    )
