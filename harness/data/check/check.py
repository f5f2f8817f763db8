"""``harness data check``: count the frames of dataset folders and report all their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from harness.data.check import duplicates
from harness.data.check.inspect_frame import FrameReport, inspect_all
from harness.data.check.other_files import find_other_files
from harness.data.check.summary import summarise
from harness.data.frames import inverted_note
from harness.data.layouts import to_catalogue
from harness.data.listing import FrameFiles, Listing
from harness.data.splits import Splits, assign, left_out
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault
from metrics.utils.names import few

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
    track: Track | None = None,
) -> DataReport:
    """Decode all frames and masks, count them, and collect all faults.

    ``splits`` are those between which duplicates are searched; ``track`` wraps the stream of frame
    reports, whose number it is told, to show progress.

    Raises:
        FaultsError: If the splits overlap.
    """
    files = [frame for listing in listings for frame in listing.frames]
    stream: Iterable[FrameReport] = inspect_all(files, workers, classes)
    found = list(track(stream, len(files)) if track else stream)
    frames = to_catalogue(files, [(i.height, i.width) for i in found])
    own = bool((frames["split"] != "").any())
    frames = assign(frames, splits)
    frames["polyp"] = pd.Series([i.polyp for i in found], dtype=object)
    faults = [
        *chain.from_iterable((*listing.faults, *listing.oddities) for listing in listings),
        *chain.from_iterable(inspection.faults for inspection in found),
        *_leaks(frames, found),
    ]
    return DataReport(
        table=summarise(frames, with_paper=splits.name == "paper" and not own),
        faults=tuple(faults),
        notes=(
            *chain.from_iterable(listing.notes for listing in listings),
            *filter(None, [left_out(frames[frames["truth"] != "withheld"], splits)]),
            *_empty_masks(frames, classes.chosen),
            *_without_polyp(frames, classes.chosen),
            *_alpha(found),
            *_turned(files, found),
            *_inverted(files, found, classes.chosen),
            *_other_files(listings, faults),
        ),
    )


def _leaks(frames: pd.DataFrame, found: Sequence[FrameReport]) -> list[Fault]:
    labels = frames["split"].where(frames["truth"] != "withheld", WITHHELD).tolist()
    paths = frames["image"].tolist()
    digests = [inspection.digest for inspection in found]
    thumbnails = np.array([inspection.thumbnail for inspection in found], dtype=np.uint8)
    if not found:
        return []
    return [
        *duplicates.exact(labels, paths, digests),
        *duplicates.near(labels, paths, digests, thumbnails),
    ]


def _empty_masks(frames: pd.DataFrame, name: str) -> list[str]:
    count = int(((frames["truth"] == "mask") & (frames["polyp"] == False)).sum())  # noqa: E712
    return [f"{count} masks hold no {name}; their frames count as non-{name}."] if count else []


def _without_polyp(frames: pd.DataFrame, name: str) -> list[str]:
    known = frames[(frames["split"] != "") & frames["polyp"].notna()]
    return [
        f"No frame of {split} holds a pixel of {name}: it can neither train nor measure a model."
        for split, polyp in known.groupby("split", sort=False)["polyp"]
        if not polyp.any()
    ]


def _alpha(found: Sequence[FrameReport]) -> list[str]:
    count = sum(frame.has_alpha for frame in found)
    return [f"{count} masks have an alpha channel, which is not used."] if count else []


def _turned(files: Sequence[FrameFiles], found: Sequence[FrameReport]) -> list[str]:
    paths = [str(f.image) for f, report in zip(files, found, strict=True) if report.is_turned]
    what = "Orientation tags of frames are not followed, so masks have to lie as pixels are stored"
    return [f"{what}: {few(paths)}."] if paths else []


def _inverted(files: Sequence[FrameFiles], found: Sequence[FrameReport], name: str) -> list[str]:
    paths = [str(f.mask) for f, report in zip(files, found, strict=True) if report.looks_inverted]
    return [inverted_note(paths, name)] if paths else []


def _other_files(listings: Sequence[Listing], faults: Sequence[Fault]) -> list[str]:
    notes = []
    named = {fault.path for fault in faults}
    for listing in listings:
        used = [p for frame in listing.frames for p in (frame.image, frame.mask) if p]
        rest = find_other_files(listing.root, used)
        if rest.known:
            parts = ", ".join(f"{kind} ({count})" for kind, count in rest.known.items())
            notes.append(f"Not used in {listing.root}: {parts}.")
        unknown = [str(path) for path in rest.unknown if str(path) not in named]
        if unknown:
            notes.append(f"Stray files in {listing.root}: {few(unknown, UNKNOWN_NAMED)}.")
    return notes
