"""Steps of training and validation that are recorded as CUDA graphs and replayed.

A step launches some thousand small kernels, one after another from Python. With a batch of 8 a GPU
computes them faster than Python launches them, and waits. A CUDA graph launches all of them by one
call. It repeats the very same work on the very same memory, so a recording belongs to one shape of
batch, and its inputs are copied to where the recorded step reads them.
"""

from __future__ import annotations

import gc
import warnings
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from harness.utils import device as devices

Step = Callable[[Tensor, Tensor], Tensor]
"""A step over images (N, 3, H, W) and masks (N, H, W), both uint8, that gives a tensor.

A training step gives the loss, a scalar; it changes weights and optimiser in place, and leaves no
tensor behind that the next step reads.
"""

WARM_UP: Final = 3
"""Steps of a shape that are taken as they come before it is recorded.

In the first the optimiser makes its state, cuDNN chooses its algorithms and the libraries get their
memory, none of which can be recorded.
"""


class Recorder(Protocol):
    """What takes steps, as they come or recorded.

    Attributes:
        broken: Whether nothing can be recorded or replayed any more.
    """

    broken: bool

    def take(self, step: Step, images: Tensor, masks: Tensor) -> Tensor:
        """Take a step as it comes, under the conditions of a recording."""

    def record(self, step: Step, images: Tensor, masks: Tensor) -> Step:
        """A recording of a step for batches of this shape; nothing is computed or changed yet.

        Raises:
            RuntimeError: If a part of the step cannot be recorded, or the memory is full.
        """


class GraphedSteps:
    """Takes steps, and records those whose shape comes again and again."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._taken: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Step] = {}
        self._failed = False

    def __call__(self, step: Step, images: Tensor, masks: Tensor) -> Tensor:
        """Take a step; the same ``step`` each time."""
        shape = images.shape
        if self._recorder.broken:
            self._recordings.clear()
        elif self._taken[shape] == WARM_UP and not self._failed:
            self._record(step, images, masks)
        self._taken[shape] += 1
        take = self._recordings.get(shape)
        if take is not None:
            return take(images, masks)
        return self._recorder.take(step, images, masks)

    def forget(self) -> None:
        """Drop what was recorded, as when the optimiser's state lies elsewhere now."""
        self._recordings.clear()
        self._taken.clear()

    def _record(self, step: Step, images: Tensor, masks: Tensor) -> None:
        try:
            self._recordings[images.shape] = self._recorder.record(step, images, masks)
        except RuntimeError as error:
            # Once is enough: what cannot be recorded at one shape cannot at another.
            self._failed = True
            warnings.warn(
                "the step of a network could not be recorded as a CUDA graph "
                f"({devices.graph_fault(error)}). Training goes on without, which at small "
                "batches is slower; --no-cuda-graphs leaves out the attempt.",
                stacklevel=3,
            )


class CudaRecorder:
    """Takes and records steps on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.broken = False
        self._device = device
        # Recording needs a stream of its own, and what is set up beforehand belongs to a stream.
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool: Any = None
        self._graphs: weakref.WeakSet[Any] = weakref.WeakSet()

    def take(self, step: Step, images: Tensor, masks: Tensor) -> Tensor:
        """Take a step as it comes, on the stream of the recordings."""
        with self._on_own_stream():
            return step(images, masks)

    def record(self, step: Step, images: Tensor, masks: Tensor) -> Step:
        """A recording of a step; see :class:`Recorder`."""
        # Made before the recording, whose own memory is used again by others; a copy of a batch
        # has its strides, so that images stay channels last.
        inputs = [torch.empty_like(given, device=self._device) for given in (images, masks)]
        gc.collect()  # so that no older graph is destroyed in the middle of the recording
        graph = torch.cuda.CUDAGraph()
        # torch refuses the memory of recordings that are all gone where something in it is held.
        pool = self._pool if self._graphs else None
        try:
            with (
                devices.CUDA_SWITCHES,
                self._on_own_stream(),  # also where the recording fails and does not leave it
                # The thread that pins batches goes on allocating, which this mode allows.
                torch.cuda.graph(
                    graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"
                ),
            ):
                result = step(*inputs)
        except RuntimeError as error:
            if not devices.is_out_of_memory(error):  # which does not end CUDA's recording
                self._give_up()
            raise
        # Recordings take turns and leave nothing behind but their results, so they share memory.
        self._pool = graph.pool()
        self._graphs.add(graph)

        def replay(*batch: Tensor) -> Tensor:
            for place, given in zip(inputs, batch, strict=True):
                place.copy_(given, non_blocking=True)
            with torch.cuda.device(self._device):
                graph.replay()
            return result.clone()  # the next replay writes to the same place

        return replay

    def _give_up(self) -> None:
        """Go on without recordings, after CUDA has ended one.

        torch's allocator may then refuse to begin another. Up to torch 2.12 the generator takes
        itself for one that is being recorded, and draws nothing. One in the same state does, but
        earlier recordings, of the other one, would repeat their dropout from now on.
        """
        self.broken = True
        place = self._device.index
        generators: Any = torch.cuda.default_generators
        own = generators[torch.cuda.current_device() if place is None else place]
        own.graphsafe_set_state(own.clone_state())

    @contextmanager
    def _on_own_stream(self) -> Iterator[None]:
        """Work between what was queued before the block and what comes after it."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)
