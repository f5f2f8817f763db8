"""Compare the masks of a faster precision with those of float32 before predicting with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.inference.prediction import Inference, Prediction
from harness.inference.predictor import Predictor
from harness.inference.uncertainty import check_ensemble
from harness.runs.network import Loaded

SAMPLE: Final = 8
"""Number of frames that are predicted both ways."""

Sample = Callable[[Predictor], Iterable[Prediction]]


@dataclass(frozen=True, kw_only=True)
class MaskDifference:
    """How many pixels differ between two predictions of the same frames.

    Attributes:
        frames: Number of frames.
        changed: Pixels that have another class in the one than in the other.
        pixels: All pixels, at the frames' own sizes.
    """

    frames: int
    changed: int
    pixels: int


def make_predictor(
    loaded: Loaded,
    inference: Inference,
    *,
    sample: Sample,
    say: Callable[[str], object] = lambda _: None,
    uncertainty: bool = False,
    members: Sequence[int] = (),
) -> Predictor:
    """A predictor of a run; a precision other than float32 is first compared with it.

    Args:
        loaded: The run's network.
        inference: How it predicts.
        sample: Predicts a few of the frames, to compare precisions on; see :func:`sample_of`.
        say: Called with the number of pixels that the precision changes.
        uncertainty: Whether predictions say how far the members of an ensemble disagree.
        members: Places of members whose own predictions are wanted, too.

    Raises:
        UserError: If a frame of the sample cannot be read, or uncertainty is asked of a single
            network.
    """
    if uncertainty:
        check_ensemble(loaded)
    predictor = Predictor(
        loaded.network,
        size=loaded.size,
        inference=inference,
        uncertainty=uncertainty,
        members=members,
        classes=loaded.classes,
    )
    if inference.precision != "fp32":
        exact = dataclasses.replace(inference, precision="fp32")
        reference = Predictor(
            loaded.network, size=loaded.size, inference=exact, classes=loaded.classes
        )
        found = changed_pixels(sample(predictor), sample(reference))
        say(
            f"{inference.precision} changes {found.changed} of {found.pixels} pixels "
            f"({found.changed / max(1, found.pixels):.4%}) of {found.frames} frames' masks against "
            "fp32."
        )
    return predictor


def changed_pixels(a: Iterable[Prediction], b: Iterable[Prediction]) -> MaskDifference:
    """Count the pixels in which the masks of the same frames differ.

    Args:
        a: Predicted one way.
        b: Predicted another way, in the same order.
    """
    pairs = zip(a, b, strict=True)
    counted = [(int((one.labels != other.labels).sum()), one.labels.size) for one, other in pairs]
    return MaskDifference(
        frames=len(counted),
        changed=sum(changed for changed, _ in counted),
        pixels=sum(pixels for _, pixels in counted),
    )


def sample_of(images: Sequence[Path]) -> Sample:
    """At most ``SAMPLE`` of the images, evenly spread over them."""
    chosen = images[:: max(1, len(images) // SAMPLE)][:SAMPLE]
    # A frame that cannot be read is named when all of them are predicted.
    return lambda predictor: predictor.predict(chosen, on_fault=lambda _: None)
