"""``harness data check``: count the frames of dataset folders and report all their faults."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from harness.data.check import duplicates
from harness.data.check.inspect_frame import FrameReport, inspect_all
from harness.data.check.summary import summarise
from harness.data.frames import inverted_note
from harness.data.layouts import to_catalogue
from harness.data.listing import FrameFiles, Listing
from harness.data.other_files import find_other_files
from harness.data.splits import Splits, assign, left_out, unmatched
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault
from metrics.utils.names import counted, few

Track = Callable[[Iterable[FrameReport], int], Iterable[FrameReport]]

WITHHELD = "test frames"
"""The label of the challenge's test sets, which are no split, in the search for duplicates."""

UNKNOWN_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """The result of a check: the counts (``summary.summarise``), every fault, and notes."""

    table: pd.DataFrame
    faults: tuple[Fault, ...]
    notes: tuple[str, ...]


def check(
    listings: Sequence[Listing],
    splits: Splits,
    *,
    classes: Classes = ONE,
    workers: int = 2,
    track: Track = lambda reports, _total: reports,
) -> DataReport:
    """Decode all frames and masks, count them, and collect all faults.

    ``splits`` are those between which duplicates are searched; ``track`` wraps the stream of frame
    reports, whose number it is told, to show progress.

    Raises:
        FaultsError: If the splits overlap.
    """
    files = [frame for listing in listings for frame in listing.frames]
    frames = to_catalogue(files, [(0, 0)] * len(files))
    own = bool((frames["split"] != "").any())
    frames = assign(frames, splits)  # refuses splits that overlap, before anything is decoded
    found = list(track(inspect_all(files, workers, classes), len(files)))
    frames["height"] = [report.height for report in found]
    frames["width"] = [report.width for report in found]
    frames["holds"] = pd.Series([report.holds for report in found], dtype=object)
    known = frames[frames["truth"] != "withheld"]
    # Of the paper's datasets many users have a part alone, so what is missing there is no news.
    lost = unmatched(known, splits) if splits.name != "paper" else ""
    faults = [
        *chain.from_iterable((*listing.faults, *listing.oddities) for listing in listings),
        *chain.from_iterable(report.faults for report in found),
        *_leaks(frames, found),
    ]
    return DataReport(
        table=summarise(frames, classes, with_paper=splits.name == "paper" and not own),
        faults=tuple(faults),
        notes=(
            *chain.from_iterable(listing.notes for listing in listings),
            *filter(None, (left_out(known, splits), lost)),
            *_masks(frames, classes),
            *_oddities(files, found, classes.chosen),
            *_other_files(listings, faults),
        ),
    )


def _leaks(frames: pd.DataFrame, found: Sequence[FrameReport]) -> list[Fault]:
    labels = frames["split"].where(frames["truth"] != "withheld", WITHHELD).tolist()
    paths = frames["image"].tolist()
    digests = [report.digest for report in found]
    thumbnails = np.array([report.thumbnail for report in found])
    return [
        *duplicates.exact(labels, paths, digests),
        *duplicates.near(labels, paths, digests, thumbnails),
    ]


def _masks(frames: pd.DataFrame, classes: Classes) -> Iterator[str]:
    """Notes on masks without any class, and on splits that lack one."""
    known = frames[frames["holds"].notna()]
    if count := sum(not any(holds) for holds in known[known["truth"] == "mask"]["holds"]):
        names, name = " or ".join(classes.names), classes.chosen
        what = f"{counted(count, 'mask holds', 'masks hold')} no {names}"
        yield f"{what}: such a frame is non-{name}." if len(classes) == 1 else f"{what}."
    for split, holds in known[known["split"] != ""].groupby("split", sort=False)["holds"]:
        for name, of_class in zip(classes.names, zip(*holds, strict=True), strict=True):
            if not any(of_class):
                what = f"No frame of {split} holds a pixel of {name}"
                yield f"{what}: it can neither train nor measure a model of it."


def _oddities(
    files: Sequence[FrameFiles], found: Sequence[FrameReport], name: str
) -> Iterator[str]:
    """Notes on files that are read, but perhaps not as they were meant."""
    if count := sum(report.has_alpha for report in found):
        yield f"{counted(count, 'mask has', 'masks have')} an alpha channel, which is not used."
    pairs = list(zip(files, found, strict=True))
    if turned := [str(frame.image) for frame, report in pairs if report.is_turned]:
        what = (
            "Orientation tags of frames are not followed, so masks have to lie as pixels are stored"
        )
        yield f"{what}: {few(turned)}."
    if inverted := [str(frame.mask) for frame, report in pairs if report.looks_inverted]:
        yield inverted_note(inverted, name)


def _other_files(listings: Sequence[Listing], faults: Sequence[Fault]) -> Iterator[str]:
    named = {fault.path for fault in faults}
    for listing in listings:
        files = (path for frame in listing.frames for path in (frame.image, frame.mask))
        used = [*filter(None, files), *listing.tables]
        known, others = find_other_files(listing.root, used)
        if known:
            parts = ", ".join(f"{kind} ({count})" for kind, count in known.items())
            yield f"Not used in {listing.root}: {parts}."
        unknown = [path for path in others if str(path) not in named]
        if stray := _by_folder(unknown, listing.root, used):
            yield f"Stray files in {listing.root}: {few(stray, UNKNOWN_NAMED)}."


def _by_folder(files: Sequence[Path], root: Path, used: Sequence[Path]) -> list[str]:
    """Files as seen from the root; those of a folder of which nothing is used are counted."""
    around = {root}.union(*({folder, *folder.parents} for folder in {path.parent for path in used}))

    @functools.cache
    def unused(folder: Path) -> Path | None:
        """The highest folder around of which nothing is used."""
        return None if folder in around else unused(folder.parent) or folder

    counts = Counter(unused(path.parent) or path for path in files)
    return [
        f"{path.relative_to(root)}/ ({count})" if path.is_dir() else str(path.relative_to(root))
        for path, count in counts.items()
    ]
