"""The frame table of a split: each frame's prediction measured against its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.data.fingerprint import rows_of as records_of
from harness.data.frames import truth_of
from harness.inference.predictor import Prediction, Predictor
from harness.utils import device as devices
from harness.utils.prefetch import few_ahead, map_ahead
from metrics import registry
from metrics.frame.boundary import boundary_distances
from metrics.frame.counts import class_rows, count
from metrics.frame.hausdorff import hausdorff_rows
from metrics.frame.lesions import count_lesions
from metrics.masks.classes import BACKGROUND, ONE, Classes
from metrics.masks.labels import Labels, class_masks, mask_of, read_labels, write_mask
from metrics.masks.read import Mask, Protocol

if TYPE_CHECKING:
    import pandas as pd

Rows = tuple[dict[str, object], ...]
Item = TypeVar("Item")

COPIED = ("frame", "dataset", "centre", "sequence", "test_set", "split", "height", "width")
"""Columns of the catalogue that the frame table repeats."""


def evaluate_frames(
    predictor: Predictor,
    frames: pd.DataFrame,
    *,
    masks: Path,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Predict frames and count their pixels against the truth.

    The truth of the frames, rows of a catalogue, is known. ``masks`` is the folder for the
    predicted masks, ``FRAME.png`` (0 and 255, or the classes' own values; the frame's own size).

    Returns:
        DataFrame: The frame table: a row a frame and class, the chosen one first, the background
            last.

    Raises:
        UserError: If a frame or its mask cannot be read, or they differ in size.
    """
    records = records_of(frames)
    predictions = predictor.predict([Path(record["image"]) for record in records])

    def measure(pair: tuple[Mapping[str, Any], Prediction]) -> Rows:
        frame, prediction = pair
        write_mask(masks / f"{frame['frame']}.png", prediction.labels, predictor.classes)
        return rows_of(
            frame,
            truth_of(frame, classes=predictor.classes),
            prediction.labels,
            latency_ms=prediction.latency_ms,
            classes=predictor.classes,
        )

    return _table(measure, zip(records, predictions, strict=True), done)


def recount(
    frames: pd.DataFrame,
    *,
    masks: Path,
    decoding: Protocol,
    latencies_ms: Mapping[str, float],
    classes: Classes = ONE,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Count masks of an earlier evaluation against the truth, binarised in another way.

    ``masks`` is the folder of the predicted masks, ``FRAME.png``; ``latencies_ms`` has the
    prediction time of each frame. By ``decoding`` the truth is binarised: ``official`` above 0,
    ``strict`` above 127.

    Returns:
        DataFrame: The frame table; with ``official`` it has the column hausdorff_rows.

    Raises:
        UserError: If a mask is missing or cannot be read.
    """

    def measure(frame: Mapping[str, Any]) -> Rows:
        return rows_of(
            frame,
            truth_of(frame, decoding, classes),
            read_labels(masks / f"{frame['frame']}.png", classes),
            classes=classes,
            latency_ms=latencies_ms[frame["frame"]],
            organisers=decoding == "official",
        )

    return _table(measure, records_of(frames), done)


def rows_of(
    frame: Mapping[str, Any],
    truth: Labels,
    prediction: Labels,
    *,
    latency_ms: float,
    classes: Classes = ONE,
    organisers: bool = False,
) -> Rows:
    """A frame's rows of the frame table: its counts, boundary distances and lesions.

    Truth and prediction are labels (H, W): bool, or class indices. ``organisers`` adds the
    organisers' Hausdorff figure.
    """
    pairs = class_masks(truth, prediction, classes)
    counts = {name: count(*pair) for name, pair in pairs.items()}
    # With one class the background is the rest, and need not be counted again.
    counts[BACKGROUND] = (
        counts[classes.chosen].swapped()
        if len(classes) == 1
        else count(mask_of(truth, 0), mask_of(prediction, 0))
    )
    return class_rows(
        counts,
        measured={name: _measured(*pair, organisers=organisers) for name, pair in pairs.items()},
        **{name: frame[name] for name in COPIED},
        latency_ms=latency_ms,
    )


def _measured(mask_truth: Mask, mask_prediction: Mask, *, organisers: bool) -> dict[str, float]:
    """The figures of a class in a frame that do not follow from its pixel counts."""
    measured: dict[str, float] = dict(boundary_distances(mask_truth, mask_prediction)._asdict())
    measured |= count_lesions(mask_truth, mask_prediction)._asdict()
    measured |= registry.measured(mask_truth, mask_prediction)
    if organisers:
        measured["hausdorff_rows"] = hausdorff_rows(mask_truth, mask_prediction)
    return measured


def _table(
    measure: Callable[[Item], Rows], items: Iterable[Item], done: Callable[[], object]
) -> pd.DataFrame:
    """The rows of all items, measured in threads."""
    import pandas as pd

    rows: list[dict[str, object]] = []
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="counts") as pool:
        for of_frame in map_ahead(pool, measure, items, few_ahead()):
            rows.extend(of_frame)
            done()
    return pd.DataFrame(rows)
