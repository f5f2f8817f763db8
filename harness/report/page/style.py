"""Colours and mark shapes that tell models apart everywhere on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

COLOURS: Final = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#888888", "#9922EE",
)  # fmt: skip
"""The palette of Okabe and Ito, safe for the colour-blind, with a grey in place of its black and a
violet in place of its yellow, which is not seen on white paper."""

HIGHLIGHT: Final = "#D55E00"
"""The palette's vermilion, kept for the ensemble."""

SHAPES: Final = (
    "circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right",
)  # fmt: skip
"""Vega's names of the mark shapes."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one model is drawn everywhere on the page.

    Attributes:
        label: The model's name as it is shown.
        colour: Colour of its marks, lines and contours.
        shape: Shape of its marks, one of ``SHAPES``.
        dashed: Whether its lines are dashed, because an earlier model has the same colour.
    """

    label: str
    colour: str
    shape: str
    dashed: bool = False


def styles(labels: Sequence[str], highlighted: str = "") -> list[Style]:
    """A style for each label; all are different for up to 49 labels.

    ``highlighted`` is the label that stands out, such as the ensemble's.
    """
    others = [label for label in labels if label != highlighted]

    def style(label: str) -> Style:
        if label == highlighted:
            return Style(label=label, colour=HIGHLIGHT, shape="diamond")
        # Colours repeat after seven models; then each goes with the next shape.
        turn, place = divmod(others.index(label), len(COLOURS))
        shape = SHAPES[(place + turn) % len(SHAPES)]
        return Style(label=label, colour=COLOURS[place], shape=shape, dashed=turn > 0)

    return [style(label) for label in labels]
