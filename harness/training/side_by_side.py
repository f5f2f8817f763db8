"""How many networks train at a time, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from harness.training.cost import Cost
from harness.training.train_run import TrainingSetup
from harness.utils import console
from harness.utils import device as devices

_USABLE: Final = 0.9
"""Of the memory that is free: the estimate is rough, and others need some too."""


def networks_at_once(setup: TrainingSetup, networks: int, asked: int | None) -> int:
    """As many as asked for, else on a CPU one for each core, and elsewhere one.

    On a CPU two threads of one network wait for each other at every operator, and two networks of
    one thread do not.

    ``networks`` counts those that are trained already, too: so each has the same number of threads,
    on which the last bits of its weights depend, when an interrupted training goes on.
    """
    if asked is not None:
        return asked
    if setup.device.type != "cpu" or not setup.group.is_single:
        return 1
    return min(devices.cores(), networks)


def networks_that_fit(at_once: int, costs: Sequence[Cost]) -> int:
    """At most so many networks as memory holds, whichever of them train together."""
    free = _USABLE * devices.free_memory()
    needs = sorted((cost.memory for cost in costs), reverse=True)
    fitting = max(1, sum(total <= free for total in accumulate(needs[:at_once])))
    if fitting < min(at_once, len(costs)):
        console.note(
            f"{fitting} in place of {at_once} networks train side by side: they need up to "
            f"{needs[0] / 1e9:.1f} GB each, and {free / 1e9:.1f} GB of memory can be used. --jobs "
            "sets another number."
        )
    return fitting


def longest_first(costs: Sequence[Cost]) -> list[int]:
    """Positions of the networks in the order in which they train, so that all end together."""
    return sorted(range(len(costs)), key=lambda position: -costs[position].flops)
