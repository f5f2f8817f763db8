"""The layouts that are known: the challenge's, and those of plug-ins.

A plug-in is a package with an entry point in the group ``harness.datasets`` that loads to a
:class:`DatasetLayout`: it recognises a folder and lists the frames in it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from harness.data.listing import Listing, folders_in, part
from metrics.utils.plugins import load

_CENTRE: Final = r"data_C\d+"
_TEST_SET: Final = r"EndoCV_DATA\d+"


class DatasetLayout(NamedTuple):
    """How one dataset lies in its folders.

    Attributes:
        name: What it is called in messages.
        expects: The folders it is known by, for a message.
        kind: Its short name, and the frames' ``dataset`` in a catalogue.
        matches: Whether a folder has this layout.
        fill: Adds the folder's frames to a listing (``add_pairs``, ``add_single``), for the dataset
            of that name.
    """

    name: str
    expects: str
    kind: str
    matches: Callable[[Path], bool]
    fill: Callable[[Listing, str], None]


def _fill_endocv(listing: Listing, dataset: str) -> None:
    for folder in folders_in(listing.root, _CENTRE):
        centre = folder.name.removeprefix("data_")
        images, masks = part(folder, "images", centre), part(folder, "masks", centre)
        listing.add_pairs(images, masks, dataset=dataset, centre=centre)
    sequences = listing.root / "sequenceData"
    for folder in folders_in(sequences / "positive"):
        sequence = folder.name
        images, masks = (part(folder, "images", sequence), part(folder, "masks", sequence))
        listing.add_pairs(images, masks, dataset=dataset, sequence=sequence)
    for folder in folders_in(sequences / "negativeOnly"):
        listing.add_single(folder, dataset=dataset, truth="empty", sequence=folder.name)


def _fill_test(listing: Listing, dataset: str) -> None:
    for folder in folders_in(listing.root, _TEST_SET):
        listing.add_single(folder, dataset=dataset, truth="withheld", test_set=folder.name)


def _fill_clinicdb(listing: Listing, dataset: str) -> None:
    listing.add_pairs(listing.root / "Original", listing.root / "Ground Truth", dataset=dataset)


def _fill_pairs(listing: Listing, dataset: str) -> None:
    listing.add_pairs(listing.root / "images", listing.root / "masks", dataset=dataset)


GROUP: Final = "harness.datasets"

BUILT_IN: Final = (
    DatasetLayout(
        name="EndoCV 2021 (PolypGen)",
        expects="data_C1/images_C1 with data_C1/masks_C1, and sequenceData/",
        kind="endocv2021",
        matches=lambda root: bool(
            folders_in(root, _CENTRE) or folders_in(root / "sequenceData", "positive|negativeOnly")
        ),
        fill=_fill_endocv,
    ),
    DatasetLayout(
        name="EndoCV 2021 test frames",
        expects="EndoCV_DATA1/, EndoCV_DATA2/ and so on",
        kind="endocv2021-test",
        matches=lambda root: bool(folders_in(root, _TEST_SET)),
        fill=_fill_test,
    ),
    DatasetLayout(
        name="CVC-ClinicDB",
        expects="Original/ with 'Ground Truth/'",
        kind="cvc-clinicdb",
        matches=lambda root: len(folders_in(root, "Original|Ground Truth")) == 2,
        fill=_fill_clinicdb,
    ),
    DatasetLayout(
        name="images and masks (HyperKvasir, Kvasir-SEG or your own)",
        expects="images/ with masks/",
        kind="plain",
        matches=lambda root: len(folders_in(root, "images|masks")) == 2,
        fill=_fill_pairs,
    ),
)
"""The challenge's layouts, and last the one that fits any pair of folders."""


@cache
def layouts() -> tuple[DatasetLayout, ...]:
    """Every layout in the order in which they are tried: plug-ins before the last one built in.

    A plug-in that fails is named and left out.
    """
    *own, general = BUILT_IN
    taken = [layout.kind for layout in BUILT_IN]
    found = load(GROUP, DatasetLayout, what="dataset", name=lambda layout: layout.kind, taken=taken)
    return (*own, *found.values(), general)


def plug_in_kinds() -> tuple[str, ...]:
    """The kinds that plug-ins bring."""
    built_in = {layout.kind for layout in BUILT_IN}
    return tuple(layout.kind for layout in layouts() if layout.kind not in built_in)
