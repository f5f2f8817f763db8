"""From frames to masks at the frames' own sizes.

`evaluate`, `predict` and `submit` all take this path. Threads decode frames ahead of the network,
the network runs in a thread of its own, and its probability maps are brought to the frames' own
sizes, by the GPU or else in threads again. Each stage works a fixed number of frames ahead, so
memory does not grow with the number of frames.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.frames import DamagedError, find_unreadable, read_or, resize_image
from harness.inference.engine import Engine, current_device, on_cpu
from harness.inference.postprocess import (
    THRESHOLD,
    DecisionSize,
    resize_map,
    upsample_and_decide,
    upsample_and_decide_on_device,
)
from harness.inference.tta import average_views
from harness.inference.uncertainty import Uncertainty, measure
from harness.utils import device as devices
from harness.utils.device import Precision
from harness.utils.prefetch import few_ahead, map_ahead
from metrics.masks.classes import ONE, Classes
from metrics.masks.labels import Labels, mask_of
from metrics.masks.read import Mask
from metrics.utils.errors import Fault, FaultsError

if TYPE_CHECKING:
    from harness.runs.workspace import Run

_MILLISECONDS = 1000
_BATCHES_AHEAD = 2

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a network predicts.

    Attributes:
        device: Where it runs.
        precision: ``fp32``, the reference, or ``bf16``.
        batch_size: Frames a batch; it changes nothing but the speed.
        tta: Whether probabilities are the mean over flips and scales of the frame (test-time
            augmentation), at six times the work; ``None`` for what the run's recipe says, see
            :meth:`of`.
        rounding: The size at which pixels are decided, see ``harness.inference.postprocess``.
    """

    device: torch.device
    precision: Precision = "fp32"
    batch_size: int = 8
    tta: bool | None = None
    rounding: DecisionSize = "full-size"

    @property
    def settings(self) -> dict[str, Any]:
        """What the masks depend on."""
        return {"precision": self.precision, "tta": bool(self.tta), "rounding": self.rounding}

    def of(self, run: Run) -> Inference:
        """The same, with what is left to the run's recipe filled in."""
        return self if self.tta is not None else dataclasses.replace(self, tta=run.tta)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A network's output for one frame.

    Attributes:
        image: The frame's file, or its name.
        probabilities: float32 (K, S, S) of the K foreground classes, at the network's size.
        labels: Each pixel's class (H, W) at the frame's own size, see
            :func:`harness.inference.postprocess.argmax_labels`.
        classes: What the labels mean.
        latency_ms: Milliseconds from the file to the mask: decoding, the frame's share of its
            batch's time in the network, and resizing. A GPU's warm-up is not counted.
        uncertainty: How far the members disagree, where the predictor was asked for it.
    """

    image: Path
    probabilities: NDArray[np.float32]
    labels: Labels
    classes: Classes
    latency_ms: float
    uncertainty: Uncertainty | None = None

    @property
    def mask(self) -> Mask:
        """The chosen class's pixels, bool (H, W)."""
        return mask_of(self.labels, self.classes.channel)


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    image: Path
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class _Forwarded:
    frame: _Decoded
    probabilities: NDArray[np.float32]
    members: NDArray[np.float32]
    labels: Labels | None
    milliseconds: float


class Predictor:
    """A network ready to predict.

    On a GPU it predicts a black frame before the first one, untimed: the first batch of each shape
    chooses kernels and records a CUDA graph, which no later batch does. A CPU gains nothing from
    it.

    Args:
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities (N, C, S, S) out.
        size: Side of the square network input, in pixels.
        inference: How it predicts.
        uncertainty: Whether predictions say how far the members of an ensemble disagree.
        classes: What the network tells apart.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        size: int,
        inference: Inference,
        uncertainty: bool = False,
        classes: Classes = ONE,
    ) -> None:
        self.engine = Engine(
            network,
            device=inference.device,
            precision=inference.precision,
            batch_size=inference.batch_size,
            member_class=classes.channel if uncertainty else 0,
        )
        self.classes = classes
        self.size = size
        self.inference = inference
        self._is_warm = self.engine.device.type == "cpu"

    def predict(
        self, images: Sequence[Path], *, on_fault: Callable[[Fault], object] | None = None
    ) -> Iterator[Prediction]:
        """Predict frames in their order.

        They are read while the network runs. ``on_fault`` is called from several threads for each
        frame that cannot be read, which is then left out; without it such a frame ends the
        prediction.

        Raises:
            FaultsError: Frames cannot be read, all of them at once.
        """

        def read(image: Path) -> tuple[Path, NDArray[np.uint8]] | None:
            pixels = read_or(image, on_fault)
            return None if pixels is None else (image, pixels)

        try:
            yield from self._predict(images, read)
        except DamagedError as error:
            raise FaultsError(find_unreadable(images), "frames cannot be read") from error

    def predict_pixels(
        self, frames: Iterable[tuple[Path, NDArray[np.uint8]]]
    ) -> Iterator[Prediction]:
        """Predict named frames that are decoded already, uint8 (H, W, 3) RGB, in their order."""
        return self._predict(frames, lambda frame: frame)

    def _predict(
        self, items: Iterable[Item], read: Callable[[Item], tuple[Path, NDArray[np.uint8]] | None]
    ) -> Iterator[Prediction]:
        self._warm_up()
        ahead = max(2 * self.inference.batch_size, devices.cores())
        with (
            ThreadPoolExecutor(devices.cores(), thread_name_prefix="frames") as pool,
            ThreadPoolExecutor(1, thread_name_prefix="batches") as network,
        ):
            decoded = map_ahead(pool, lambda item: self._decode(item, read), items, ahead)
            whole = (frame for frame in decoded if frame is not None)
            batches = _batches(whole, self.inference.batch_size)
            forwarded = map_ahead(network, self._forward, batches, _BATCHES_AHEAD)
            frames = chain.from_iterable(forwarded)
            yield from map_ahead(pool, self._finish, frames, few_ahead())

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Run one batch through the network, with test-time augmentation where it is asked for.

        Pixels (N, 3, S, S) uint8 on any device give (N, C, S, S) float32 on the predictor's; where
        uncertainty is asked for, the chosen class's probabilities by each member follow after the
        classes'.
        """
        inputs = pixels.to(self.engine.device, non_blocking=True).float()
        return average_views(self.engine, inputs) if self.inference.tta else self.engine(inputs)

    def _decode(
        self, item: Item, read: Callable[[Item], tuple[Path, NDArray[np.uint8]] | None]
    ) -> _Decoded | None:
        start = time.perf_counter()
        if (found := read(item)) is None:
            return None
        image, frame = found
        pixels = resize_image(frame, self.size)
        return _Decoded(
            image=image,
            pixels=pixels,
            size=(frame.shape[0], frame.shape[1]),
            milliseconds=(time.perf_counter() - start) * _MILLISECONDS,
        )

    def _warm_up(self) -> None:
        """Predict a black frame, test-time augmentation and copies included."""
        if not self._is_warm:
            black = np.zeros((self.size, self.size, 3), np.uint8)
            frame = _Decoded(image=Path(), pixels=black, size=black.shape[:2], milliseconds=0.0)
            self._forward([frame])
            self._is_warm = True

    @torch.inference_mode()
    def _forward(self, batch: list[_Decoded]) -> list[_Forwarded]:
        """Foreground probabilities of each frame, on a GPU also its pixels' classes."""
        start = time.perf_counter()
        device = self.engine.device
        end = 1 + len(self.classes)
        with current_device(device):
            pixels = torch.from_numpy(np.stack([frame.pixels for frame in batch]))
            pixels = pixels.pin_memory() if device.type == "cuda" else pixels
            probabilities = self.probabilities(pixels.permute(0, 3, 1, 2))
            foreground = probabilities[:, 1:end].contiguous()
            decided = [
                upsample_and_decide_on_device(maps, frame.size, self.inference.rounding)
                for maps, frame in zip(foreground, batch, strict=True)
                if device.type != "cpu"
            ]
            small, members, *full = on_cpu([foreground, probabilities[:, end:], *decided])
        labels_of: list[Labels | None] = [*full, *[None] * (len(batch) - len(full))]
        spent = (time.perf_counter() - start) * _MILLISECONDS / len(batch)
        return [
            _Forwarded(
                frame=frame, probabilities=maps, members=each, labels=labels, milliseconds=spent
            )
            for frame, maps, each, labels in zip(batch, small, members, labels_of, strict=True)
        ]

    def _finish(self, forwarded: _Forwarded) -> Prediction:
        """Bring probability maps to the frame's own size and decide, if a GPU has not."""
        start = time.perf_counter()
        frame, labels = forwarded.frame, forwarded.labels
        if labels is None:
            labels = upsample_and_decide(
                forwarded.probabilities, frame.size, self.inference.rounding
            )
        height, width = frame.size
        members = [resize_map(one, height=height, width=width) for one in forwarded.members]
        uncertainty = measure(members, THRESHOLD) if members else None
        spent = (time.perf_counter() - start) * _MILLISECONDS
        return Prediction(
            image=frame.image,
            probabilities=forwarded.probabilities,
            labels=labels,
            classes=self.classes,
            latency_ms=frame.milliseconds + forwarded.milliseconds + spent,
            uncertainty=uncertainty,
        )


def _batches(decoded: Iterator[_Decoded], size: int) -> Iterator[list[_Decoded]]:
    while batch := list(islice(decoded, size)):
        yield batch
