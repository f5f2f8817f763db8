"""From settings and a recipe to trained, registered runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.config.training import TrainConfig
from harness.data import cache
from harness.data.catalogue import of_split
from harness.data.loader import CachedFeed
from harness.runs.lock import lock_run
from harness.runs.network import build, normalisation
from harness.runs.workspace import Run, Workspace, write_run_json
from harness.training import loop
from harness.training.distributed import SINGLE, ProcessGroup, is_lost_peer
from harness.training.history import Callbacks, Epoch
from harness.training.loggers import TensorBoard
from harness.training.mlflow_tracking import Mlflow
from harness.training.trainer import Trainer
from harness.utils import device as devices
from harness.utils.signals import default_signals
from harness.utils.versions import versions
from metrics.masks.classes import ONE, Classes

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class TrainingSetup:
    """Where a run trains; it changes nothing of what the run becomes.

    Attributes:
        device: The network's device.
        save_every_s: Seconds between two writings of what a resumed run needs.
        group: The processes that share the work.
        tracker: ``mlflow`` to tell MLflow of the run as well; empty for TensorBoard alone.
        side_by_side: Runs that train on this machine at once and share its cores.
        graphs: Whether a GPU's steps are recorded as CUDA graphs.
    """

    device: torch.device
    save_every_s: float = loop.SAVE_EVERY_S
    group: ProcessGroup = SINGLE
    tracker: str = ""
    side_by_side: int = 1
    graphs: bool = True

    @property
    def trainings(self) -> int:
        """Processes that train on this machine at once."""
        return self.side_by_side * self.group.on_machine


@dataclass(frozen=True, kw_only=True)
class TrainingFrames:
    """The frames of a training, decoded once at network size.

    Attributes:
        train: Cache of the training frames.
        val: Cache of the validation frames.
    """

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

    Args:
        workspace: Whose ``cache`` folder holds the decoded frames.
        frames: A catalogue with its splits.
        size: Side of the square network input, in pixels.
        classes: What the masks' values mean.
        progress: Told the frames done and in all, over both splits.

    Raises:
        UserError: If a split is empty.
        FaultsError: If frames or masks cannot be read, all of them.
    """
    train, val = of_split(frames, "train"), of_split(frames, "val")
    folder = workspace.root / "cache"
    total = len(train) + len(val)

    def decoded(of: pd.DataFrame, before: int) -> cache.FrameCache:
        def tell(done: int, _all: int) -> None:
            progress(before + done, total)

        return cache.FrameCache.build(of, size, folder, progress=tell, classes=classes)

    return TrainingFrames(train=decoded(train, 0), val=decoded(val, len(train)))


def start(
    workspace: Workspace, config: TrainConfig, frames: TrainingFrames, setup: TrainingSetup
) -> Run:
    """Enter a run of a recipe as running, with the precision that ``auto`` means on the machine."""
    precision = devices.precision(config.precision, setup.device)
    config = dataclasses.replace(config, precision=precision)
    return workspace.new_run(
        config.model,
        settings=config.to_dict(),
        versions=versions(),
        seed=config.seed,
        data=frames.data,
    )


def train(
    workspace: Workspace,
    run: Run,
    frames: TrainingFrames,
    setup: TrainingSetup,
    *,
    callbacks: Callbacks,
) -> Run:
    """Train a run to its end, from its first step or from where it stopped.

    A team's leader calls this, and the others :func:`train_worker`.

    Args:
        workspace: Where the run is registered.
        run: A run of :func:`start`, or one that was interrupted.
        frames: Its frames at its network size.
        setup: Where and how it trains.
        callbacks: Callbacks.

    Returns:
        Run: The run, finished.

    Raises:
        Interrupted: On SIGINT or SIGTERM.
        UserError: If another process trains the run, the weights cannot be had, the loss is no
            number, or the disk is full.
    """
    with lock_run(run), ExitStack() as open_trackers:
        setup.group.share((workspace, run, frames))
        fitting = _fit(workspace, run, frames, setup, callbacks)
        board = TensorBoard(
            run.folder / "tensorboard",
            trainer=fitting.trainer,
            val=frames.val,
            passed=fitting.epoch,
        )
        trackers: list[Callable[[Epoch], None]] = [open_trackers.enter_context(board)]
        if setup.tracker == "mlflow":
            trackers.append(open_trackers.enter_context(Mlflow(workspace.root, run)))

        def tell(epoch: Epoch) -> None:
            for tracker in trackers:
                tracker(epoch)
            callbacks.epoch(epoch)

        fitting.callbacks = dataclasses.replace(callbacks, epoch=tell)
        fitting()
    run = workspace.run(run.run)
    write_run_json(run)
    return run


def train_worker(setup: TrainingSetup) -> None:
    """Train along with a team's leader until it has nothing left to train.

    Whatever concerns all is said by the leader; without it this process ends, with status 1.
    """
    try:
        while job := _next(setup.group):
            # The leader's workspace as it is: opening another would write to the register.
            workspace, run, frames = job
            _fit(workspace, run, frames, setup, Callbacks())()
    except RuntimeError as error:
        if not is_lost_peer(error):
            raise
        raise SystemExit(1) from error


def _next(group: ProcessGroup) -> tuple[Workspace, Run, TrainingFrames] | None:
    """The leader's next run; waiting for it, a signal ends this process at once."""
    with default_signals():
        return group.share()


def _fit(
    workspace: Workspace,
    run: Run,
    frames: TrainingFrames,
    setup: TrainingSetup,
    callbacks: Callbacks,
) -> loop.TrainingLoop:
    """Everything that a training needs, where it stands."""
    config = TrainConfig.from_dict(run.settings)
    if config.workers is None:
        workers = devices.workers(setup.device, trainings=setup.trainings)
        config = dataclasses.replace(config, workers=workers)
    devices.make_current(setup.device)
    torch.manual_seed(config.seed)
    # With a state to go on from, the encoder's first weights are not needed again; and a team
    # starts from the leader's.
    network = build(config, weights=setup.group.is_main and not run.last.exists())
    if setup.group.is_main:
        parameters = sum(p.numel() for p in network.parameters())
        workspace.update_run(run.run, parameters=parameters, status="running")
    feed = CachedFeed(
        config,
        frames.train,
        frames.val,
        pin=setup.device.type == "cuda",
        rank=setup.group.rank,
        world_size=setup.group.world_size,
    )
    trainer = Trainer(
        config,
        network,
        device=setup.device,
        normalisation=normalisation(config),
        steps=feed.steps * config.epochs,
        group=setup.group,
        graphs=setup.graphs,
    )
    return loop.TrainingLoop(
        workspace,
        run,
        config,
        trainer=trainer,
        feed=feed,
        callbacks=callbacks,
        save_every_s=setup.save_every_s,
    )
