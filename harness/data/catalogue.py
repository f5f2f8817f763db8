"""The catalogue of all frames that the settings name, with their splits."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from harness.config.settings import Settings, flag
from harness.data.check.inspect_frame import inspect_all
from harness.data.layouts import list_frames, plug_in_kinds, read_headers
from harness.data.listing import Listing, natural
from harness.data.roles import refuse_without_truth, role_listings, same_names
from harness.data.splits import OWN, SPLITS, Splits, assign, left_out, load_splits, unmatched
from harness.utils import console
from harness.utils.command_line import command_line
from harness.utils.device import cores
from metrics.masks.classes import Classes
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.names import counted, few

_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "endocv": ("endocv2021",),
    "hyperkvasir": ("plain", "cvc-clinicdb"),
    "test_frames": ("endocv2021-test",),
}
"""The layouts that the paper's folders may have, by setting."""

_WITH_TRUTH: Final = ("endocv", "hyperkvasir")

_SETTING: Final = {"train": "endocv", "val": "endocv", "test": "hyperkvasir"}
"""The setting that a message asks for where frames of a split are needed."""


def catalogue(settings: Settings, *, needs: Sequence[str] = ("train", "test")) -> pd.DataFrame:
    """All frames with a truth, and the split of each; what else lies there is said.

    Frames that a file of splits leaves out and files that are in two splits are warned of. The
    folders for the splits ``needs`` have to be set; others that are not are left out.

    Returns:
        DataFrame: As ``layouts.read_headers``, with ``split``; frames of no split have ''.

    Raises:
        UserError: If a setting is missing.
        FaultsError: If a folder is no dataset, frames cannot be used, or are in two splits.
    """
    require_frames(settings, needs or ("train", "test"), every=bool(needs))
    listings, faults = listings_of_settings(settings, _WITH_TRUTH)
    parts: list[pd.DataFrame] = []
    unread: list[Fault] = []
    for listing in listings.values():
        if listing.remark:
            console.warn(listing.remark)
        try:
            parts.append(read_headers(listing))
        except FaultsError as error:
            unread += error.faults
    if faults or unread:
        # Where all can be read at a second try, as with too few open files, the first one tells.
        faults += [*_every_fault(list(listings.values()), settings.classes)] or unread
        raise FaultsError(faults, "the frames cannot be used as they are")
    splits = splits_of(settings)
    frames = assign(pd.concat(parts, ignore_index=True), splits)
    if settings.splits is not None:
        for note in filter(None, (left_out(frames, splits), unmatched(frames, splits))):
            console.warn(note)
    if shared := _in_two_splits(frames):
        console.warn(f"In two splits, which makes figures too good: {few(shared, 3)}.")
    return frames


def _in_two_splits(frames: pd.DataFrame) -> list[str]:
    """Image files, also behind links, that are those of an earlier frame in another split."""
    first: dict[str, str] = {}
    return [
        image
        for image, split in zip(frames["image"], frames["split"], strict=True)
        if split and first.setdefault(os.path.realpath(image), split) != split
    ]


def _every_fault(listings: Sequence[Listing], classes: Classes) -> Iterator[Fault]:
    """What 'harness data check' finds in the files, so that nothing is left for the next call."""
    for listing in listings:
        yield from listing.faults
        reports = inspect_all(listing.frames, cores(), classes)
        for report in console.track(reports, "Looking at frames", len(listing.frames)):
            yield from report.faults


def require_frames(settings: Settings, splits: Sequence[str], *, every: bool = True) -> None:
    """Refuse settings without the frames of splits: of all of them, or of any unless ``every``.

    Raises:
        UserError: If they are not set; the message names each setting.
    """
    missing = [split for split in splits if not _is_set(settings, split)]
    if missing and (every or len(missing) == len(splits)):
        settings.require(*dict.fromkeys(_SETTING[split] for split in missing))


def _is_set(settings: Settings, split: str) -> bool:
    if settings.train is not None:
        return True  # a file of splits, or its sub-folders, may say what to test on
    if split == "test":
        return settings.hyperkvasir is not None or bool(settings.test)
    return settings.endocv is not None


def splits_of(settings: Settings) -> Splits:
    """The splits of the frames: of a file that is set, of the folders, or the paper's."""
    own = settings.train is not None and settings.splits is None
    return OWN if own else load_splits(settings.splits)


def is_paper_split(settings: Settings, split: str) -> bool:
    """Whether the frames of a split are those that the paper takes for it."""
    own_test = split == "test" and bool(settings.test)
    return settings.splits is None and settings.train is None and not own_test


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
            f"no frames in the split {split!r} (there are: {there}). "
            f"'{command_line('data check')}' shows what the folders hold; --splits takes another "
            "division."
        )
    return chosen


def listings_of_settings(
    settings: Settings, names: Sequence[str] = tuple(_KINDS)
) -> tuple[dict[str, Listing], list[Fault]]:
    """List the frames of all folders that are set; no file is opened.

    ``names`` are those of the paper's settings to take, beside ``train``, ``val`` and ``test``.

    Returns:
        The listings by setting or option, and a fault for each folder that is missing or laid out
        as another dataset. The listings' own faults stay with them.
    """
    paths = {name: path for name in names if (path := getattr(settings, name)) is not None}
    listings, faults = listings_of(paths, settings.rounds)
    if settings.train is not None and (paper := listings.get("hyperkvasir")):
        paper.frames = [dataclasses.replace(frame, split="test") for frame in paper.frames]
    own, own_faults = role_listings(settings)
    listings |= own
    with_truth = {name: one for name, one in listings.items() if name != "test_frames"}
    if "test_frames" in listings:
        _leave_out_known(listings["test_frames"], with_truth)
    return listings, [*faults, *own_faults, *same_names(with_truth)]


def _leave_out_known(test_frames: Listing, others: Mapping[str, Listing]) -> None:
    """Leave out test frames whose very files are set with their truth, too."""
    known = {frame.image.resolve() for one in others.values() for frame in one.frames}
    left = [frame for frame in test_frames.frames if frame.image.resolve() not in known]
    if count := len(test_frames.frames) - len(left):
        are = counted(count, "test frame is", "test frames are")
        test_frames.notes.append(f"{are} set with masks, too.")
    test_frames.frames = left


def listings_of(
    paths: Mapping[str, Path], rounds: Path | None = None
) -> tuple[dict[str, Listing], list[Fault]]:
    """As :func:`listings_of_settings`, of folders by setting, such as ``endocv``, alone.

    The folder ``test_frames`` may hold the test sets of a file of ``rounds``.
    """
    listings: dict[str, Listing] = {}
    faults = []
    for name, path in paths.items():
        try:
            listing = _of_rounds(path, rounds) if name == "test_frames" and rounds else None
            kinds = (*_KINDS[name], *(plug_in_kinds() if name in _WITH_TRUTH else ()))
            # Any dataset that is given as --hyperkvasir stands for HyperKvasir in the splits.
            dataset = name if name == "hyperkvasir" else None
            listing = listing or list_frames(path, kinds=kinds, dataset=dataset)
            if name in _WITH_TRUTH:
                refuse_without_truth(listing)
            listings[name] = listing
        except UserError as error:
            hint = "\nThose of a round of yours: --rounds FILE." if name == "test_frames" else ""
            faults.append(Fault(path=flag(name), message=error.message + hint))
    return listings, faults


def _of_rounds(folder: Path, rounds: Path) -> Listing | None:
    """The frames of all test sets of a file's rounds, as far as they are there.

    Raises:
        UserError: If the file cannot be used.
    """
    from submissions.rounds import IMAGE_FOLDERS, inner, load_rounds, test_set_folders

    if not folder.is_dir():
        return None
    sets: dict[str, Path] = {}
    for round_ in load_rounds(rounds).values():
        sets |= test_set_folders(folder, round_.test_sets, round_.layout.prefix)
    listing = Listing(layout="test sets of the rounds", root=folder)
    for name, path in sorted(sets.items(), key=lambda one: natural(one[0])):
        if path.is_dir():
            images = inner(path, IMAGE_FOLDERS)
            listing.add_single(images, dataset="test-frames", truth="withheld", test_set=name)
    return listing if listing.frames else None
