"""The catalogue of all frames that the settings name, with their splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from harness.config.settings import Settings, flag
from harness.data.layouts import find_frames, list_frames, plug_in_kinds
from harness.data.listing import Listing
from harness.data.splits import SPLITS, Splits, assign, load_splits
from metrics.utils.errors import Fault, UserError

SOURCES: Final = ("endocv", "hyperkvasir")
"""The settings that hold frames with their truth."""


def _find(name: str, path: Path) -> pd.DataFrame:
    return find_frames(path, kinds=_kinds(name), dataset=_ROLES.get(name))


def _kinds(name: str) -> tuple[str, ...]:
    """The layouts that a setting's folder may have."""
    return (*_KINDS[name], *(plug_in_kinds() if name in SOURCES else ()))


_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "endocv": ("endocv2021",),
    "hyperkvasir": ("plain", "cvc-clinicdb"),
    "test_frames": ("endocv2021-test",),
}

# Any dataset that is given as --hyperkvasir stands for HyperKvasir in the splits.
_ROLES: Final = {"hyperkvasir": "hyperkvasir"}


def catalogue(
    settings: Settings, splits: Splits | None = None, *, needs: Sequence[str] = SOURCES
) -> pd.DataFrame:
    """All frames with a truth, and the split of each.

    Args:
        settings: The datasets' folders; one that is not set and not needed is left out.
        splits: By default those of ``settings.splits``, else the paper's.
        needs: Settings that have to be set, of ``SOURCES``.

    Returns:
        DataFrame: As ``layouts.find_frames``, with ``split``; frames of no split have ''.

    Raises:
        UserError: If a setting is missing, or a folder is no dataset.
        FaultsError: If frames cannot be used, or are in two splits.
    """
    settings.require(*needs)
    if settings.endocv is None and settings.hyperkvasir is None:
        settings.require(*SOURCES)
    parts = [
        _find(name, path)
        for name, path in (("endocv", settings.endocv), ("hyperkvasir", settings.hyperkvasir))
        if path is not None
    ]
    frames = pd.concat(parts, ignore_index=True)
    return assign(frames, splits or load_splits(settings.splits))


def of_split(frames: pd.DataFrame, split: str) -> pd.DataFrame:
    """The frames of one split, numbered from 0.

    Raises:
        UserError: If there are none; the message counts those of each split.
    """
    chosen = frames[frames["split"] == split].reset_index(drop=True)
    if chosen.empty:
        counts = {name: int((frames["split"] == name).sum()) for name in SPLITS}
        there = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise UserError(
            f"no frames in the split {split!r} (there are: {there}). 'harness data check' shows "
            "what the folders hold; --splits takes another division."
        )
    return chosen


def listings_of(paths: Mapping[str, Path]) -> tuple[dict[str, Listing], list[Fault]]:
    """List the frames of the folders of several settings; no file is opened.

    Args:
        paths: Folders by setting: ``endocv``, ``hyperkvasir`` or ``test_frames``.

    Returns:
        The listings by setting, and a fault for each folder that is missing or laid out as
        another dataset. The listings' own faults stay with them.
    """
    listings: dict[str, Listing] = {}
    faults = []
    for name, path in paths.items():
        try:
            listings[name] = list_frames(path, kinds=_kinds(name), dataset=_ROLES.get(name))
        except UserError as error:
            faults.append(Fault(path=flag(name), message=error.message))
    return listings, faults
