"""How a network predicts, and what it predicts for one frame."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.inference.clean_up import CleanUp
from harness.inference.postprocess import THRESHOLD, DecisionSize
from harness.inference.uncertainty import Uncertainty
from harness.utils.device import Precision
from metrics.masks.class_indices import Labels, mask_of
from metrics.masks.classes import Classes
from metrics.masks.read import Mask

if TYPE_CHECKING:
    from harness.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Inference:
    """How a network predicts.

    Attributes:
        device: Where it runs.
        precision: ``fp32``, the reference, or ``bf16``.
        batch_size: Frames a batch; it changes nothing but the speed.
        tta: Whether probabilities are the mean over flips and scales of the frame (test-time
            augmentation), at six times the work; ``None`` for what the run's recipe says, see
            :meth:`of`.
        rounding: The size at which pixels are decided, see ``harness.inference.postprocess``.
        threshold: A pixel is of a single class where its probability lies above it; ``None`` for
            what the run was tuned to, else one half, see :attr:`cut`.
        clean_up: What is changed of the masks; ``None`` for what the run was tuned to, if it was.
    """

    device: torch.device
    precision: Precision = "fp32"
    batch_size: int = 8
    tta: bool | None = None
    rounding: DecisionSize = "full-size"
    threshold: float | None = None
    clean_up: CleanUp | None = None

    @property
    def cut(self) -> float:
        """The threshold, one half where none was chosen."""
        return THRESHOLD if self.threshold is None else self.threshold

    @property
    def settings(self) -> dict[str, Any]:
        """What the masks depend on."""
        found: dict[str, Any] = {
            "precision": self.precision,
            "tta": bool(self.tta),
            "rounding": self.rounding,
        }
        # Evaluations of before there was a choice lack these keys.
        if self.cut != THRESHOLD:
            found["threshold"] = self.cut
        return found | {"clean_up": dataclasses.asdict(self.clean_up)} if self.clean_up else found

    def of(self, run: Run) -> Inference:
        """The same, with what is left to the run's recipe, or was tuned for it, filled in."""
        tuned = run.tuned
        return dataclasses.replace(
            self,
            tta=run.tta if self.tta is None else self.tta,
            threshold=tuned.get("threshold", THRESHOLD) if self.threshold is None else self.cut,
            clean_up=CleanUp(**tuned.get("clean_up", {}))
            if self.clean_up is None
            else self.clean_up,
        )


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A network's output for one frame.

    Attributes:
        image: The frame's file, or its name.
        probabilities: float32 (K, S, S) of the K foreground classes, at the network's size.
        labels: Each pixel's class (H, W) at the frame's own size, see
            :func:`harness.inference.postprocess.argmax_labels`.
        classes: What the labels mean.
        latency_ms: Milliseconds from the file to the mask: decoding, the frame's share of its
            batch's time in the network, and resizing. A GPU's warm-up is not counted.
        uncertainty: How far the members disagree, where the predictor was asked for it.
        members: What single members of an ensemble predict, where it was asked for. Their time is
            their share of the network's.
    """

    image: Path
    probabilities: NDArray[np.float32]
    labels: Labels
    classes: Classes
    latency_ms: float
    uncertainty: Uncertainty | None = None
    members: tuple[Prediction, ...] = ()

    @property
    def mask(self) -> Mask:
        """The chosen class's pixels, bool (H, W)."""
        return mask_of(self.labels, self.classes.channel)
