"""Dataset layouts: recognising a folder, and listing its frames as a catalogue, one row a frame.

A layout is recognised by its folders alone, also one or two levels below the folder given, so that
the folder a dataset unpacks to and those around it all work. Datasets that keep frames and masks in
a folder each are rows of ``pair_layouts``. A plug-in adds a layout: a package
with an entry point in the group ``harness.datasets`` that loads to a :class:`DatasetLayout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pandas as pd

from harness.data.listing import ENDINGS, FrameFiles, Listing, folders_in, images_in, part
from harness.data.pair_layouts import GENERAL, SPECIFIC
from metrics.masks.image import read_size
from metrics.utils.errors import Fault, FaultsError, UserError, or_fault
from metrics.utils.names import counted, few
from metrics.utils.plugins import load

GROUP: Final = "harness.datasets"
"""The entry points of plug-ins."""

COLUMNS: Final = (
    "frame", "name", "dataset", "centre", "sequence", "test_set", "split", "image", "mask", "truth",
    "height", "width",
)  # fmt: skip
"""The columns of a catalogue, in order."""

_READERS: Final = 8
_LEVELS: Final = 3
_SHOWN: Final = 8
_CENTRE: Final = r"data_C\d+"
_TEST_SET: Final = r"EndoCV_DATA\d+"


class DatasetLayout(NamedTuple):
    """How a dataset is laid out in folders.

    Attributes:
        name: For messages.
        expects: The folders that it is recognised by, for messages.
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
    *(DatasetLayout(r.name, r.expects, r.kind, r.matches, r.fill) for r in (*SPECIFIC, *GENERAL)),
)
"""The layouts of single datasets, then those that fit any."""


@cache
def known_layouts() -> tuple[DatasetLayout, ...]:
    """All layouts in the order in which they are tried: plug-ins before those that fit any dataset.

    A plug-in that fails is reported and left out.
    """
    own, general = BUILT_IN[: -len(GENERAL)], BUILT_IN[-len(GENERAL) :]
    taken = [layout.kind for layout in BUILT_IN]
    found = load(GROUP, DatasetLayout, what="dataset", name=lambda layout: layout.kind, taken=taken)
    return (*own, *found.values(), *general)


def plug_in_kinds() -> tuple[str, ...]:
    """The kinds of the layouts that plug-ins add."""
    built_in = {layout.kind for layout in BUILT_IN}
    return tuple(layout.kind for layout in known_layouts() if layout.kind not in built_in)


def read_headers(listing: Listing) -> pd.DataFrame:
    """The catalogue of listed frames; their headers are read, but no pixel is decoded.

    Returns:
        DataFrame: One row a frame with the columns ``COLUMNS``: text, but for ``height`` and
        ``width`` (int64 pixels); ``mask`` is empty where there is none. The order is natural and
        the same on every machine.

    Raises:
        FaultsError: If a frame cannot be used: no mask where one is due, two files of one name,
            or a file that is no image; all of them at once.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        results = list(pool.map(or_fault(read_size), [frame.image for frame in listing.frames]))
    faults = [*listing.faults, *(result for result in results if isinstance(result, Fault))]
    if faults:
        raise FaultsError(faults, f"the frames in {listing.root} cannot be used as they are")
    sizes = [result for result in results if not isinstance(result, Fault)]
    return to_catalogue(listing.frames, sizes)


def list_frames(root: Path, *, dataset: str | None = None, kinds: Sequence[str] = ()) -> Listing:
    """List the frames of a dataset folder, with its faults; no file is opened.

    ``dataset`` names the frames in place of the layout's own name; ``kinds`` are the layouts that
    the folder may have, by ``DatasetLayout.kind``, any by default.

    Raises:
        UserError: If the folder is missing, its layout is not recognised or not of ``kinds``, or
            it has no frames.
    """
    layout, folder = recognise(root)
    if kinds and layout.kind not in kinds:
        known = {other.kind: other for other in known_layouts()}
        wanted = [f"{known[kind].name}: {known[kind].expects}" for kind in kinds]
        raise UserError(f"{folder} is laid out as {layout.name}; expected {'; or '.join(wanted)}")
    listing = Listing(layout=layout.name, root=folder)
    layout.fill(listing, dataset or _own_name(layout, folder))
    listing.add_dead_links()
    if not listing.frames and not listing.faults:
        raise UserError(
            f"no frames in {folder}, which is laid out as {layout.name}. Expected "
            f"{ENDINGS} files in {layout.expects}. "
            f"{listing.remark or 'Was it unpacked to the end?'}"
        )
    return listing


def recognise(root: Path) -> tuple[DatasetLayout, Path]:
    """The layout of a folder, and the folder that has it: ``root`` or one that it holds.

    Raises:
        UserError: If the folder is missing, or none or several layouts are found.
    """
    if not root.is_dir():
        kind = "is a file" if root.exists() else "does not exist"
        raise UserError(f"{root} {kind}; expected the folder of a dataset")
    level = [root]
    for _ in range(_LEVELS):
        found = [(layout, path) for path in level if (layout := _layout_of(path))]
        if len(found) == 1:
            return found[0]
        if found:
            lines = [f"several datasets in {root}; give one of them:"]
            lines += [f"  {path}: {layout.name}" for layout, path in found[:_SHOWN]]
            lines += [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            raise UserError("\n".join(lines))
        level = [path for folder in level for path in folders_in(folder)]
    raise UserError(_unrecognised(root))


def _layout_of(folder: Path) -> DatasetLayout | None:
    return next((layout for layout in known_layouts() if layout.matches(folder)), None)


def _own_name(layout: DatasetLayout, folder: Path) -> str:
    """The dataset's name; pairs of images and masks are told apart by other files and names."""
    if layout.kind not in {row.kind for row in GENERAL}:
        return layout.kind
    # Kvasir-SEG's release spells the name of its own box file so.
    if folder.name.lower() == "kvasir-seg" or (folder / "kavsir_bboxes.json").is_file():
        return "kvasir-seg"
    if folder.name.lower() == "segmented-images" or (folder / "bounding-boxes.json").is_file():
        return "hyperkvasir"
    return "plain"


def to_catalogue(frames: Sequence[FrameFiles], sizes: Sequence[tuple[int, int]]) -> pd.DataFrame:
    """One row a frame, from listed frames and their heights and widths in pixels."""
    texts = ("frame", "name", "dataset", "centre", "sequence", "test_set", "split", "truth")
    columns: dict[str, Any] = {name: [getattr(f, name) for f in frames] for name in texts}
    # Paths may hold bytes that are no UTF-8, which pandas' own type of text refuses.
    columns["image"] = pd.Series([str(frame.image) for frame in frames], dtype=object)
    columns["mask"] = pd.Series([str(frame.mask or "") for frame in frames], dtype=object)
    columns["height"] = [height for height, _ in sizes]
    columns["width"] = [width for _, width in sizes]
    return pd.DataFrame(columns, columns=list(COLUMNS))


def _unrecognised(root: Path) -> str:
    found = [f"{path.name}/" for path in folders_in(root)]
    images = len(images_in(root))
    found += [counted(images, "image")] if images else []
    lines = [f"{root} is laid out as no dataset known here.", "Expected one of:"]
    lines += [f"  {layout.name}: {layout.expects}" for layout in known_layouts()]
    lines.append(f"Found: {few(found, _SHOWN) or 'nothing'}.")
    lines.append("Two folders of any names: harness init --pair train IMAGES MASKS")
    layout = _layout_of(root.parent)
    if layout is not None and layout.kind != "sets":  # unrelated datasets may lie side by side
        lines.append(f"The folder above it is laid out as {layout.name}: give {root.parent}.")
    return "\n".join(lines)
