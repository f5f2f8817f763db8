"""Threads take turns in giving work to a device, and each waits for its own results.

While a GPU computes for one thread, another prepares its batch and queues it, so that the GPU goes
on from batch to batch. A CPU computes in the thread itself.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

_MILLISECONDS = 1000


def current_device(device: torch.device) -> AbstractContextManager[object]:
    """Make a CUDA ``device`` the calling thread's current one; other devices need nothing.

    Every thread starts with cuda:0 as its current device, on which pinned memory, events and graphs
    are made.
    """
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


class Turns:
    """The turns of all threads that compute on a device."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._queueing = threading.Lock()

    @property
    def threads(self) -> int:
        """How many threads the device can use: on CUDA one whose work it does, one that queues."""
        return 2 if self._device.type == "cuda" else 1

    def take(self, work: Callable[[], Sequence[Tensor]]) -> tuple[list[NDArray[Any]], float]:
        """Compute tensors on the device and copy them to arrays.

        Args:
            work: Computes them from what is ready, and waits for nothing.

        Returns:
            tuple: The arrays, and the milliseconds in which the device worked for other threads.
        """
        if self._device.type != "cuda":
            return [tensor.cpu().numpy() for tensor in work()], 0.0
        begun = time.perf_counter()
        # All threads use one stream, which keeps the order of what is queued.
        with self._queueing, current_device(self._device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            # Into pinned memory, so that none of these copies is waited for.
            copies = [tensor.to("cpu", non_blocking=True) for tensor in work()]
            end.record()
        end.synchronize()
        arrays = [copy.numpy() for copy in copies]
        passed = (time.perf_counter() - begun) * _MILLISECONDS
        return arrays, max(0.0, passed - start.elapsed_time(end))
