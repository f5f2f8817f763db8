"""From frames to masks at the frames' own sizes.

`evaluate`, `predict` and `submit` all take this path. Threads decode frames ahead of the network,
the network has a thread of its own, on CUDA two, and its probability maps are brought to the
frames' own sizes, by the GPU or else in threads again. Each stage works a fixed number of frames
ahead, so memory does not grow with the number of frames.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.frames import DamagedError, find_unreadable, read_or, resize_image
from harness.inference.engine import Engine
from harness.inference.postprocess import (
    THRESHOLD,
    resize_map,
    upsample_and_decide,
    upsample_and_decide_on_device,
)
from harness.inference.prediction import Inference, Prediction
from harness.inference.tta import average_views
from harness.inference.turns import Turns, current_device
from harness.inference.uncertainty import measure
from harness.utils import device as devices
from harness.utils.prefetch import few_ahead, map_ahead
from metrics.masks.class_indices import Labels, mask_of
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault, FaultsError, UserError

_MILLISECONDS = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    image: Path
    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class _Forwarded:
    """A frame behind the network.

    ``probabilities`` (1 + M, K, S, S) are the mean's and, where they are wanted, the members';
    ``labels``, by place in the same order, are what a GPU has decided.
    """

    frame: _Decoded
    probabilities: NDArray[np.float32]
    labels: dict[int, Labels]
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
        members: Places of members whose own predictions are wanted, too.
        classes: What the network tells apart.

    Raises:
        UserError: If the classes are several and a threshold other than one half is given.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        size: int,
        inference: Inference,
        uncertainty: bool = False,
        members: Sequence[int] = (),
        classes: Classes = ONE,
    ) -> None:
        if len(classes) > 1 and inference.cut != THRESHOLD:
            raise UserError(
                f"--threshold is for a single class, but the network tells {len(classes)} apart, "
                "and each pixel gets the most probable one"
            )
        self.engine = Engine(
            network,
            device=inference.device,
            precision=inference.precision,
            batch_size=inference.batch_size,
            with_members=uncertainty or bool(members),
        )
        self.uncertainty = uncertainty
        self.members = tuple(members)
        self.classes = classes
        self.size = size
        self.inference = inference
        self._turns = Turns(self.engine.device)
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
            # On a network drive, what could not be read may be readable a moment later.
            faults = find_unreadable(images) or [Fault(path="", message=str(error))]
            raise FaultsError(faults, "frames cannot be read") from error

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
            ThreadPoolExecutor(self._turns.threads, thread_name_prefix="batches") as network,
        ):
            # Each stage is lazy: what the caller takes from the last is drawn through all of them
            # in the caller's thread, `items` included.
            decoded = map_ahead(pool, lambda item: self._decode(item, read), items, ahead)
            whole = (frame for frame in decoded if frame is not None)
            batches = _batches(whole, self.inference.batch_size)
            forwarded = map_ahead(network, self._forward, batches, 1 + self._turns.threads)
            frames = chain.from_iterable(forwarded)
            yield from map_ahead(pool, self._finish, frames, few_ahead())

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """Run one batch through the network, with test-time augmentation where it is asked for.

        Pixels (N, 3, S, S) uint8 on any device give (N, C, S, S) float32 on the predictor's; where
        members are asked for, (N, C + C members, S, S): their probabilities follow the mean's.
        """
        inputs = devices.moved(pixels, self.engine.device).float()
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

    def _forward(self, batch: list[_Decoded]) -> list[_Forwarded]:
        """Foreground probabilities of each frame, on a GPU also its pixels' classes."""
        start = time.perf_counter()
        pixels = torch.from_numpy(np.stack([frame.pixels for frame in batch]))
        if self.engine.device.type == "cuda":
            with current_device(self.engine.device):
                pixels = pixels.pin_memory()
        (small, *full), others = self._turns.take(lambda: self._decided(pixels, batch))
        labels = iter(full)  # those of a frame one after another, then the next frame's
        spent = (time.perf_counter() - start) * _MILLISECONDS - others
        return [
            _Forwarded(
                frame=frame,
                probabilities=maps,
                # The places come first: so zip takes no label too many. On a CPU there are none.
                labels=dict(zip(self._places, labels, strict=False)),
                milliseconds=spent / len(batch),
            )
            for frame, maps in zip(batch, small, strict=True)
        ]

    @torch.inference_mode()
    def _decided(self, pixels: Tensor, batch: list[_Decoded]) -> list[Tensor]:
        """Foreground probabilities (N, 1 + M, K, S, S) of a batch's pixels (N, S, S, 3).

        On a GPU each frame's classes at its own size follow, one tensor for each of its places.
        """
        how = self.inference
        probabilities = self.probabilities(pixels.permute(0, 3, 1, 2))
        each = probabilities.view(len(batch), -1, 1 + len(self.classes), *probabilities.shape[2:])
        foreground = each[:, :, 1:].contiguous()
        decided = [
            upsample_and_decide_on_device(maps[place], frame.size, how.rounding, how.cut)
            for maps, frame in zip(foreground, batch, strict=True)
            for place in self._places
            if self.engine.device.type != "cpu"
        ]
        return [foreground, *decided]

    @property
    def _places(self) -> tuple[int, ...]:
        """Whose predictions are wanted: the mean's, 0, and members', from 1."""
        return (0, *(1 + member for member in self.members))

    def _finish(self, forwarded: _Forwarded) -> Prediction:
        """Bring probability maps to the frame's own size and decide, if a GPU has not."""
        whole, *members = (self._prediction(forwarded, place) for place in self._places)
        if not self.uncertainty:
            return replace(whole, members=tuple(members))
        start = time.perf_counter()
        (height, width), channel, how = forwarded.frame.size, self.classes.channel, self.inference
        of_members = forwarded.probabilities[1:]
        maps = [resize_map(one[channel - 1], height=height, width=width) for one in of_members]
        labels = [
            upsample_and_decide(one, (height, width), how.rounding, how.cut) for one in of_members
        ]
        found = measure(maps, [mask_of(one, channel) for one in labels])
        spent = (time.perf_counter() - start) * _MILLISECONDS
        return replace(
            whole,
            members=tuple(members),
            uncertainty=found,
            latency_ms=whole.latency_ms + spent,
        )

    def _prediction(self, forwarded: _Forwarded, place: int) -> Prediction:
        """What the mean (0) or a member (from 1) predicts for a frame."""
        start = time.perf_counter()
        frame, maps = forwarded.frame, forwarded.probabilities[place]
        if (labels := forwarded.labels.get(place)) is None:
            how = self.inference
            labels = upsample_and_decide(maps, frame.size, how.rounding, how.cut)
        if self.inference.clean_up:
            labels = self.inference.clean_up(mask_of(labels, self.classes.channel))
        share = self.engine.shares[place - 1] if place else 1.0
        spent = (time.perf_counter() - start) * _MILLISECONDS
        return Prediction(
            image=frame.image,
            probabilities=maps,
            labels=labels,
            classes=self.classes,
            latency_ms=frame.milliseconds + share * forwarded.milliseconds + spent,
        )


def _batches(decoded: Iterator[_Decoded], size: int) -> Iterator[list[_Decoded]]:
    while batch := list(islice(decoded, size)):
        yield batch
