"""Training and validation batches from the cache.

Order, batches and augmentations are functions of the run's seed, the epoch and the position, so a
resumed run with any number of workers gets the batches of an unbroken one. Frames are uint8 up to
the device; the training step normalises them.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness.config.training import TrainConfig
from harness.data.augment import create
from harness.data.augment.warp import Pair
from harness.data.cache import FrameCache
from harness.utils.sockets import keep_paths_short

Batch = tuple[Tensor, Tensor]

_PREFETCHED: Final = 4
# Of batches on their way from a worker: one in use, one that the pinning thread holds.
_IN_USE: Final = 2
_SHARED_MEMORY: Final = Path("/dev/shm")
# A batch takes milliseconds. A worker that could not share one says so on stderr alone, and the
# training would wait for it for ever.
TIMEOUT_S: Final = 50.0


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Report the end of a thread, but not that of torch's pinning thread as its workers end.

    It takes batches from their sockets; what ended the workers is told by the main thread.
    """
    name = failed.thread.name if failed.thread else ""
    if not ("_pin_memory_loop" in name and issubclass(failed.exc_type, (OSError, EOFError))):
        threading.__excepthook__(failed)


def end_workers() -> None:
    """Kill the worker processes of this one; torch would wait for those that hang.

    Meanwhile torch's handler is set aside, which takes the end of a worker for a fault.
    """
    has_handler = hasattr(signal, "SIGCHLD")  # Windows has none
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if has_handler else None
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
    if has_handler:
        signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


class Key(NamedTuple):
    """What a sample is a function of besides the seed.

    Its place in the cache, the epoch from 0, the side of the network input in pixels.
    """

    frame: int
    epoch: int
    size: int


def order(seed: int, epoch: int, frames: int) -> NDArray[np.int64]:
    """The order of an epoch: a permutation of 0 to ``frames`` - 1, int64 (N,)."""
    return np.random.default_rng((seed, epoch)).permutation(frames)


def batches(positions: NDArray[np.int64], batch_size: int) -> list[NDArray[np.int64]]:
    """Cut an order, int64 (N,), into batches of at most ``batch_size`` frames.

    Sizes differ by one at most, so that no batch of one remains, on which batch norm cannot train.
    """
    return np.array_split(positions, max(1, -(-len(positions) // batch_size)))


def workers_that_fit(
    workers: int, config: TrainConfig, *, trainings: int = 1, shared: Path = _SHARED_MEMORY
) -> int:
    """How many workers can hand over their batches through shared memory, at most ``workers``.

    ``trainings`` processes train on this machine at once and share it; without the folder
    ``shared`` all workers fit.
    """
    if not shared.is_dir():
        return workers
    free = shutil.disk_usage(shared).free / trainings
    batch = config.batch_size * config.size**2 * 4  # three colours and a mask, a byte each
    return min(workers, max(0, int(free / batch - _IN_USE) // _PREFETCHED))


def is_lost_worker(error: BaseException) -> bool:
    """Whether an error of the training process says that a worker died or handed over nothing."""
    return isinstance(error, RuntimeError) and str(error).startswith(
        ("DataLoader worker", "DataLoader timed out")
    )


class AugmentedFrames(Dataset[Any]):
    """Augmented frames of a cache, a batch at a time."""

    def __init__(self, cache: FrameCache, augmentation: str, *, seed: int) -> None:
        self.cache = cache
        self.seed = seed
        self.augmentation = augmentation
        self._by_size: dict[int, create.Augmentation] = {}

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.cache)

    def __getitem__(self, key: Key) -> Pair:
        """One frame, uint8 (S, S, 3), and its mask, uint8 (S, S)."""
        if key.size not in self._by_size:
            self._by_size[key.size] = create.create(self.augmentation, key.size)
        return self._by_size[key.size](
            np.asarray(self.cache.images[key.frame]),
            np.asarray(self.cache.masks[key.frame]),
            create.generator(self.seed, key.epoch, key.frame),
        )

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        """A batch: images (N, 3, S, S) uint8, channels last, and masks (N, S, S) uint8."""
        size = keys[0].size
        images = np.empty((len(keys), size, size, 3), np.uint8)
        masks = np.empty((len(keys), size, size), np.uint8)
        for place, key in enumerate(keys):
            images[place], masks[place] = self[key]
        return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(masks)


class BatchLoader:
    """The batches of a run, from the caches of its training and its validation frames.

    Process ``rank`` of ``world_size`` that train together takes its share of every batch; ``pin``
    puts batches into pinned memory, for faster copies to a GPU.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: FrameCache,
        val: FrameCache,
        *,
        rank: int = 0,
        world_size: int = 1,
        pin: bool = False,
    ) -> None:
        self.config = config
        self.frames = train
        self.val = val
        self.rank, self.world_size = rank, world_size
        self._keys: list[list[Key]] = []
        self._loader = self._open(pin=pin)

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return len(self._batches(0))

    def train(
        self, epoch: int, *, start: int = 0
    ) -> Iterator[tuple[Tensor, Tensor, Sequence[str]]]:
        """The batches of an epoch from step ``start`` on; both are counted from 0.

        The workers are started before this returns, not in the wait for the first batch, which a
        signal may end: as a process forks, what a handler raises is lost, with a message.

        Returns:
            Iterator: Images (N, 3, S, S) uint8 in channels-last memory and masks (N, S, S) uint8,
            of this process's share, and the ids of the whole batch.
        """
        wanted = self._batches(epoch)[start:]
        self._keys[:] = [
            [Key(int(index), epoch, size) for index in batch[self.rank :: self.world_size]]
            for batch, size in zip(wanted, self._sizes(epoch)[start:], strict=True)
        ]
        return self._named(wanted, iter(self._loader))

    def _named(
        self, wanted: Sequence[NDArray[np.int64]], loaded: Iterator[tuple[Tensor, Tensor]]
    ) -> Iterator[tuple[Tensor, Tensor, Sequence[str]]]:
        """Batches with the ids of their frames."""
        for batch, (images, masks) in zip(wanted, loaded, strict=True):
            yield images, masks, [self.frames.frames[index] for index in batch]

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Validation frames in order: images (N, 3, S, S) uint8, masks (N, S, S) uint8.

        Where processes train together, each gets every ``world_size``-th batch.
        """
        step = self.config.batch_size
        for at in range(self.rank * step, len(self.val), self.world_size * step):
            images = torch.from_numpy(np.array(self.val.images[at : at + step]))
            masks = torch.from_numpy(np.array(self.val.masks[at : at + step]))
            yield images.permute(0, 3, 1, 2), masks

    def _batches(self, epoch: int) -> list[NDArray[np.int64]]:
        shuffled = order(self.config.seed, epoch, len(self.frames))
        return batches(shuffled, self.config.batch_size)

    def _sizes(self, epoch: int) -> list[int]:
        """The side of the network input in each step of an epoch."""
        first, steps = epoch * self.steps, self.steps * self.config.epochs
        return [self.config.input_size((first + step) / steps) for step in range(self.steps)]

    def _open(self, *, pin: bool) -> DataLoader[Any]:
        dataset = AugmentedFrames(self.frames, self.config.augmentation, seed=self.config.seed)
        workers = self.config.workers or 0
        if workers:
            keep_paths_short()
        if pin and workers:
            threading.excepthook = _thread_failed
        return DataLoader(
            dataset,
            # This list is refilled for each epoch, so that the workers need not be started again.
            batch_sampler=self._keys,
            collate_fn=_as_it_is,
            num_workers=workers,
            # Also under ``train --jobs``, in a process of a fork server, where each worker would
            # otherwise import torch anew. No worker touches a GPU or torch's threads.
            multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
            worker_init_fn=_prepare_worker,
            persistent_workers=workers > 0,
            prefetch_factor=_PREFETCHED if workers else None,
            timeout=TIMEOUT_S if workers else 0,
            pin_memory=pin,
            # Each iterator draws a number, which must not change the state of the global generator.
            generator=torch.Generator(),
        )


def _as_it_is(batch: Any) -> Any:
    """The dataset returns whole batches already."""
    return batch


def _prepare_worker(worker: int) -> None:
    """Run OpenCV in one thread, where each worker would start as many as there are cores.

    A cluster sends SIGTERM to all processes of a job; there the one that trains ends the others,
    once it has written what it needs of them.
    """
    del worker
    cv2.setNumThreads(0)
    if "SUBMITIT_EXECUTOR" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
