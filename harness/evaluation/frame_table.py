"""The frame table of a split: each frame's prediction measured against its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.data.fingerprint import rows_of as records_of
from harness.data.frames import truth_of
from harness.evaluation import map_table
from harness.inference.maps import FOLDER, MapOptions, class_maps, write_manifest, write_maps
from harness.inference.prediction import Prediction
from harness.inference.predictor import Predictor
from harness.runs.run import MASKS
from harness.utils import device as devices
from harness.utils.prefetch import few_ahead, map_ahead
from metrics import registry
from metrics.frame.boundary import boundary_distances
from metrics.frame.lesions import count_lesions
from metrics.frame.official_hausdorff import hausdorff_rows
from metrics.frame.pixel_counts import class_rows, count
from metrics.masks.class_indices import Labels, class_masks, mask_of, read_labels, write_mask
from metrics.masks.classes import BACKGROUND, ONE, Classes
from metrics.masks.read import Mask, Protocol
from metrics.utils.errors import Fault, FaultsError
from metrics.utils.files import atomic_path
from metrics.utils.names import clashes

if TYPE_CHECKING:
    import pandas as pd

Rows = tuple[dict[str, object], ...]
Item = TypeVar("Item")
Measured = TypeVar("Measured")

COPIED = ("frame", "dataset", "centre", "sequence", "test_set", "split", "height", "width")
"""Columns of the catalogue that the frame table repeats."""


@dataclass(frozen=True, kw_only=True)
class Keep:
    """What an evaluation keeps besides masks and frame table.

    Attributes:
        maps: How probability maps are written; ``None`` for none.
        map_table: Whether the map table is made, see ``harness.evaluation.map_table``.
    """

    maps: MapOptions | None = None
    map_table: bool = False

    def __or__(self, other: Keep) -> Keep:
        """What this keeps, and what the other keeps besides."""
        return Keep(maps=self.maps or other.maps, map_table=self.map_table or other.map_table)


def evaluate_frames(
    predictor: Predictor,
    frames: pd.DataFrame,
    *,
    folders: Sequence[Path],
    keep: Keep | None = None,
    done: Callable[[], object] = lambda: None,
) -> list[pd.DataFrame]:
    """Predict frames and count their pixels against the truth.

    The truth of the frames, rows of a catalogue, is known. ``folders`` are that of the network's
    evaluation and those of the members whose predictions are wanted, too. Each gets
    ``masks/FRAME.png`` (0 and 255, or the classes' own values; the frame's own size) and what else
    is kept.

    Returns:
        list[DataFrame]: The frame table for each folder: a row a frame and class, the chosen one
            first, the background last.

    Raises:
        UserError: If a frame or its mask cannot be read, or they differ in size.
    """
    records = records_of(frames)
    classes, kept = predictor.classes, keep or Keep()
    predictions = predictor.predict([Path(record["image"]) for record in records])
    map_rows: list[list[dict[str, Any]]] = [[] for _ in folders]

    def measure(pair: tuple[Mapping[str, Any], Prediction]) -> list[tuple[Rows, dict[str, Any]]]:
        frame, prediction = pair
        truth = truth_of(frame, classes=classes)
        each = (prediction, *prediction.members)
        return [
            _count_and_keep(frame, truth, one, folder, kept)
            for one, folder in zip(each, folders, strict=True)
        ]

    rows: list[list[dict[str, object]]] = [[] for _ in folders]
    for of_frame in _measured_ahead(measure, zip(records, predictions, strict=True), done):
        for place, (of_table, of_map) in enumerate(of_frame):
            rows[place].extend(of_table)
            map_rows[place].append(of_map)
    for folder, own in zip(folders, map_rows, strict=True):
        if kept.maps:
            write_manifest(folder / FOLDER, kept.maps, classes)
        if kept.map_table:
            write_table(folder / map_table.TABLE, _as_table(own))
    return [_as_table(own) for own in rows]


def write_table(file: Path, table: pd.DataFrame) -> None:
    """Write a frame table or a map table.

    Raises:
        UnwritableError: If it cannot be written.
    """
    with atomic_path(file) as temporary:
        table.to_parquet(temporary, index=False)


def refuse_clashes(frames: Sequence[str]) -> None:
    """Refuse frames whose masks' names differ in capitals only.

    Raises:
        FaultsError: There are such frames; all of them.
    """
    faults = [
        Fault(path=frames[at], message=f"differs from {frames[other]} in capitals only")
        for at, other in clashes(frames)
    ]
    if faults:
        raise FaultsError(faults, "masks of frames could overwrite each other; rename these frames")


def _count_and_keep(
    frame: Mapping[str, Any], truth: Labels, prediction: Prediction, folder: Path, keep: Keep
) -> tuple[Rows, dict[str, Any]]:
    """Count one prediction of a frame, and write its files; its rows of both tables."""
    classes, name = prediction.classes, f"{frame['frame']}.png"
    write_mask(folder / MASKS / name, prediction.labels, classes)
    if keep.maps:
        write_maps(folder / FOLDER, name, prediction, keep.maps)
    maps = class_maps(prediction) if keep.map_table or registry.take_maps() else {}
    rows = rows_of(
        frame,
        truth,
        prediction.labels,
        latency_ms=prediction.latency_ms,
        classes=classes,
        maps=maps,
    )
    if not keep.map_table:
        return rows, {}
    chosen = mask_of(truth, classes.channel)
    return rows, map_table.map_row(frame, maps[classes.chosen], chosen)


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

    rows: list[dict[str, object]] = []
    for of_frame in _measured_ahead(measure, records_of(frames), done):
        rows.extend(of_frame)
    return _as_table(rows)


def rows_of(
    frame: Mapping[str, Any],
    truth: Labels,
    prediction: Labels,
    *,
    latency_ms: float,
    classes: Classes = ONE,
    organisers: bool = False,
    maps: Mapping[str, NDArray[np.float32]] | None = None,
) -> Rows:
    """A frame's rows of the frame table: its counts, boundary distances and lesions.

    Truth and prediction are labels (H, W): bool, or class indices. ``organisers`` adds the
    organisers' Hausdorff figure; ``maps`` are the probabilities (H, W) by class, for plug-ins that
    ask for them.
    """
    known = maps or {}
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
        measured={
            name: _measured(*pair, known.get(name), organisers=organisers)
            for name, pair in pairs.items()
        },
        **{name: frame[name] for name in COPIED},
        latency_ms=latency_ms,
    )


def _measured(
    mask_truth: Mask,
    mask_prediction: Mask,
    map_: NDArray[np.float32] | None,
    *,
    organisers: bool,
) -> dict[str, float]:
    """The figures of a class in a frame that do not follow from its pixel counts."""
    measured: dict[str, float] = dict(boundary_distances(mask_truth, mask_prediction)._asdict())
    measured |= count_lesions(mask_truth, mask_prediction)._asdict()
    measured |= registry.measured(mask_truth, mask_prediction, map_)
    if organisers:
        measured["hausdorff_rows"] = hausdorff_rows(mask_truth, mask_prediction)
    return measured


def _measured_ahead(
    measure: Callable[[Item], Measured], items: Iterable[Item], done: Callable[[], object]
) -> Iterator[Measured]:
    """What is measured of each item, in order; measured in threads."""
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="counts") as pool:
        for found in map_ahead(pool, measure, items, few_ahead()):
            yield found
            done()


def _as_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
