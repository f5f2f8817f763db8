"""``harness init``: check the folders and write ``harness.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import setting_option
from harness.config import settings
from harness.utils import console
from metrics.masks.classes import Classes, Value
from metrics.utils.errors import Fault, FaultsError, UserError

if TYPE_CHECKING:
    from harness.data.listing import Listing

DATA = ("endocv", "hyperkvasir", "test_frames")

_NEXT = (
    ("", "harness data check"),
    ("endocv", "harness train --preset quick"),
    ("endocv", "harness evaluate --split val"),
    ("hyperkvasir", "harness evaluate --split test"),
    ("test_frames", "harness submit --round 1"),
    ("test_frames", "harness submit --round 2"),
    ("", "harness leaderboard"),
)
"""Next steps, each with the setting that it needs."""


EPILOG = """\b
Examples:
  harness init --endocv DIR --hyperkvasir DIR --test-frames DIR
  harness init --workspace /big/disk/workspace
  harness init --class polyp=255 --class instrument=128
  harness init --class neoplastic=#ff0000 --class non-neoplastic=#00ff00
"""


def _classes(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, Value]:
    """Mask values by class, refused if two are the same or too close."""
    pairs = [(name, value) for name, _, value in (text.rpartition("=") for text in given)]
    wrong = [text for text, (_, value) in zip(given, pairs, strict=True) if not _is_value(value)]
    if wrong:
        raise click.BadParameter(
            f"expected NAME=VALUE, such as polyp=255 or polyp=#ff0000; got {', '.join(wrong)}"
        )
    values = {name: value if "#" in value else int(value) for name, value in pairs}
    if given:
        Classes(names=tuple(name for name, _ in pairs), values=tuple(values[n] for n, _ in pairs))
    return values


def _is_value(text: str) -> bool:
    return text.isdecimal() or text.startswith("#")


@click.command(epilog=EPILOG)
@setting_option("endocv", env=False)
@setting_option("hyperkvasir", env=False)
@setting_option("test_frames", env=False)
@setting_option("workspace", env=False)
@setting_option("splits", env=False)
@setting_option("rounds", env=False)
@click.option(
    "--class",
    "classes",
    multiple=True,
    callback=_classes,
    metavar="NAME=VALUE",
    help="A class and its grey value or colour (#RRGGBB) in the masks; repeatable. By default "
    "there is one class, polyp, above 127.",
)
@click.option("--force", is_flag=True, help="Change settings that harness.toml already has.")
def command(force: bool, classes: dict[str, Value], **paths: Path | None) -> None:
    """Write harness.toml in the current folder: where the frames are.

    The folders are checked first, and nothing is written if one of them has faults. Other settings
    in harness.toml are kept.
    """
    given = {name: path for name, path in paths.items() if path is not None}
    if not given and not classes:
        wanted = " ".join(f"{settings.flag(name)} DIR" for name in DATA)
        raise click.UsageError(f"nothing to write; give at least one of {wanted}")
    listings = look_at(given)
    file = Path(settings.FILE_NAME)
    merged = merge(file, given, classes, force=force)
    settings.write_file(file, merged)
    for name, listing in listings.items():
        frames = f"{len(listing.frames):,} frames"
        console.note(f"{settings.flag(name)}: {frames}, {listing.layout}, {listing.root}")
    console.success(f"Wrote {file.absolute()}.")
    missing = [name for name in DATA if name not in merged]
    if missing:
        console.note(f"Not set yet: {', '.join(settings.flag(name) for name in missing)}.")
    steps = [step for needed, step in _NEXT if not needed or needed in merged]
    console.note("\n".join(["Next:", *(f"  {step}" for step in steps)]))


def look_at(given: dict[str, Path]) -> dict[str, Listing]:
    """List the frames of every folder given.

    Raises:
        FaultsError: If a folder is missing or laid out as something else, or frames in it cannot
            be used; all of it at once.
    """
    from harness.data.catalogue import listings_of

    folders = {name: path for name, path in given.items() if name in DATA}
    listings, faults = listings_of(folders)
    faults += [fault for listing in listings.values() for fault in listing.faults]
    faults += _file_faults(given)
    if faults:
        raise FaultsError(faults, f"nothing was written to {settings.FILE_NAME}")
    return listings


def _file_faults(given: dict[str, Path]) -> list[Fault]:
    """Faults of the settings other than datasets."""
    from harness.data.splits import load_splits

    faults = []
    workspace, rounds = given.get("workspace"), given.get("rounds")
    if workspace and workspace.exists() and not workspace.is_dir():
        message = f"{workspace} is a file; expected a folder, or a name that is free"
        faults.append(Fault(path=settings.flag("workspace"), message=message))
    if rounds and not rounds.is_file():
        faults.append(Fault(path=settings.flag("rounds"), message=f"no file {rounds}"))
    try:
        load_splits(given.get("splits"))
    except FaultsError as error:
        faults += error.faults
    except UserError as error:
        faults.append(Fault(path=settings.flag("splits"), message=error.message))
    return faults


def merge(
    file: Path, given: dict[str, Path], classes: dict[str, Value], *, force: bool
) -> dict[str, Any]:
    """The settings of the file, with those given.

    Raises:
        UserError: If the file says something else, or cannot be read, and ``force`` is not set.
    """
    try:
        old = settings.read_file(file)
    except UserError:
        if not force:
            raise
        old = {}
    here = file.absolute().parent
    changed = [
        name
        for name, path in given.items()
        if name in old and (here / old[name]).resolve() != (here / path).resolve()
    ]
    lines = [f"  {settings.flag(name)}: {old[name]} there, {given[name]} here" for name in changed]
    if classes and old.get(settings.CLASSES, classes) != classes:
        lines.append(f"  [classes]: {_shown(old[settings.CLASSES])} there, {_shown(classes)} here")
    if lines and not force:
        raise UserError(
            "\n".join([f"{file} says something else already:", *lines, "Change it with --force."])
        )
    return {**old, **given, **({settings.CLASSES: classes} if classes else {})}


def _shown(classes: dict[str, Value]) -> str:
    return ", ".join(f"{name} {value}" for name, value in classes.items())
