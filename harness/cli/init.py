"""``harness init``: check the folders and write ``harness.toml``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from harness.cli.init_settings import merge
from harness.cli.next_steps import DATA, name_next_steps, name_overriding_variables
from harness.cli.options import setting_option
from harness.config import settings
from harness.config.sources import ROLES, absolute, parse_test_sets, source_faults
from harness.config.write_settings import set_aside, write_file
from harness.utils import console
from metrics.masks.classes import Classes, Value
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.files import atomic_path
from metrics.utils.names import counted

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.data.draw_splits import DrawnSplits
    from harness.data.listing import Listing

SPLITS_FILE: Final = "splits.toml"
"""Where a division that is drawn is kept, beside ``harness.toml``."""

OTHERS = ("workspace", "splits", "rounds")

EPILOG = """\b
Examples:
  harness init --endocv DIR --hyperkvasir DIR --test-frames DIR
  harness init --train DIR --val DIR --test kvasir=DIR --test etis=DIR
  harness init --train DIR
  harness init --train DIR --splits FILE
  harness init --pair train FRAMES MASKS --mask-name '{stem}_label'
  harness init --workspace /big/disk/workspace
  harness init --class polyp=255 --class instrument=128
  harness init --class neoplastic=#ff0000 --class non-neoplastic=#00ff00
"""


def _classes(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, Value]:
    """Mask values by class, refused if two are the same or too close."""
    pairs = [(name, value) for name, _, value in (text.rpartition("=") for text in given)]
    fits = [value.isdecimal() or value.startswith("#") for _, value in pairs]
    if wrong := [text for text, fit in zip(given, fits, strict=True) if not fit]:
        raise click.BadParameter(
            f"expected NAME=VALUE, such as polyp=255 or polyp=#ff0000; got {', '.join(wrong)}"
        )
    names = tuple(name for name, _ in pairs)
    values = tuple(value if "#" in value else int(value) for _, value in pairs)
    if given:
        Classes(names=names, values=values)
    return dict(zip(names, values, strict=True))


@click.command(epilog=EPILOG)
@setting_option("endocv", env=False)
@setting_option("hyperkvasir", env=False)
@setting_option("test_frames", env=False)
@setting_option("train", env=False)
@setting_option("val", env=False)
@setting_option("test", env=False, callback=lambda *given: parse_test_sets(given[2]) or None)
@click.option(
    "--pair",
    "pairs",
    nargs=3,
    multiple=True,
    metavar="ROLE FRAMES MASKS",
    help="Two folders of any names, as train, val, or the test set of another name; repeatable.",
)
@click.option(
    "--mask-name",
    metavar="TEXT",
    help="With --pair: how a mask is named after its frame, such as '{stem}_label'.",
)
@click.option(
    "--split-seed",
    type=click.IntRange(0),
    help="With --train alone: draws the frames that validate and test, by default 0.",
)
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
def command(
    force: bool,
    classes: dict[str, Value],
    pairs: tuple[tuple[str, str, str], ...],
    mask_name: str | None,
    split_seed: int | None,
    **values: Any,
) -> None:
    """Write harness.toml in the current folder: where the frames are.

    The folders are checked first, and nothing is written if one of them has faults. Comments and
    other settings in harness.toml are kept. Where --train stands alone, a tenth of its frames is
    drawn to validate and another to test on, whole sequences where they are known; splits.toml
    keeps the division.
    """
    given = {name: value for name, value in values.items() if value is not None}
    _add_pairs(given, pairs, mask_name)
    if not given and not classes:
        wanted = " ".join(f"{settings.flag(name)} DIR" for name in DATA)
        raise click.UsageError(f"nothing to write; give at least one of {wanted} --train DIR")
    file = Path(settings.FILE_NAME)
    # --split-seed asks for another division: merge() refuses that, without --force, as it does a
    # change of any setting, and the division that the file names is then not taken.
    draws = {"splits": SPLITS_FILE} if split_seed is not None and "splits" not in given else {}
    merged = merge(file, given | draws, classes, force=force)
    merged = {name: value for name, value in merged.items() if name not in draws}
    drawn = look_at(given, merged, split_seed or 0, force=force)
    if split_seed is not None and drawn is None:
        raise click.UsageError("--split-seed goes with --train alone; something else divides it")
    kept = {}
    if drawn is not None:
        merged["splits"] = SPLITS_FILE
        kept[SPLITS_FILE] = _write_splits(Path(SPLITS_FILE), drawn.text)
    kept[file.name] = write_file(file, merged)
    console.success(f"Wrote {file.absolute()}.")
    for name, copy in kept.items():
        if copy is not None:
            console.warn(f"The earlier {name} is kept as {copy.name}.")
    if drawn is not None:
        counts = ", ".join(f"{name} {count:,}" for name, count in drawn.counts.items() if count)
        console.note(f"Drew a division by seed {split_seed or 0}, kept in {SPLITS_FILE}: {counts}.")
        console.note(drawn.note)
    name_overriding_variables()
    name_next_steps(merged)


def _write_splits(path: Path, text: str) -> Path | None:
    """Write a division; where another one that was there is kept."""
    kept = None
    if path.exists() and path.read_bytes() != text.encode():
        kept = set_aside(path)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())
    return kept


def _add_pairs(
    given: dict[str, Any], pairs: tuple[tuple[str, str, str], ...], mask_name: str | None
) -> None:
    """Add pairs of folders to the settings given.

    Raises:
        UsageError: If a role is given twice, or the name of masks is none.
    """
    if mask_name is not None and not (pairs and "{stem}" in mask_name and "/" not in mask_name):
        raise click.UsageError("--mask-name goes with --pair and holds {stem}, as '{stem}_mask'")
    for role, images, masks in pairs:
        names = given if role in ("train", "val") else given.setdefault("test", {})
        if role in names:
            raise click.UsageError(f"{role} is given twice")
        table = {"images": images, "masks": masks}
        names[role] = table | ({"mask_name": mask_name} if mask_name else {})
        at = role if names is given else "test"
        for fault in source_faults(at, given[at]):
            raise click.UsageError(fault)


def look_at(
    given: dict[str, Any], merged: dict[str, Any], seed: int, *, force: bool
) -> DrawnSplits | None:
    """List the frames of every folder given, and draw a division where nothing else divides them.

    Raises:
        FaultsError: If a folder is missing or laid out as something else, or frames in it cannot
            be used; all of it at once.
    """
    from harness.data.catalogue import listings_of
    from harness.data.roles import role_listings, same_names

    rounds = absolute(Path.cwd(), merged["rounds"]) if "rounds" in merged else None
    paths = {name: given[name] for name in DATA if name in given}
    listings, faults = listings_of(paths, rounds)
    drawn = None
    if not {*ROLES, "splits"}.isdisjoint(given):
        values = {name: value for name, value in merged.items() if name != settings.CLASSES}
        chosen = settings.resolve(Path.cwd(), values)
        try:
            drawn = _draw(chosen, seed, force=force)
        except FaultsError as error:
            faults += error.faults
        except UserError as error:
            faults.append(Fault(path="--train", message=error.message))
        else:
            splits = Path.cwd() / SPLITS_FILE if drawn else chosen.splits
            own, own_faults = role_listings(replace(chosen, splits=splits))
            listings |= own
            faults += [*own_faults, *same_names(listings)]
    faults += [fault for listing in listings.values() for fault in listing.faults]
    faults += _file_faults(merged)
    if faults:
        raise FaultsError(faults, f"nothing was written to {settings.FILE_NAME}")
    _say_what_is_there(listings)
    return drawn


def _say_what_is_there(listings: dict[str, Listing]) -> None:
    for name, listing in listings.items():
        option = settings.flag(name) if name in DATA else name
        count = len(listing.frames)
        console.note(f"{option}: {counted(count, 'frame')}, {listing.layout}, {listing.root}")
        for note in listing.notes:
            console.note(note)


def _draw(chosen: Settings, seed: int, *, force: bool) -> DrawnSplits | None:
    """A division of the training folder; ``None`` where something says already what validates.

    Raises:
        UserError: If the folder is no dataset or cannot be divided, or a file of the name is there.
        FaultsError: If it cannot be divided because of faults in it.
    """
    from harness.data.draw_splits import draw_splits
    from harness.data.roles import list_source

    if chosen.train is None or chosen.val is not None or chosen.splits is not None:
        return None
    listing = list_source(chosen.train)
    if any(frame.split == "val" for frame in listing.frames):
        return None
    has_test = bool(chosen.test) or chosen.hyperkvasir is not None
    try:
        drawn = draw_splits(listing.frames, seed, with_test=not has_test)
    except UserError:
        if not listing.faults:
            raise
        raise FaultsError(listing.faults) from None  # because of these too few frames are left
    file = Path(SPLITS_FILE)
    if not force and file.exists() and file.read_bytes() != drawn.text.encode():
        raise UserError(
            f"{file} is there already: use it with --splits {file}, or draw another division with "
            "--force"
        )
    return drawn


def _file_faults(merged: dict[str, Any]) -> list[Fault]:
    """Faults of the settings other than datasets."""
    from harness.data.splits import load_splits
    from submissions.rounds import load_rounds

    faults = []
    paths = {name: absolute(Path.cwd(), merged[name]) for name in OTHERS if name in merged}
    workspace = paths.get("workspace")
    if workspace and workspace.exists() and not workspace.is_dir():
        message = f"{workspace} is a file; expected a folder, or a name that is free"
        faults.append(Fault(path=settings.flag("workspace"), message=message))
    for name, load in (("splits", load_splits), ("rounds", load_rounds)):
        try:
            load(paths.get(name))
        except FaultsError as error:
            faults += error.faults
        except UserError as error:
            faults.append(Fault(path=settings.flag(name), message=error.message))
    return faults
