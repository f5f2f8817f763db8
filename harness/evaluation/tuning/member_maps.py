"""The probability maps of every member of an ensemble on a split, predicted once."""

from __future__ import annotations

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
from harness.inference.postprocess import THRESHOLD, resize_map
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.runs.network import Loaded
from harness.utils import device as devices
from metrics.frame.pixel_counts import count
from metrics.masks.class_indices import mask_of
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
    """Each member's probabilities of the chosen class, in a file that memory is mapped to.

    Args:
        loaded: The run's network.
        frames: Rows of a catalogue.
        inference: How it predicts.
        file: Where the maps are kept, ``.npy``.
        members: Names of the members wanted; by default all.
        done: Called after each frame of each member.

    Returns:
        dict: Member to its maps, float32 (N, S, S).

    Raises:
        UserError: If a frame cannot be read.
        UnwritableError: If the disk has no room for all maps.
    """
    network = loaded.network
    networks = network.members if isinstance(network, DivergentNets) else [network]
    by_name = dict(zip(member_names(loaded), networks, strict=True))
    wanted = [name for name in by_name if not members or name in members]
    images = [Path(image) for image in frames["image"]]
    maps = _new_array(file, (len(wanted), len(images), loaded.size, loaded.size))
    channel = loaded.classes.channel - 1
    for place, name in enumerate(wanted):
        predictor = Predictor(
            by_name[name], size=loaded.size, inference=inference, classes=loaded.classes
        )
        for at, prediction in enumerate(predictor.predict(images)):
            maps[place, at] = prediction.probabilities[channel]
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
        masks: Each mask's pixels, eight a byte.
        sizes: Height and width of each.
    """

    rows: list[dict[str, Any]]
    masks: list[NDArray[np.uint8]]
    sizes: list[tuple[int, int]]

    @classmethod
    def read(cls, frames: pd.DataFrame, loaded: Loaded) -> Truths:
        """Read the truth of the chosen class.

        Raises:
            UserError: If a mask cannot be read or is of another size than its frame.
        """
        records = frames.to_dict("records")
        classes, chosen = loaded.classes, loaded.classes.chosen

        def one(row: Mapping[Any, Any]) -> Mask:
            return mask_of(truth_of(row, classes=classes), classes.channel)

        with ThreadPoolExecutor(devices.cores()) as pool:
            masks = list(pool.map(one, records))
        return cls(
            rows=[
                {**{name: row[name] for name in COPIED}, "class": chosen, "chosen_class": chosen}
                for row in records
            ],
            masks=[np.packbits(mask) for mask in masks],
            sizes=[(mask.shape[0], mask.shape[1]) for mask in masks],
        )

    def mask(self, at: int) -> Mask:
        """A frame's mask, bool (H, W)."""
        height, width = self.sizes[at]
        flat = np.unpackbits(self.masks[at], count=height * width).astype(bool)
        return flat.reshape(height, width)

    def resized(self, at: int, size: int) -> Mask:
        """A frame's mask at the network's size."""
        return resize_map(self.mask(at).astype(np.float32), height=size, width=size) > THRESHOLD

    def measure(
        self,
        map_of: Callable[[int], NDArray[np.float32]],
        *,
        threshold: float,
        clean_up: CleanUp | None = None,
    ) -> list[dict[str, Any]]:
        """The frame table's rows of masks that are decided from maps at the network's size.

        ``map_of`` gives the map (S, S) of a frame by its place; masks are above the threshold.
        """

        def one(at: int) -> dict[str, Any]:
            height, width = self.sizes[at]
            mask = resize_map(map_of(at), height=height, width=width) > threshold
            mask = clean_up(mask) if clean_up else mask
            return {**self.rows[at], **count(self.mask(at), mask)._asdict()}

        with ThreadPoolExecutor(devices.cores()) as pool:
            return list(pool.map(one, range(len(self.rows))))


def mean_of(
    maps: dict[str, NDArray[np.float32]], names: Sequence[str]
) -> Callable[[int], NDArray[np.float32]]:
    """The mean of members' maps by frame, added in the order of the names, as prediction does."""

    def mean(at: int) -> NDArray[np.float32]:
        return mean_of_members(torch.from_numpy(maps[name][at]) for name in names).numpy()

    return mean
