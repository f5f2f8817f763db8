"""Learning-rate schedules, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from harness.config.training import TrainConfig
from metrics.utils.validation import look_up

_WARM_UP: Final = 0.25

Schedule = Callable[[TrainConfig, int, float], float]
"""From the recipe, the epoch (from 0) and the share of all steps passed (0 to 1) to a rate."""


def step(config: TrainConfig, epoch: int, progress: float) -> float:
    """A tenth from epoch ``drop_after`` on: the paper's (Section 3.2)."""
    del progress
    return config.learning_rate if epoch < config.drop_after else config.learning_rate / 10


def one_cycle(config: TrainConfig, epoch: int, progress: float) -> float:
    """From a tenth up to the peak over the first quarter, down to a thousandth; cosines both."""
    del epoch
    peak = config.learning_rate
    if progress < _WARM_UP:
        return _along_cosine(peak / 10, peak, progress / _WARM_UP)
    return _along_cosine(peak, peak / 1000, (progress - _WARM_UP) / (1 - _WARM_UP))


def cosine(config: TrainConfig, epoch: int, progress: float) -> float:
    """From the peak down to zero along half a cosine."""
    del epoch
    return _along_cosine(config.learning_rate, 0.0, progress)


SCHEDULES: Final[Mapping[str, Schedule]] = MappingProxyType(
    {"step": step, "one-cycle": one_cycle, "cosine": cosine}
)
"""By name."""


def learning_rate(config: TrainConfig, *, epoch: int, passed: int, steps: int) -> float:
    """The learning rate of a step: a pure function of where the run is.

    The epoch is counted from 0; ``passed`` of the run's ``steps`` were taken before this one.

    Raises:
        UserError: If the recipe's schedule is unknown.
    """
    schedule = look_up(SCHEDULES, config.schedule, "schedule")
    return schedule(config, epoch, passed / max(1, steps))


def _along_cosine(low: float, high: float, part: float) -> float:
    """From the first value to the second, flat at both ends."""
    return low + (high - low) * (1 - math.cos(math.pi * part)) / 2
