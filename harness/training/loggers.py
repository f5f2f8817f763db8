"""A run in TensorBoard: scalars of each epoch, and some validation frames with both contours."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.training.trainer import Trainer

if TYPE_CHECKING:
    from harness.data.cache import FrameCache
    from harness.training.history import Epoch

SHOWN: Final = 4
TRUTH: Final = (0, 158, 115)
PREDICTION: Final = (230, 159, 0)
"""Green and orange of Okabe and Ito, which the colour-blind tell apart."""

_SIDE: Final = 256
_THRESHOLD: Final = 0.5


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
        """The tracker itself."""
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
        """Enter an epoch."""
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
    """Frames with the contours of truth and prediction on them.

    Args:
        images: (N, 3, S, S) uint8.
        masks: (N, S, S), not 0 where the class is.
        probabilities: (N, S, S) float, of the class.

    Returns:
        NDArray: uint8 (N, 256, 256, 3), RGB.
    """
    drawn = []
    predicted = (probabilities > _THRESHOLD).cpu().numpy()
    for image, mask, prediction in zip(
        images.permute(0, 2, 3, 1).numpy(), masks.numpy(), predicted, strict=True
    ):
        canvas = _enlarged(np.ascontiguousarray(image))
        for area, colour in ((mask != 0, TRUTH), (prediction, PREDICTION)):
            outlines, _ = cv2.findContours(
                _enlarged(area.astype(np.uint8)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )
            cv2.drawContours(canvas, outlines, -1, colour, 1)
        drawn.append(canvas)
    return np.stack(drawn)


def _enlarged(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    resized = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.uint8)
