"""Keep Python close to the GPU that runs its steps."""

from __future__ import annotations

from collections import deque
from typing import Final

import torch


class Pace:
    """Keeps Python at most two steps ahead of a GPU.

    Python could queue hundreds of steps. It would then take batches as fast as the loader makes
    them and seem to wait for data while the GPU has plenty to do, and a signal would come late.

    Args:
        device: Where the steps run; elsewhere than on a GPU nothing waits.
    """

    AHEAD: Final = 2

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ends: deque[torch.cuda.Event] = deque()

    def step(self) -> None:
        """A step was queued; wait until at most ``AHEAD`` are."""
        if self._device.type != "cuda":
            return
        end = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        end.record(torch.cuda.current_stream(self._device))
        self._ends.append(end)
        if len(self._ends) > self.AHEAD:
            self._ends.popleft().synchronize()
