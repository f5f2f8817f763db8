"""The frames of the folders that are set as ``train``, ``val`` and ``test``.

Each frame gets the split of its role here, but for those of a training folder that stands alone:
its own sub-folders or a file of splits divide it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.config.settings import Settings
from harness.config.sources import Pair, Source
from harness.data.layouts import list_frames
from harness.data.listing import ENDINGS, FrameFiles, Listing
from harness.data.pair_layouts import GENERAL_NAMES
from metrics.utils.errors import Fault, UserError


def role_listings(settings: Settings) -> tuple[dict[str, Listing], list[Fault]]:
    """List the frames of the folders of all roles; no file is opened.

    Returns:
        The listings by option, such as ``--train``, and a fault for each folder that cannot be
        read, or settings that contradict each other.
    """
    listings: dict[str, Listing] = {}
    faults = [Fault(path="", message=message) for message in contradictions(settings)]
    for option, role, name, source in _sources(settings):
        try:
            listing = list_source(source)
            refuse_without_truth(listing)
            if role != "test":
                _refuse_several(listing)
            if role == "train" and settings.val is None:
                _divided(listing, by_file=settings.splits is not None)
            else:
                _assign(listing, role, name)
        except UserError as error:
            faults.append(Fault(path=option, message=error.message))
        else:
            listings[option] = listing
    _tell_sets_apart(listings)
    return listings, faults


def contradictions(settings: Settings) -> list[str]:
    """What about the settings of frames cannot be meant together."""
    found = []
    if settings.train is not None and settings.endocv is not None:
        found.append("--train and --endocv both say what to train on; set one of them")
    if settings.val is not None and settings.train is None:
        found.append("--val needs --train; EndoCV's frames have a validation split of their own")
    if settings.val is not None and settings.splits is not None:
        found.append("--val and --splits both say what to validate on; set one of them")
    return found


def list_source(source: Source) -> Listing:
    """List the frames of a dataset's folder, or of a pair of folders.

    Raises:
        UserError: As for ``layouts.list_frames``.
    """
    if not isinstance(source, Pair):
        return list_frames(source)
    for folder in (source.images, source.masks):
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder; expected the folder of frames, or of masks")
    if source.images.samefile(source.masks):
        raise UserError(f"{source.masks} holds the frames, too; give masks a folder of their own")
    listing = Listing(layout="two folders", root=source.images)
    names = (source.mask_name,) if source.mask_name else GENERAL_NAMES
    listing.add_pairs(source.images, source.masks, dataset="plain", mask_names=names)
    if not listing.frames and not listing.faults:
        what = f"no frames in {source.images}; expected {ENDINGS} files"
        raise UserError(". ".join(filter(None, (what, listing.remark))))
    return listing


def _sources(settings: Settings) -> Iterator[tuple[str, str, str, Source]]:
    """Option, role, name and source of everything that is set."""
    for role, source in (("train", settings.train), ("val", settings.val)):
        if source is not None:
            yield f"--{role}", role, role, source
    for name, source in settings.test.items():
        yield f"--test {name}", "test", name, source


def _divided(listing: Listing, *, by_file: bool) -> None:
    """Leave the division of a training folder to a file of splits, or take its sub-folders'.

    Raises:
        UserError: If neither says what to validate on.
    """
    if by_file:
        listing.frames = [dataclasses.replace(frame, split="") for frame in listing.frames]
    elif all(frame.split != "val" for frame in listing.frames):
        raise UserError(
            "nothing says what to validate on. Give --val DIR or --splits FILE; or let "
            f"'harness init --train {listing.root}' divide the frames and keep the division"
        )


def _assign(listing: Listing, role: str, name: str) -> None:
    """Give a listing's frames the split of a role, and identifiers that begin with its name.

    Of a folder that is divided itself, only the part of the role is taken.

    Raises:
        UserError: If it has several parts, and none for the role.
    """
    counts = Counter(frame.split for frame in listing.frames)
    if len(counts) > 1:
        if role not in counts:
            there = ", ".join(filter(None, counts))
            raise UserError(f"{listing.root} is divided into {there}; none of them is {role}")
        rest = ", ".join(f"{part} ({count})" for part, count in counts.items() if part != role)
        listing.notes.append(f"Only the part {role} of {listing.root} is used; not: {rest}.")
        listing.frames = [frame for frame in listing.frames if frame.split == role]
    listing.frames = [_renamed(frame, role, name) for frame in listing.frames]


def refuse_without_truth(listing: Listing) -> None:
    """Refuse frames whose truth is withheld, where it is needed.

    Raises:
        UserError: If there are such frames.
    """
    if any(frame.truth == "withheld" for frame in listing.frames):
        raise UserError(f"{listing.root} has no masks; frames without are for --test-frames")


def _refuse_several(listing: Listing) -> None:
    """Refuse a folder of unrelated datasets, which may be several test sets but no training set."""
    sets = dict.fromkeys(f.test_set for f in listing.frames if f.dataset == "plain" and f.test_set)
    if sets:
        raise UserError(f"several datasets in {listing.root}; give one of: {', '.join(sets)}")


def _renamed(frame: FrameFiles, role: str, name: str) -> FrameFiles:
    own = frame.frame.removeprefix(f"{frame.dataset}/").removeprefix(f"{frame.split}/")
    return dataclasses.replace(
        frame,
        frame=f"{name}/{own}",
        dataset=name if frame.dataset == "plain" else frame.dataset,
        test_set=(frame.test_set or name) if role == "test" else frame.test_set,
        split=role,
    )


def _tell_sets_apart(listings: Mapping[str, Listing]) -> None:
    """Put the option's name before that of a test set which two folders have."""
    options = {option: listing for option, listing in listings.items() if " " in option}
    sets = ({frame.test_set for frame in listing.frames} for listing in options.values())
    counts = Counter(itertools.chain.from_iterable(sets))
    for option, listing in options.items():
        name = option.removeprefix("--test ")
        listing.frames = [
            dataclasses.replace(frame, test_set=f"{name} {frame.test_set}")
            if counts[frame.test_set] > 1 and frame.test_set != name
            else frame
            for frame in listing.frames
        ]


def same_names(listings: Mapping[str, Listing]) -> list[Fault]:
    """A fault for each frame, and each test set, whose name another folder has, too."""
    frames: dict[str, Path] = {}
    sets: dict[str, str] = {}
    faults = []
    for option, listing in listings.items():
        for name in dict.fromkeys(frame.test_set for frame in listing.frames if frame.test_set):
            if name in sets:
                message = f"has a test set {name!r}, as has {sets[name]}; leave out one of them"
                faults.append(Fault(path=option, message=message))
            sets.setdefault(name, option)
        for frame in listing.frames:
            first = frames.setdefault(frame.frame, frame.image)
            if first != frame.image:
                message = f"is called {frame.frame}, as is {first}; name the test set otherwise"
                faults.append(Fault(path=str(frame.image), message=message))
    return faults
