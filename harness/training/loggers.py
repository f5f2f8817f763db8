"""Loggers of a run: TensorBoard, and MLflow where it is asked for."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import mark_boundaries
from torch import Tensor

from harness.runs.run import Run
from harness.training.history import Epoch
from harness.training.trainer import Trainer
from harness.utils.folders import lock
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.data.cache import FrameCache

Log = Callable[[Epoch], None]

EXPERIMENT: Final = "harness"
TAG: Final = "harness.run"
_CURVES: Final = {
    "loss": "loss/train",
    "iou": "validation/iou",
    "f1": "validation/f1",
    "learning_rate": "learning_rate",
    "images_per_second": "speed/images_per_second",
    "waiting": "speed/waiting_for_data",
}
"""Figures of an epoch that are logged, and their names in TensorBoard."""

SHOWN: Final = 4
TRUTH: Final = (0, 158, 115)
PREDICTION: Final = (230, 159, 0)
"""Green and orange of Okabe and Ito, which the colour-blind tell apart."""

_SIDE: Final = 256


@contextmanager
def open_loggers(
    workspace: Path, run: Run, trainer: Trainer, val: FrameCache, passed: int, tracker: str
) -> Iterator[Log]:
    """Log a run's epochs to its ``tensorboard`` folder, and to MLflow if ``tracker`` says so."""
    with ExitStack() as stack:
        board = log_to_tensorboard(run.folder / "tensorboard", trainer, val, passed)
        loggers = [stack.enter_context(board)]
        if tracker == "mlflow":
            loggers.append(stack.enter_context(log_to_mlflow(workspace, run)))

        def log(epoch: Epoch) -> None:
            for logger in loggers:
                logger(epoch)

        yield log


@contextmanager
def log_to_tensorboard(
    folder: Path, trainer: Trainer, val: FrameCache, passed: int = 0
) -> Iterator[Log]:
    """Write a run's curves, and its predictions for some validation frames, for TensorBoard.

    ``passed`` epochs were done before; later ones of an earlier attempt are dropped.
    """
    from torch.utils.tensorboard import SummaryWriter

    images, masks = some_frames(val, channel=trainer.channel)
    with SummaryWriter(str(folder), purge_step=passed + 1) as writer:

        def log(epoch: Epoch) -> None:
            for name, tag in _CURVES.items():
                writer.add_scalar(tag, getattr(epoch, name), epoch.epoch)
            if len(images):
                predicted = trainer.probabilities(images).argmax(dim=1).cpu()
                drawn = overlays(images, masks == trainer.channel, predicted == trainer.channel)
                writer.add_images("validation/contours", drawn, epoch.epoch, dataformats="NHWC")

        yield log


def some_frames(val: FrameCache, count: int = SHOWN, *, channel: int = 1) -> tuple[Tensor, Tensor]:
    """At most ``count`` validation frames with a class, evenly spread over all that have one.

    Returns:
        tuple: Images (N, 3, S, S) uint8 and masks (N, S, S) uint8.
    """
    with_class = [place for place, mask in enumerate(val.masks) if (mask == channel).any()]
    places = np.unique(np.linspace(0, len(with_class) - 1, count).round().astype(int))
    chosen = [with_class[place] for place in places] if with_class else []
    images = torch.from_numpy(np.array(val.images[chosen])).permute(0, 3, 1, 2)
    return images, torch.from_numpy(np.array(val.masks[chosen]))


def overlays(images: Tensor, masks: Tensor, predicted: Tensor) -> NDArray[np.uint8]:
    """Frames with the outlines of truth and prediction on them, RGB uint8 (N, 256, 256, 3).

    Images are (N, 3, S, S) uint8; masks and predicted (N, S, S), not 0 where the class is.
    """
    drawn = []
    for image, mask, prediction in zip(
        images.permute(0, 2, 3, 1).numpy(), masks.numpy(), predicted.numpy(), strict=True
    ):
        canvas = _enlarged(image) / 255
        for area, colour in ((mask, TRUTH), (prediction, PREDICTION)):
            outlined = _enlarged((area != 0).astype(np.uint8))
            rgb = tuple(value / 255 for value in colour)
            canvas = mark_boundaries(canvas, outlined, color=rgb, mode="inner")
        drawn.append((canvas * 255).round().astype(np.uint8))
    return np.stack(drawn)


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    resized = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)


@contextmanager
def log_to_mlflow(workspace: Path, run: Run) -> Iterator[Log]:
    """Log a run's recipe, curves and best figures to MLflow, an optional extra.

    A resumed run goes on in the MLflow run that it had; epochs that this has are passed over. What
    its store does not take once training has begun is warned of: history.csv has it, too.

    Raises:
        UserError: If MLflow is not installed, or its store cannot be used.
    """
    mlflow = import_mlflow()
    uri = mlflow_store(workspace)
    try:
        # Of networks that train side by side, only one may create the tables of a new store.
        with ExitStack() as held:
            lock(held, workspace / "mlflow.db", wait=True)
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment(EXPERIMENT)
            passed = _start(mlflow, run)
    except mlflow.exceptions.MlflowException as error:
        raise UserError(
            f"MLflow cannot use its store {uri}: {error}. Set MLFLOW_TRACKING_URI to another, "
            "or leave out --tracker."
        ) from error

    def log(epoch: Epoch) -> None:
        if epoch.epoch > passed:
            values = dataclasses.asdict(epoch)
            curves = {name: values[name] for name in ("epoch", *_CURVES)}
            if epoch.best:
                curves |= {f"best_{name}": values[name] for name in ("iou", "f1")}
            with _warned(mlflow, f"epoch {epoch.epoch}"):
                mlflow.log_metrics(curves, step=epoch.epoch)

    ended = "FAILED"
    try:
        yield log
        ended = "FINISHED"
    except Interrupted:
        ended = "KILLED"
        raise
    finally:
        with _warned(mlflow, f"that the run ended as {ended}"):
            mlflow.end_run(ended)


@contextmanager
def _warned(mlflow: Any, what: str) -> Iterator[None]:
    """Warn of what MLflow's store does not take, which must not end a training."""
    try:
        yield
    except mlflow.exceptions.MlflowException as error:
        warnings.warn(f"MLflow's store did not take {what}: {error}", stacklevel=4)


def _start(mlflow: Any, run: Run) -> int:
    """Start an MLflow run, or the one again that the run had; the epochs that it has."""
    query = f"tags.`{TAG}` = '{run.run}'"
    before = mlflow.search_runs(filter_string=query, output_format="list")
    if before:
        mlflow.start_run(run_id=before[0].info.run_id)
        return int(before[0].data.metrics.get("epoch", 0))
    mlflow.start_run(run_name=run.run, tags={TAG: run.run})
    mlflow.log_params(run.settings)
    return 0


def import_mlflow() -> Any:
    """MLflow's module.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import mlflow
    except ImportError as error:
        raise UserError(
            "--tracker mlflow needs MLflow, which is not installed here. Install it with: "
            "pip install 'harness[mlflow]'"
        ) from error
    return mlflow


def mlflow_store(workspace: Path) -> str:
    """The store of MLflow: ``MLFLOW_TRACKING_URI``, else a file of the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.absolute()}/mlflow.db"
