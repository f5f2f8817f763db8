"""Frames in, masks at the frames' own sizes out.

One path serves `evaluate`, `predict` and `submit`: frames are decoded ahead of the network in
threads, go through it in batches, and their probability maps are brought back to the frames' own
sizes behind it, in threads again. Memory stays flat however many frames there are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness import device as devices
from harness.config import Precision
from harness.data.frames import read_image, resize_image
from harness.parallel import map_ahead
from harness.uncertainty import Uncertainty, measure

POLYP = 1
THRESHOLD = 0.5  # averaged, then rounded to 0 or 1 (paper, Section 2.2); a tie is background
FLIPS: Final = ((), (3,), (2,), (2, 3))
"""Axes that test-time augmentation flips: none, left and right, up and down, both."""

SCALES: Final = (0.75, 1.25)
"""Further sizes of its input, as shares of the network's own, to the nearest multiple of 32."""

_MULTIPLE = 32
_MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a network predicts.

    Attributes:
        device: Where it runs.
        precision: ``fp32``, the reference, or ``bf16``.
        batch_size: Frames a batch; it changes nothing but the speed.
        tta: Whether probabilities are the mean over flips and scales of the frame (test-time
            augmentation), at six times the work.
    """

    device: torch.device
    precision: Precision = "fp32"
    batch_size: int = 8
    tta: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What the masks depend on."""
        return {"precision": self.precision, "tta": self.tta}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a network says of one frame.

    Attributes:
        image: The frame's file.
        probability: float32 (H, W) at the frame's own size, of the polyp class.
        mask: bool (H, W), true where the probability is above one half.
        latency_ms: From the file to the mask: decoding, the frame's share of its batch through
            the network, and the way back to its own size.
        uncertainty: How far the members disagree, where the network gives them as well (see
            ``harness.uncertainty.WithMembers``), else ``None``.
    """

    image: Path
    probability: NDArray[np.float32]
    mask: NDArray[np.bool_]
    latency_ms: float
    uncertainty: Uncertainty | None = None


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    image: Path
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class _Forwarded:
    frame: _Decoded
    probability: NDArray[np.float32]
    members: NDArray[np.float32]
    milliseconds: float


class Predictor:
    """A network ready to predict.

    Args:
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities (N, C, S, S) out, with
            the polyp probabilities of an ensemble's members behind those of the two classes.
        size: Side of the square network input, in pixels.
        inference: How.
    """

    def __init__(self, network: nn.Module, *, size: int, inference: Inference) -> None:
        self.network = network.to(inference.device).to(memory_format=torch.channels_last).eval()
        self.size = size
        self.inference = inference
        self.batch_size = inference.batch_size

    def predict(self, images: Iterable[Path]) -> Iterator[Prediction]:
        """Predict frames in their order.

        Args:
            images: The frames' files; read lazily.

        Yields:
            Prediction: One a frame, in the order given.

        Raises:
            UserError: At the first frame that cannot be read.
        """
        ahead = 2 * self.batch_size
        with ThreadPoolExecutor(devices.cores(), thread_name_prefix="frames") as pool:
            decoded = map_ahead(pool, self._decode, images, ahead)
            yield from map_ahead(pool, _finish, self._forward(decoded), ahead)

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """One batch through the network.

        Args:
            pixels: (N, 3, S, S) uint8 on any device.

        Returns:
            Tensor: (N, C, S, S) float32 on the predictor's device.
        """
        inputs = pixels.to(self.inference.device, non_blocking=True).float()
        if not self.inference.tta:
            return self._through(inputs)
        total = torch.zeros(())
        for flips in FLIPS:
            total = self._through(inputs.flip(flips)).flip(flips) + total.to(inputs.device)
        for scale in SCALES:
            side = max(_MULTIPLE, round(self.size * scale / _MULTIPLE) * _MULTIPLE)
            scaled = functional.interpolate(inputs, (side, side), mode="bilinear", antialias=True)
            total += functional.interpolate(
                self._through(scaled), inputs.shape[2:], mode="bilinear", antialias=True
            )
        return total / (len(FLIPS) + len(SCALES))

    def _through(self, inputs: Tensor) -> Tensor:
        with devices.autocast(self.inference.device, self.inference.precision):
            output: Tensor = self.network(inputs.contiguous(memory_format=torch.channels_last))
        return output.float()

    def _decode(self, image: Path) -> _Decoded:
        start = time.perf_counter()
        frame = read_image(image)
        pixels = resize_image(frame, self.size)
        return _Decoded(
            image=image,
            pixels=pixels,
            size=(frame.shape[0], frame.shape[1]),
            milliseconds=(time.perf_counter() - start) * _MILLISECONDS,
        )

    def _forward(self, decoded: Iterator[_Decoded]) -> Iterator[_Forwarded]:
        """Each frame with its polyp probabilities and its share of its batch's time."""
        while batch := list(islice(decoded, self.batch_size)):
            start = time.perf_counter()
            pixels = torch.from_numpy(np.stack([frame.pixels for frame in batch]))
            probabilities = self.probabilities(pixels.permute(0, 3, 1, 2))[:, POLYP:].cpu().numpy()
            spent = (time.perf_counter() - start) * _MILLISECONDS / len(batch)
            for frame, probability in zip(batch, probabilities, strict=True):
                yield _Forwarded(
                    frame=frame,
                    probability=probability[0],
                    members=probability[1:],
                    milliseconds=spent,
                )


def _finish(forwarded: _Forwarded) -> Prediction:
    """Bring a probability map to the frame's own size and round it."""
    start = time.perf_counter()
    frame = forwarded.frame
    height, width = frame.size
    full = resize_map(forwarded.probability, height=height, width=width)
    mask = full > THRESHOLD
    members = [resize_map(one, height=height, width=width) for one in forwarded.members]
    uncertainty = measure(members, THRESHOLD) if members else None
    spent = (time.perf_counter() - start) * _MILLISECONDS
    return Prediction(
        image=frame.image,
        probability=full,
        mask=mask,
        latency_ms=frame.milliseconds + forwarded.milliseconds + spent,
        uncertainty=uncertainty,
    )


def resize_map(probability: NDArray[np.float32], *, height: int, width: int) -> NDArray[np.float32]:
    """A probability map at another size, bilinearly (paper, Section 3.2).

    Args:
        probability: float32 (S, S).
        height: Rows wanted.
        width: Columns wanted.

    Returns:
        NDArray: float32 (height, width).
    """
    resized = cv2.resize(probability, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
