"""Where the members of an ensemble disagree, pixel by pixel and frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.runs.network import Loaded
from harness.utils.command_line import command_line
from metrics.frame.disagreement import measure_disagreement
from metrics.masks import maps
from metrics.masks.read import Mask
from metrics.utils.errors import UserError
from models.divergentnets import DivergentNets

LARGEST = 0.5
"""The largest standard deviation of numbers between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """How far the members of an ensemble disagree on one frame.

    Attributes:
        deviation: float32 (H, W) at the frame's own size: the population standard deviation of
            the members' probabilities of the chosen class, 0 to 0.5.
        disagreement: 1 minus the mean IoU over pairs of members' masks, 0 to 1.
        vote_variance: Mean over pixels of the variance of the members' votes, 0 to 0.25.
    """

    deviation: NDArray[np.float32]
    disagreement: float
    vote_variance: float


def check_ensemble(loaded: Loaded) -> None:
    """Refuse a run whose predictions have no uncertainty.

    Raises:
        UserError: If the run is no ensemble of two members or more.
    """
    network = loaded.network
    if not isinstance(network, DivergentNets) or len(network.members) < 2:
        raise UserError(
            f"{loaded.run.run} is a single network, and uncertainty is where the members of an "
            "ensemble disagree. Take one with --model divergentnets; "
            f"'{command_line('runs')}' lists what is trained."
        )


def measure(probabilities: Sequence[NDArray[np.float32]], masks: Sequence[Mask]) -> Uncertainty:
    """Measure the disagreement of the members' maps and masks of the chosen class.

    The maps are float32 (H, W), the masks bool, all at the frame's own size.

    Raises:
        UserError: If there are fewer than two.
    """
    found = measure_disagreement(masks)
    return Uncertainty(
        deviation=np.std(np.stack(probabilities), axis=0),
        disagreement=found.disagreement,
        vote_variance=found.vote_variance,
    )


def write_map(path: Path, uncertainty: Uncertainty) -> None:
    """Write the deviation as a grey PNG: 0 where the members agree, 255 at a deviation of 0.5.

    Raises:
        UserError: If it cannot be written.
    """
    maps.write_map(path, maps.to_map(uncertainty.deviation / LARGEST))
