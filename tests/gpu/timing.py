"""How fast steps are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import torch

from tests.gpu.scale import SCALE

BATCH: Final = 8


def wait() -> None:
    """Until the GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def images_a_second(step: Callable[[], object]) -> float:
    """Of a step on one batch, once it is warm."""
    for _ in range(SCALE.warm_up):
        step()
    wait()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < SCALE.measured_s:
        for _ in range(5):
            step()
        wait()
        steps += 5
    return steps * BATCH / (time.perf_counter() - start)
