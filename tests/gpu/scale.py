"""How large the checks are: on a GPU, or in a dry run on a CPU that only tries their code."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Final

_STARTED: Final = time.monotonic()
DRY: Final = os.environ.get("HARNESS_GPU_DRY") == "1"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Sizes and budgets.

    Attributes:
        device: Where networks run.
        right_s: Seconds from the start after which no further check of correctness begins.
        fast_s: Seconds from the start after which no further measurement of speed begins.
        whole_s: Seconds from the start at which the paper's recipe should be done.
        check_s: Seconds after which another check is taken to hang.
        end_s: Seconds from the start at which everything ends.
        after_training_s: Seconds of these kept for evaluation and package behind the training.
        encoder: The paper's encoder.
        size: Side of the paper's network input, in pixels.
        small_encoder: Encoder of the checks of correctness.
        small_size: Side of their network input, in pixels.
        training_steps: Steps that make a small network a trained one.
        bf16_limit: Share of pixels that bf16 may change in the masks of a trained network.
        epochs: Of the small trainings that are killed and resumed.
        warm_up: Steps on one batch before they are timed: cuDNN chooses its kernels, memory is
            reserved, the step is recorded.
        measured_s: Seconds that one speed is measured for.
        most_epochs: Of the paper's recipe.
        full_hd: Frames of 1920 x 1080 that prediction is timed on.
        batches: Batch sizes that prediction is timed at.
        drawn: Number and height of the frames drawn where no real ones are given.
        patience_s: Seconds after which a small command is taken to hang.
    """

    device: str
    right_s: float
    fast_s: float
    whole_s: float
    check_s: float
    end_s: float
    after_training_s: float
    encoder: str
    size: int
    small_encoder: str
    small_size: int
    training_steps: int
    bf16_limit: float
    epochs: int
    warm_up: int
    measured_s: float
    most_epochs: int
    full_hd: int
    batches: tuple[int, ...]
    drawn: tuple[int, int]
    patience_s: float


_GPU: Final = Scale(
    device="cuda",
    right_s=425,
    fast_s=285,
    whole_s=435,
    check_s=100,
    end_s=470,
    after_training_s=65,
    encoder="se_resnext50_32x4d",
    size=256,
    small_encoder="resnet18",
    small_size=96,
    training_steps=250,
    bf16_limit=1e-3,
    epochs=12,
    warm_up=12,
    measured_s=2.5,
    most_epochs=200,
    full_hd=384,
    batches=(1, 8, 16, 32),
    drawn=(300, 256),
    patience_s=90,
)
# Networks that have hardly learnt anything are unsure of many pixels, hence the wider limit.
_DRY: Final = Scale(
    device="cpu",
    right_s=3600,
    fast_s=2400,
    whole_s=3000,
    check_s=900,
    end_s=4000,
    after_training_s=300,
    encoder="tu-resnet10t",
    size=64,
    small_encoder="tu-resnet10t",
    small_size=64,
    training_steps=6,
    bf16_limit=0.05,
    epochs=6,
    warm_up=1,
    measured_s=0.5,
    most_epochs=2,
    full_hd=4,
    batches=(1, 2),
    drawn=(60, 64),
    patience_s=600,
)
SCALE: Final = _DRY if DRY else _GPU


def elapsed() -> float:
    """Seconds since the checks began."""
    return time.monotonic() - _STARTED
