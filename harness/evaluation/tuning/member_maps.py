"""The probability maps of every member of an ensemble on a split, predicted once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.frames import truth_of
from harness.evaluation.map_table import COPIED
from harness.inference.clean_up import CleanUp
from harness.inference.postprocess import upsample_and_decide
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs.network import Loaded
from harness.utils import device as devices
from metrics.frame.pixel_counts import count
from metrics.masks.class_indices import Labels, mask_of
from metrics.masks.classes import Classes
from metrics.masks.read import Mask
from metrics.utils.files import unwritable
from models.divergentnets import DivergentNets
from models.fusion import mean_of_members

if TYPE_CHECKING:
    import pandas as pd


def member_names(loaded: Loaded) -> tuple[str, ...]:
    """The members of an ensemble; a single network is its own only member, by its model's name."""
    network = loaded.network
    return network.names if isinstance(network, DivergentNets) else (loaded.run.model,)


def predict_maps(
    loaded: Loaded,
    frames: pd.DataFrame,
    inference: Inference,
    file: Path,
    *,
    members: Sequence[str] = (),
    done: Callable[[], object] = lambda: None,
) -> dict[str, NDArray[np.float32]]:
    """Each member's probabilities of the classes, in a file that memory is mapped to.

    Args:
        loaded: The run's network.
        frames: Rows of a catalogue.
        inference: How it predicts.
        file: Where the maps are kept, ``.npy``.
        members: Names of the members wanted; by default all.
        done: Called after each frame of each member.

    Returns:
        dict: Member to its maps, float32 (N, K, S, S) of the K foreground classes.

    Raises:
        UserError: If a frame cannot be read.
        UnwritableError: If the disk has no room for all maps.
    """
    network = loaded.network
    networks = network.members if isinstance(network, DivergentNets) else [network]
    by_name = dict(zip(member_names(loaded), networks, strict=True))
    wanted = [name for name in by_name if not members or name in members]
    images = [Path(image) for image in frames["image"]]
    shape = (len(wanted), len(images), len(loaded.classes), loaded.size, loaded.size)
    maps = _new_array(file, shape)
    for place, name in enumerate(wanted):
        predictor = Predictor(
            by_name[name], size=loaded.size, inference=inference, classes=loaded.classes
        )
        for at, prediction in enumerate(predictor.predict(images)):
            maps[place, at] = prediction.probabilities
            done()
    return dict(zip(wanted, maps, strict=True))


def _new_array(file: Path, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array of zeros, float32, in a new file."""
    try:
        array: NDArray[np.float32] = np.lib.format.open_memmap(file, "w+", np.float32, shape)
        # The new file is one hole. Where the disk is full when a value is written into it, the
        # system ends the process (SIGBUS) without a word, so the room is taken now.
        if hasattr(os, "posix_fallocate"):
            with file.open("r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    except OSError as error:
        raise unwritable(file.parent, error) from error
    return array


@dataclass(frozen=True, kw_only=True)
class Truths:
    """The true masks of frames, packed, and what their rows of a frame table begin with.

    Attributes:
        rows: The frames' rows.
        masks: Each frame's pixels by class, eight a byte.
        sizes: Height and width of each.
        classes: The foreground classes.
    """

    rows: list[dict[str, Any]]
    masks: list[NDArray[np.uint8]]
    sizes: list[tuple[int, int]]
    classes: Classes

    @classmethod
    def read(cls, frames: pd.DataFrame, loaded: Loaded) -> Truths:
        """Read the truth of all classes; the rows are of the chosen one.

        Raises:
            UserError: If a mask cannot be read or is of another size than its frame.
        """
        records = frames.to_dict("records")
        classes, chosen = loaded.classes, loaded.classes.chosen

        def one(row: Mapping[Any, Any]) -> tuple[NDArray[np.uint8], tuple[int, int]]:
            labels = truth_of(row, classes=classes)
            by_class = [mask_of(labels, 1 + at) for at in range(len(classes))]
            return np.packbits(by_class), (labels.shape[0], labels.shape[1])

        with ThreadPoolExecutor(devices.cores()) as pool:
            read = list(pool.map(one, records))
        return cls(
            rows=[
                {**{name: row[name] for name in COPIED}, "class": chosen, "chosen_class": chosen}
                for row in records
            ],
            masks=[masks for masks, _ in read],
            sizes=[size for _, size in read],
            classes=classes,
        )

    def by_class(self, at: int) -> Mask:
        """A frame's masks, bool (K, H, W)."""
        shape = (len(self.classes), *self.sizes[at])
        flat = np.unpackbits(self.masks[at], count=math.prod(shape)).astype(bool)
        return flat.reshape(shape)

    def resized(self, at: int, size: int) -> Labels:
        """A frame's labels at the network's size."""
        return upsample_and_decide(self.by_class(at).astype(np.float32), (size, size), "full-size")

    def measure(
        self,
        map_of: Callable[[int], NDArray[np.float32]],
        *,
        threshold: float,
        clean_up: CleanUp | None = None,
    ) -> list[dict[str, Any]]:
        """The frame table's rows of masks that are decided from maps at the network's size.

        ``map_of`` gives the maps (K, S, S) of a frame by its place. Pixels are decided as in
        prediction; a single class is above the threshold.
        """
        channel = self.classes.channel

        def one(at: int) -> dict[str, Any]:
            labels = upsample_and_decide(map_of(at), self.sizes[at], "full-size", threshold)
            mask = mask_of(labels, channel)
            mask = clean_up(mask) if clean_up else mask
            return {**self.rows[at], **count(self.by_class(at)[channel - 1], mask)._asdict()}

        with ThreadPoolExecutor(devices.cores()) as pool:
            return list(pool.map(one, range(len(self.rows))))


def mean_of(
    maps: dict[str, NDArray[np.float32]], names: Sequence[str]
) -> Callable[[int], NDArray[np.float32]]:
    """The mean of members' maps by frame, added in the order of the names, as prediction does."""

    def mean(at: int) -> NDArray[np.float32]:
        return mean_of_members(torch.from_numpy(maps[name][at]) for name in names).numpy()

    return mean
