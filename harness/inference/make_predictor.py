"""The predictor of a run; the masks of a faster precision are first compared with float32's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from harness.inference.prediction import Inference, Prediction
from harness.inference.predictor import Predictor
from harness.inference.uncertainty import check_ensemble
from harness.runs.network import Loaded

SAMPLE: Final = 8
"""Number of frames that are predicted both ways."""

Sample = Callable[[Predictor], Iterable[Prediction]]


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

    ``sample`` predicts a few of the frames (see :func:`sample_of`); ``say`` is called with the
    number of their pixels that the precision changes. With ``uncertainty``, predictions say how far
    the members of an ensemble disagree; ``members`` are the places of those whose own predictions
    are wanted, too.

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


class MaskDifference(NamedTuple):
    """How many of the pixels of some frames have another class in another prediction."""

    frames: int
    changed: int
    pixels: int


def changed_pixels(a: Iterable[Prediction], b: Iterable[Prediction]) -> MaskDifference:
    """Count the pixels in which two predictions of the same frames, in one order, differ."""
    frames = changed = pixels = 0
    for one, other in zip(a, b, strict=True):
        frames += 1
        changed += int(np.count_nonzero(one.labels != other.labels))
        pixels += one.labels.size
    return MaskDifference(frames, changed, pixels)


def sample_of(images: Sequence[Path]) -> Sample:
    """At most ``SAMPLE`` of the images, evenly spread over them."""
    count = min(SAMPLE, len(images))
    chosen = [images[at * len(images) // count] for at in range(count)]
    # A frame that cannot be read is named when all of them are predicted.
    return lambda predictor: predictor.predict(chosen, on_fault=lambda _: None)
