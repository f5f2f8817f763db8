"""Predictions against the truth: the frame table of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.data.frames import truth_of
from harness.inference.predictor import Prediction, Predictor
from harness.utils import device as devices
from harness.utils.prefetch import map_ahead
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

CARRIED = ("frame", "dataset", "centre", "sequence", "test_set", "split", "height", "width")
AHEAD = 16


def evaluate_frames(
    predictor: Predictor,
    frames: pd.DataFrame,
    *,
    masks: Path,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Predict frames and count their pixels against the truth.

    Args:
        predictor: A network ready to predict.
        frames: Rows of a catalogue whose truth is known.
        masks: Folder for the predicted masks, ``FRAME.png`` (0 and 255, or the classes' own
            values; the frame's own size).
        done: Called after each frame.

    Returns:
        DataFrame: The frame table: a row a frame and class, the chosen one first, the background
            last.

    Raises:
        UserError: If a frame or its mask cannot be read, or they differ in size.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    records = _records(frames)
    pairs = _pairs(predictor, records)

    def measure(pair: tuple[Mapping[str, Any], Prediction]) -> tuple[dict[str, object], ...]:
        return _rows(*pair, masks=masks, classes=predictor.classes)

    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="counts") as pool:
        for two in map_ahead(pool, measure, pairs, AHEAD):
            rows.extend(two)
            done()
    return pd.DataFrame(rows)


def recount(
    frames: pd.DataFrame,
    *,
    masks: Path,
    decoding: Protocol,
    latencies_ms: Mapping[str, float],
    classes: Classes = ONE,
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Count masks that were kept against the truth, read another way, without predicting anew.

    Args:
        frames: Rows of a catalogue whose truth is known.
        masks: Folder of the predicted masks, ``FRAME.png``.
        decoding: How the truth is binarised: ``official`` above 0, ``strict`` above 127.
        latencies_ms: Prediction time by frame.
        classes: What the masks' values mean.
        done: Called after each frame.

    Returns:
        DataFrame: The frame table, by ``official`` with the column hausdorff_rows.

    Raises:
        UserError: If a mask is missing or cannot be read.
    """
    import pandas as pd

    def measure(frame: Mapping[str, Any]) -> tuple[dict[str, object], ...]:
        return rows_of(
            frame,
            truth_of(frame, decoding, classes),
            read_labels(masks / f"{frame['frame']}.png", classes),
            classes=classes,
            latency_ms=latencies_ms[frame["frame"]],
            organisers=decoding == "official",
        )

    rows: list[dict[str, object]] = []
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="counts") as pool:
        for two in map_ahead(pool, measure, _records(frames), AHEAD):
            rows.extend(two)
            done()
    return pd.DataFrame(rows)


def rows_of(
    frame: Mapping[str, Any],
    truth: Labels,
    prediction: Labels,
    *,
    latency_ms: float,
    classes: Classes = ONE,
    organisers: bool = False,
) -> tuple[dict[str, object], ...]:
    """A frame's rows of the frame table: its counts, contours and lesions.

    Args:
        frame: Its row of the catalogue.
        truth: bool (H, W), or class indices.
        prediction: Likewise.
        latency_ms: Prediction time.
        classes: What they mean.
        organisers: Whether the organisers' Hausdorff figure is computed as well.
    """
    pairs = class_masks(truth, prediction, classes)
    counts = {name: count(*pair) for name, pair in pairs.items()}
    # Of one class the background is the rest, and need not be counted again.
    counts[BACKGROUND] = (
        counts[classes.chosen].swapped()
        if len(classes) == 1
        else count(mask_of(truth, 0), mask_of(prediction, 0))
    )
    return class_rows(
        counts,
        measured={name: _measured(*pair, organisers=organisers) for name, pair in pairs.items()},
        **{name: frame[name] for name in CARRIED},
        latency_ms=latency_ms,
    )


def _measured(mask_truth: Mask, mask_prediction: Mask, *, organisers: bool) -> dict[str, float]:
    """What no count of pixels tells of a class in a frame."""
    measured: dict[str, float] = dict(boundary_distances(mask_truth, mask_prediction)._asdict())
    measured |= count_lesions(mask_truth, mask_prediction)._asdict()
    measured |= registry.measured(mask_truth, mask_prediction)
    if organisers:
        measured["hausdorff_rows"] = hausdorff_rows(mask_truth, mask_prediction)
    return measured


def _pairs(
    predictor: Predictor, records: list[dict[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], Prediction]]:
    predictions = predictor.predict(Path(record["image"]) for record in records)
    return zip(records, predictions, strict=True)


def _rows(
    frame: Mapping[str, Any], prediction: Prediction, *, masks: Path, classes: Classes
) -> tuple[dict[str, object], ...]:
    write_mask(masks / f"{frame['frame']}.png", prediction.labels, classes)
    return rows_of(
        frame,
        truth_of(frame, classes=classes),
        prediction.labels,
        latency_ms=prediction.latency_ms,
        classes=classes,
    )


def _records(frames: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frames.to_dict("records")]
