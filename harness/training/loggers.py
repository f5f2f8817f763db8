"""Loggers of a run: TensorBoard, and MLflow where it is asked for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import mark_boundaries
from torch import Tensor

from harness.runs.workspace import Run
from harness.training.trainer import Trainer
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.data.cache import FrameCache
    from harness.training.history import Epoch

EXPERIMENT: Final = "harness"
TAG: Final = "harness.run"
_CURVES: Final = ("loss", "iou", "f1", "learning_rate", "images_per_second", "waiting")

SHOWN: Final = 4
TRUTH: Final = (0, 158, 115)
PREDICTION: Final = (230, 159, 0)
"""Green and orange of Okabe and Ito, which the colour-blind tell apart."""

_SIDE: Final = 256
_THRESHOLD: Final = 0.5


@contextmanager
def open_loggers(
    workspace: Path, run: Run, trainer: Trainer, val: FrameCache, passed: int, tracker: str
) -> Iterator[Callable[[Epoch], None]]:
    """Log a run's epochs to its ``tensorboard`` folder, and to MLflow where it is asked for.

    Args:
        workspace: The workspace's folder.
        run: The run.
        trainer: Whose network predicts the frames that are shown.
        val: Validation frames at network size.
        passed: Epochs done before.
        tracker: ``mlflow``, or empty.

    Yields:
        Callable: To be called with each epoch.
    """
    board = TensorBoard(run.folder / "tensorboard", trainer=trainer, val=val, passed=passed)
    with ExitStack() as stack:
        loggers: list[Callable[[Epoch], None]] = [stack.enter_context(board)]
        if tracker == "mlflow":
            loggers.append(stack.enter_context(Mlflow(workspace, run)))

        def log(epoch: Epoch) -> None:
            for logger in loggers:
                logger(epoch)

        yield log


class TensorBoard:
    """Writes a run's ``tensorboard`` folder; a context manager, so that nothing stays unwritten.

    Args:
        folder: Where the events go.
        trainer: Whose network predicts the frames that are shown.
        val: Validation frames at network size; those with the chosen class are shown.
        passed: Epochs done before; later ones of an earlier attempt are dropped.
    """

    def __init__(self, folder: Path, *, trainer: Trainer, val: FrameCache, passed: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.trainer = trainer
        self.images, self.masks = some_frames(val, channel=trainer.channel)
        self.writer = SummaryWriter(str(folder), purge_step=passed + 1)

    def __enter__(self) -> Self:
        """The logger itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Write what is left."""
        self.writer.close()

    def __call__(self, epoch: Epoch) -> None:
        """Log an epoch."""
        scalars = {
            "loss/train": epoch.loss,
            "validation/iou": epoch.iou,
            "validation/f1": epoch.f1,
            "learning_rate": epoch.learning_rate,
            "speed/images_per_second": epoch.images_per_second,
            "speed/waiting_for_data": epoch.waiting,
        }
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, epoch.epoch)
        if len(self.images):
            probabilities = self.trainer.probabilities(self.images)[:, self.trainer.channel]
            truth = self.masks == self.trainer.channel
            drawn = overlays(self.images, truth, probabilities)
            self.writer.add_images("validation/contours", drawn, epoch.epoch, dataformats="NHWC")


def some_frames(val: FrameCache, count: int = SHOWN, *, channel: int = 1) -> tuple[Tensor, Tensor]:
    """Validation frames with a class, evenly spread over all that have one.

    Args:
        val: Validation frames at network size.
        count: How many at most.
        channel: The class's index.

    Returns:
        tuple: Images (N, 3, S, S) uint8 and masks (N, S, S) uint8.
    """
    with_class = [place for place, mask in enumerate(val.masks) if (mask == channel).any()]
    places = np.unique(np.linspace(0, len(with_class) - 1, count).round().astype(int))
    chosen = [with_class[place] for place in places] if with_class else []
    images = torch.from_numpy(np.array(val.images[chosen])).permute(0, 3, 1, 2)
    return images, torch.from_numpy(np.array(val.masks[chosen]))


def overlays(images: Tensor, masks: Tensor, probabilities: Tensor) -> NDArray[np.uint8]:
    """Frames with the outlines of truth and prediction on them.

    Args:
        images: (N, 3, S, S) uint8.
        masks: (N, S, S), not 0 where the class is.
        probabilities: (N, S, S) float, of the class.

    Returns:
        NDArray: uint8 (N, 256, 256, 3), RGB.
    """
    predicted = (probabilities > _THRESHOLD).cpu().numpy()
    drawn = []
    for image, mask, prediction in zip(
        images.permute(0, 2, 3, 1).numpy(), masks.numpy(), predicted, strict=True
    ):
        canvas = _enlarged(image) / 255
        for area, colour in ((mask != 0, TRUTH), (prediction, PREDICTION)):
            outlined = _enlarged(area.astype(np.uint8))
            rgb = tuple(value / 255 for value in colour)
            canvas = mark_boundaries(canvas, outlined, color=rgb, mode="inner")
        drawn.append((canvas * 255).round().astype(np.uint8))
    return np.stack(drawn)


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    resized = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)


class Mlflow:
    """Logs a run to MLflow: its recipe, its curves, its best figures; an optional extra.

    A context manager, so that the MLflow run is ended. A run that is resumed goes on in the MLflow
    run that it had.

    Args:
        workspace: The workspace's folder.
        run: The run.

    Raises:
        UserError: If MLflow is not installed, or its store cannot be used.
    """

    def __init__(self, workspace: Path, run: Run) -> None:
        self._mlflow = import_mlflow()
        uri = mlflow_store(workspace)
        try:
            self._mlflow.set_tracking_uri(uri)
            self._mlflow.set_experiment(EXPERIMENT)
            self._start(run)
        except self._mlflow.exceptions.MlflowException as error:
            raise UserError(
                f"MLflow cannot use its store {uri}: {error}. Set MLFLOW_TRACKING_URI to another, "
                "or leave out --tracker."
            ) from error

    def _start(self, run: Run) -> None:
        """Start an MLflow run, or the one again that the run had."""
        query = f"tags.`{TAG}` = '{run.run}'"
        before = self._mlflow.search_runs(filter_string=query, output_format="list")
        if before:
            self._mlflow.start_run(run_id=before[0].info.run_id)
        else:
            self._mlflow.start_run(run_name=run.run, tags={TAG: run.run})
            self._mlflow.log_params(run.settings)
        logged = before[0].data.metrics if before else {}
        self._passed = int(logged.get("epoch", 0))

    def __enter__(self) -> Self:
        """The logger itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Log how the run ended."""
        failed = "KILLED" if isinstance(error, Interrupted) else "FAILED"
        self._mlflow.end_run("FINISHED" if error is None else failed)

    def __call__(self, epoch: Epoch) -> None:
        """Log an epoch; one that MLflow has already is passed over."""
        if epoch.epoch <= self._passed:
            return
        values = dataclasses.asdict(epoch)
        curves = {name: values[name] for name in ("epoch", *_CURVES)}
        if epoch.best:
            curves |= {f"best_{name}": values[name] for name in ("iou", "f1")}
        self._mlflow.log_metrics(curves, step=epoch.epoch)


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
