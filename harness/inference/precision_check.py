"""What a faster precision costs: pixels of the masks that differ from float32's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.inference.predictor import Inference, Prediction, Predictor
from harness.inference.uncertainty import check_ensemble
from harness.runs.network import Loaded

SAMPLE: Final = 8
"""Frames that are predicted both ways."""

Sample = Callable[[Predictor], Iterable[Prediction]]


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Pixels of a sample's masks.

    Attributes:
        frames: Frames in the sample.
        changed: Pixels that are of one class by one precision and of another by the other.
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
) -> Predictor:
    """A run's network ready to predict; where it is not float32, what that changes is said first.

    Args:
        loaded: The run's network.
        inference: How it predicts.
        sample: Predicts some of the frames that it will predict, see :func:`sample_of`.
        say: Takes the message.
        uncertainty: Whether predictions say how far the members of an ensemble disagree.

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


def changed_pixels(ones: Iterable[Prediction], others: Iterable[Prediction]) -> Changed:
    """Count the pixels in which the masks of the same frames differ.

    Args:
        ones: Predicted one way.
        others: Predicted another way.
    """
    pairs = zip(ones, others, strict=True)
    counted = [(int((a.labels != b.labels).sum()), a.labels.size) for a, b in pairs]
    return Changed(
        frames=len(counted),
        changed=sum(changed for changed, _ in counted),
        pixels=sum(pixels for _, pixels in counted),
    )


def sample_of(images: Sequence[Path]) -> Sample:
    """At most ``SAMPLE`` of the images, evenly spread over them."""
    chosen = images[:: max(1, len(images) // SAMPLE)][:SAMPLE]
    return lambda predictor: predictor.predict(chosen)
