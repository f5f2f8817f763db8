"""Figures of a frame from plug-ins.

A plug-in is a package with an entry point in the group ``harness.metrics`` that loads to a
:class:`FrameMetric`. What it computes becomes a column of the frame table, and so is averaged,
shown, compared and ranked like the figures that are built in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from metrics.masks.read import Mask
from metrics.utils.errors import UserError
from metrics.utils.plugins import load

GROUP: Final = "harness.metrics"

TAKEN: Final = frozenset(
    {
        "model", "frame", "name", "dataset", "centre", "sequence", "test_set", "split", "height",
        "width", "latency_ms", "stratum", "place", "class", "tp", "fp", "fn", "tn", "iou", "f1",
        "f2", "ppv", "recall", "accuracy", "specificity", "score", "n", "hausdorff_px", "hd95_px",
        "assd_px", "nsd_2px", "hausdorff_rows", "polyps", "polyps_found", "false_polyps", "average",
        "score_sets", "score_frames", "sd_sets", "sd_frames", "sd_metrics", "title", "paper",
        "misprint",
    }
)  # fmt: skip
"""Columns of the frame table, of its summaries and of tables that no plug-in may take."""


@dataclass(frozen=True, kw_only=True)
class FrameMetric:
    """A figure of one frame.

    Attributes:
        name: Its column in the frame table, with its unit: ``area_error_px``.
        title: Its heading in tables, with its unit.
        compute: From truth and prediction, bool (H, W) of one shape, to the finite figure of the
            polyp class; NaN where it is undefined, which leaves the frame out of its mean.
        takes_map: Whether ``compute`` takes the class's probability map, too, float32 (H, W), as
            its third argument. Where masks are all there is, the figure is NaN.
        better: Whether the largest or the smallest is the best.
        decimals: Digits behind the point in tables.
        note: What it is, in a sentence for the table's caption.

    Example:
        >>> def area_error(truth: Mask, prediction: Mask) -> float:
        ...     return float(prediction.sum()) - float(truth.sum())
        >>> metric = FrameMetric(name="area_error_px", title="Area error, px", compute=area_error)
    """

    name: str
    title: str
    compute: Callable[..., float]
    takes_map: bool = False
    better: Literal["max", "min"] = "max"
    decimals: int = 3
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse, with a ``ValueError``, what would be read as something else."""
        if self.better not in ("max", "min"):
            raise ValueError(f"{self.name}: better is 'max' or 'min', not {self.better!r}")


@cache
def frame_metrics() -> Mapping[str, FrameMetric]:
    """The figures of installed plug-ins by name; one that fails is left out with a warning."""
    return load(GROUP, FrameMetric, what="metric", name=lambda metric: metric.name, taken=TAKEN)


def take_maps() -> bool:
    """Whether any plug-in takes probability maps."""
    return any(metric.takes_map for metric in frame_metrics().values())


def measured(
    mask_truth: Mask, mask_prediction: Mask, map_: npt.NDArray[np.float32] | None = None
) -> dict[str, float]:
    """Every plug-in's figure of a frame.

    Args:
        mask_truth: bool (H, W).
        mask_prediction: bool (H, W) of the same shape.
        map_: The probabilities (H, W) behind the prediction, where they are known.

    Raises:
        UserError: A plug-in fails, or its figure is infinite.
    """
    found = {}
    for name, metric in frame_metrics().items():
        further: tuple[Any, ...] = (map_,) if metric.takes_map else ()
        known = map_ is not None or not metric.takes_map
        try:
            value = metric.compute(mask_truth, mask_prediction, *further) if known else np.nan
            found[name] = float(value)
            if np.isinf(found[name]):  # one such frame would make every mean and interval useless
                raise ValueError("its figure is infinite")
        except Exception as error:  # a plug-in may fail in any way
            raise UserError(
                f"the metric {name} of a plug-in fails: {type(error).__name__}: {error}. Where it "
                "is undefined, it has to return NaN."
            ) from error
    return found
