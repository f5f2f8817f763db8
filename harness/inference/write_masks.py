"""Write masks for images or the frames of a video, in threads that follow the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.inference.make_predictor import SAMPLE, Sample
from harness.inference.maps import FOLDER, MapOptions, write_manifest, write_maps
from harness.inference.prediction import Prediction
from harness.inference.predictor import Predictor
from harness.inference.sources import Sources
from harness.inference.uncertainty import write_map
from harness.inference.video import Video, overlay, read_frames, writing
from harness.utils import device as devices
from harness.utils.parts import Shard
from harness.utils.prefetch import few_ahead, map_ahead
from metrics.masks.class_indices import mask_of, read_labels, write_mask
from metrics.masks.classes import Classes
from metrics.utils.errors import Fault
from metrics.utils.names import valid_text

UNCERTAINTY = "uncertainty"
"""Folder of the maps of disagreement, below that of the masks."""

Row = dict[str, Any]


def predict_images(
    predictor: Predictor,
    sources: Sources,
    out: Path,
    *,
    maps: MapOptions | None = None,
    done: Callable[[], object] = lambda: None,
    on_fault: Callable[[Fault], object] | None = None,
) -> list[Row]:
    """Write a mask for each image, ``NAME.png``, and its maps where they were asked for.

    Masks keep the images' paths below the sources' folder. ``maps`` is how probability maps are
    written, ``None`` for none. ``on_fault`` is called for each image that cannot be read, which is
    then left out.

    Returns:
        list: A row an image: its name, each class's share of the pixels, and the milliseconds that
            the prediction took.

    Raises:
        FaultsError: Images cannot be read, and ``on_fault`` is not given; all of them at once.
        UserError: If a mask cannot be written.
    """

    def write(prediction: Prediction) -> Row:
        image = prediction.image.relative_to(sources.root).as_posix()
        return _write(prediction, out, sources.mask_name(prediction.image), image, maps)

    if maps:
        write_manifest(out / FOLDER, maps, predictor.classes)
    rows = []
    predictions = predictor.predict(sources.images, on_fault=on_fault)
    with ThreadPoolExecutor(devices.cores(), thread_name_prefix="masks") as pool:
        for row in map_ahead(pool, write, predictions, few_ahead()):
            rows.append(row)
            done()
    return rows


def predict_video(
    predictor: Predictor,
    video: Video,
    out: Path,
    *,
    maps: MapOptions | None = None,
    shard: Shard | None = None,
    done: Callable[[], object] = lambda: None,
) -> list[Row]:
    """Write a mask for each frame, ``STEM_000001.png``, and a video with the masks' outlines.

    ``out`` also gets the video, ``STEM_overlay.mp4``, and the maps, as in :func:`predict_images`.
    With ``shard`` only its frames are predicted, and there is no such video; see
    :func:`write_overlay`.

    Returns:
        list: A row a frame: its mask's name, its second in the video, each class's share of the
            pixels, and the milliseconds that the prediction took. A truncated video gives the
            frames that can be read, see ``harness.inference.video.check_whole``.

    Raises:
        UserError: If a mask or the video cannot be written.
    """
    waiting: deque[tuple[float, NDArray[np.uint8]]] = deque()

    def frames() -> Iterator[tuple[Path, NDArray[np.uint8]]]:
        for number, pixels in read_frames(video, shard):
            waiting.append(((number - 1) / video.rate, pixels))
            yield _frame_name(video, number), pixels

    def pairs() -> Iterator[tuple[Prediction, float, NDArray[np.uint8]]]:
        for prediction in predictor.predict_pixels(frames()):
            yield prediction, *waiting.popleft()

    def write(item: tuple[Prediction, float, NDArray[np.uint8]]) -> tuple[Row, NDArray[np.uint8]]:
        prediction, second, pixels = item
        name = prediction.image.name
        row = _write(prediction, out, name, name, maps)
        return {**row, "second": second}, overlay(pixels, prediction.mask)

    if maps:
        write_manifest(out / FOLDER, maps, predictor.classes)
    rows: list[Row] = []
    with (
        writing(_overlay_file(video, out), video.rate) if shard is None else nullcontext() as film,
        ThreadPoolExecutor(devices.cores(), thread_name_prefix="masks") as pool,
    ):
        for row, drawn in map_ahead(pool, write, pairs(), few_ahead()):
            if film:
                film.add(drawn)
            rows.append(row)
            done()
    return rows


def write_overlay(
    video: Video, out: Path, classes: Classes, *, done: Callable[[], object] = lambda: None
) -> None:
    """Write the video with outlines of :func:`predict_video`, of masks that are there already.

    Raises:
        UserError: If a mask cannot be read, or the video cannot be written.
    """
    with writing(_overlay_file(video, out), video.rate) as film:
        for number, pixels in read_frames(video):
            labels = read_labels(out / _frame_name(video, number), classes)
            film.add(overlay(pixels, mask_of(labels, classes.channel)))
            done()


def first_frames(video: Video) -> Sample:
    """The first frames of a video as a sample to compare precisions on."""

    def sample(predictor: Predictor) -> Iterator[Prediction]:
        first = islice(read_frames(video), SAMPLE)
        return predictor.predict_pixels((_frame_name(video, n), pixels) for n, pixels in first)

    return sample


def _frame_name(video: Video, number: int) -> Path:
    """The name of a frame's mask; frames are counted from 1."""
    return Path(f"{video.path.stem}_{number:06d}.png")


def _overlay_file(video: Video, out: Path) -> Path:
    return out / f"{video.path.stem}_overlay.mp4"


def _write(
    prediction: Prediction, out: Path, name: str, image: str, maps: MapOptions | None
) -> Row:
    """Write a prediction's mask and the maps asked for; its row, under an image's name."""
    write_mask(out / name, prediction.labels, prediction.classes)
    if maps:
        write_maps(out / FOLDER, name, prediction, maps)
    row: Row = {"image": valid_text(image)}
    labels = prediction.labels
    row |= {
        f"{class_}_share": np.count_nonzero(mask_of(labels, index)) / labels.size
        for index, class_ in enumerate(prediction.classes.names, start=1)
    }
    row["latency_ms"] = prediction.latency_ms
    if (found := prediction.uncertainty) is not None:
        write_map(out / UNCERTAINTY / name, found)
        row |= {
            "disagreement": found.disagreement,
            "vote_variance": found.vote_variance,
            "mean_deviation": float(found.deviation.mean()),
        }
    return row
