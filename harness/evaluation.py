"""Predictions against the truth: the frame table of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from harness import device as devices
from harness.parallel import map_ahead
from harness.prediction import Prediction, Predictor
from metrics.counts import count, frame_rows
from metrics.errors import UserError
from metrics.masks import read_mask

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
    records = [{str(k): v for k, v in row.items()} for row in frames.to_dict("records")]
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
    encoded = cv2.imencode(".png", mask.astype(np.uint8) * 255)[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}") from error


def truth_of(frame: Mapping[str, Any]) -> NDArray[np.bool_]:
    """The truth of a catalogue row, bool (H, W), binarised at > 127.

    Raises:
        UserError: If the mask cannot be read or is of another size than its frame.
    """
    size = (int(frame["height"]), int(frame["width"]))
    if frame["truth"] == "empty":
        return np.zeros(size, dtype=np.bool_)
    mask = read_mask(Path(frame["mask"]), protocol="strict")
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
    counts = count(truth_of(frame), prediction.mask)
    columns = {name: frame[name] for name in CARRIED}
    return frame_rows(counts, **columns, latency_ms=prediction.latency_ms)
