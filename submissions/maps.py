"""Score a plain folder of probability maps, or masks, by the protocol of PraNet's evaluation."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from metrics.masks.class_indices import chosen_alone
from metrics.masks.classes import ONE, Classes
from metrics.masks.image import read_file
from metrics.masks.maps import read_map
from metrics.masks.read import decode_grey
from metrics.pranet import TRUTH_ABOVE, MapFigures, fit_map, measure_map, summarise_maps
from metrics.utils.cgroups import cores
from metrics.utils.errors import Fault, FaultsError, or_fault
from submissions.plain_folders import pair_folders


@dataclass(frozen=True, kw_only=True)
class MapScore:
    """The figures of a folder of maps.

    Attributes:
        folder: The maps.
        frames: Test set to frame name to what was measured.
        truth_sha256: Of the truth.
        notes: Remarks that are not faults.
    """

    folder: Path
    frames: dict[str, dict[str, MapFigures]]
    truth_sha256: str
    notes: tuple[str, ...]

    def by_set(self) -> pd.DataFrame:
        """The rows of PraNet's table, one a test set."""
        rows = [
            {"test_set": name, **summarise_maps(found.values())}
            for name, found in self.frames.items()
        ]
        return pd.DataFrame(rows)

    def by_frame(self) -> pd.DataFrame:
        """The same figures of each frame, one row each."""
        rows = [
            {"test_set": test_set, "frame": name, **summarise_maps([one])}
            for test_set, found in self.frames.items()
            for name, one in found.items()
        ]
        return pd.DataFrame(rows).drop(columns="n")


def score_maps(folder: Path, truth_folder: Path, classes: Classes = ONE) -> MapScore:
    """Score the maps of a folder, or of its test sets' folders.

    A map of another size than its truth is brought to it by ``metrics.pranet.fit_map``, in memory.

    Args:
        folder: Grey images of 8 or 16 bits, ``NAME.png`` or ``SET/NAME.png``.
        truth_folder: The true masks, with the same test sets and names.
        classes: What their values mean; the chosen class counts.

    Raises:
        FaultsError: Maps are missing, extra or cannot be read; all of them at once.
        UserError: A folder is missing or holds no images.
    """
    pairs = pair_folders(folder, truth_folder, "strict", classes)
    places = pairs.structure.masks
    paths = [(folder / one.path, pairs.truth.masks[one.test_set][one.name]) for one in places]
    with ThreadPoolExecutor(cores()) as pool:
        measured = list(pool.map(or_fault(partial(_measured, classes=classes)), paths))
    faults = [Fault(path=one.path, message=one.message) for one in pairs.structure.findings]
    faults += [one for one in measured if isinstance(one, Fault)]
    if faults:
        raise FaultsError(faults, f"{folder}: cannot be scored")
    frames: dict[str, dict[str, MapFigures]] = {name: {} for name in pairs.truth.masks}
    for place, figures in zip(places, measured, strict=True):
        if not isinstance(figures, Fault):
            frames[place.test_set][place.name] = figures
    return MapScore(
        folder=folder,
        frames=frames,
        truth_sha256=pairs.truth.sha256,
        notes=tuple(pairs.notes),
    )


def _measured(paths: tuple[Path, Path], classes: Classes) -> MapFigures:
    """The figures of a map and its truth."""
    path, truth_path = paths
    name = str(truth_path)
    data = chosen_alone(read_file(truth_path), classes, name=name)
    truth = decode_grey(data, name=name) > TRUTH_ABOVE
    return measure_map(fit_map(read_map(path), truth.shape), truth)
