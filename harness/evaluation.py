"""Predictions against the truth: the frame table of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness import device as devices
from harness.parallel import map_ahead
from harness.png import encode_png
from harness.prediction import Prediction, Predictor
from metrics import registry
from metrics.boundary import boundary_distances
from metrics.counts import count, frame_rows
from metrics.errors import UserError
from metrics.hausdorff import hausdorff_rows
from metrics.lesions import count_lesions
from metrics.masks import Mask, Protocol, read_mask

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
        masks: Folder for the predicted masks, ``FRAME.png`` (0 and 255, the frame's own size).
        done: Called after each frame.

    Returns:
        DataFrame: The frame table: two rows a frame (polyp and background).

    Raises:
        UserError: If a frame or its mask cannot be read, or they differ in size.
    """
    import pandas as pd

    rows: list[dict[str, object]] = []
    records = _records(frames)
    pairs = _pairs(predictor, records)

    def measure(pair: tuple[Mapping[str, Any], Prediction]) -> tuple[dict[str, object], ...]:
        return _rows(*pair, masks=masks)

    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="counts") as pool:
        for two in map_ahead(pool, measure, pairs, AHEAD):
            rows.extend(two)
            done()
    return pd.DataFrame(rows)


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask as a PNG of 0 and 255.

    Args:
        path: The file; its folder is made when missing.
        mask: bool (H, W).

    Raises:
        UserError: If it cannot be written.
    """
    encoded = encode_png(mask)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def recount(
    frames: pd.DataFrame,
    *,
    masks: Path,
    decoding: Protocol,
    latencies_ms: Mapping[str, float],
    done: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Count masks that were kept against the truth, read another way, without predicting anew.

    Args:
        frames: Rows of a catalogue whose truth is known.
        masks: Folder of the predicted masks, ``FRAME.png``.
        decoding: How the truth is binarised: ``official`` above 0, ``strict`` above 127.
        latencies_ms: Prediction time by frame.
        done: Called after each frame.

    Returns:
        DataFrame: The frame table, by ``official`` with the column hausdorff_rows.

    Raises:
        UserError: If a mask is missing or cannot be read.
    """
    import pandas as pd

    def measure(frame: Mapping[str, Any]) -> tuple[dict[str, object], ...]:
        mask = read_mask(masks / f"{frame['frame']}.png", protocol="strict")
        return rows_of(
            frame,
            truth_of(frame, decoding),
            mask,
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
    mask_truth: Mask,
    mask_prediction: Mask,
    *,
    latency_ms: float,
    organisers: bool = False,
) -> tuple[dict[str, object], ...]:
    """A frame's rows of the frame table: its counts, contours and lesions.

    Args:
        frame: Its row of the catalogue.
        mask_truth: bool (H, W).
        mask_prediction: bool (H, W).
        latency_ms: Prediction time.
        organisers: Whether the organisers' Hausdorff figure is computed as well.
    """
    measured: dict[str, float] = dict(boundary_distances(mask_truth, mask_prediction)._asdict())
    measured |= count_lesions(mask_truth, mask_prediction)._asdict()
    measured |= registry.measured(mask_truth, mask_prediction)
    if organisers:
        measured["hausdorff_rows"] = hausdorff_rows(mask_truth, mask_prediction)
    return frame_rows(
        count(mask_truth, mask_prediction),
        measured=measured,
        **{name: frame[name] for name in CARRIED},
        latency_ms=latency_ms,
    )


def truth_of(frame: Mapping[str, Any], decoding: Protocol = "strict") -> Mask:
    """The truth of a catalogue row, bool (H, W).

    Args:
        frame: The row.
        decoding: ``strict`` binarises at > 127, ``official`` at > 0.

    Raises:
        UserError: If the mask cannot be read or is of another size than its frame.
    """
    size = (int(frame["height"]), int(frame["width"]))
    if frame["truth"] == "empty":
        return np.zeros(size, dtype=np.bool_)
    mask = read_mask(Path(frame["mask"]), protocol=decoding)
    if mask.shape != size:
        raise UserError(
            f"{frame['mask']}: expected the frame's size {size[1]} x {size[0]}, got "
            f"{mask.shape[1]} x {mask.shape[0]}; 'harness data check' lists all such masks"
        )
    return mask


def _pairs(
    predictor: Predictor, records: list[dict[str, Any]]
) -> Iterator[tuple[Mapping[str, Any], Prediction]]:
    predictions = predictor.predict(Path(record["image"]) for record in records)
    return zip(records, predictions, strict=True)


def _rows(
    frame: Mapping[str, Any], prediction: Prediction, *, masks: Path
) -> tuple[dict[str, object], ...]:
    write_mask(masks / f"{frame['frame']}.png", prediction.mask)
    return rows_of(frame, truth_of(frame), prediction.mask, latency_ms=prediction.latency_ms)


def _records(frames: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frames.to_dict("records")]
