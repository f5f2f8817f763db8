"""The rounds of a challenge: test sets, daily limit, time zone, package layout; their frames."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from metrics.masks.image import read_size
from metrics.utils.errors import Fault, FaultsError, UserError, or_fault
from metrics.utils.names import clashes, normal, valid_text
from metrics.utils.text import read_toml
from metrics.utils.validation import suggest
from submissions.layout import FRAME, TEST_SET, PackageLayout
from submissions.reading.archive import name_fault
from submissions.reading.findings import shown
from submissions.timing import AVERAGE
from submissions.writing.encoding import SUFFIXES

Frames = dict[str, dict[str, Path]]
"""Test set to frame name (the file's stem) to the frame's file."""

Sizes = Mapping[str, Mapping[str, tuple[int, int]]]
"""Test set to frame name to height and width in pixels."""

IMAGE_SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})

IMAGE_FOLDERS: Final = frozenset({"images", "image"})
"""Names, in small letters, of the folder of a test set's frames where its masks have one, too."""

_LAYOUT: Final = frozenset(field.name for field in fields(PackageLayout))
_SUFFIXES: Final = frozenset(SUFFIXES.values())

_INIT: Final = (
    "Name the folder that holds the release with 'harness init --test-frames DIR', --test-frames "
    "or HARNESS_TEST_FRAMES."
)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round of a challenge.

    Attributes:
        name: Its name for ``--round``.
        test_sets: The folders to predict; ``None`` for every folder whose name begins as the
            layout says, such as ``EndoCV_DATA4``.
        daily_limit: Submissions per day.
        time_zone: IANA name of the zone in which a day begins and ends.
        release: The test release, for the record.
        layout: The names inside a package.
    """

    name: str
    test_sets: tuple[str, ...] | None = None
    daily_limit: int
    time_zone: str = "UTC"
    release: str = ""
    layout: PackageLayout = field(default_factory=PackageLayout)


BUILT_IN: Final = (
    Round(
        name="1",
        test_sets=("EndoCV_DATA1", "EndoCV_DATA2", "EndoCV_DATA3"),
        daily_limit=5,
        release="v1",
    ),
    Round(name="2", daily_limit=2, release="v2"),
)
"""EndoCV 2021's two rounds."""


def load_rounds(file: Path | None = None) -> dict[str, Round]:
    """Load the built-in rounds and those of a file, by name.

    The file is TOML with one table a round, such as ``[rounds.3]``, whose keys are the fields of
    :class:`Round` and of its ``PackageLayout``; only ``daily_limit`` is required. A round of a
    built-in name replaces it.

    ``file`` is for example ``rounds.toml``; without one there are the built-in rounds alone.

    Raises:
        UserError: The file cannot be read, is not TOML, or holds no rounds.
        FaultsError: Tables of it have faults; all of them at once.
    """
    rounds = {built_in.name: built_in for built_in in BUILT_IN}
    if file is None:
        return rounds
    tables = read_toml(file).get("rounds")
    if not isinstance(tables, dict) or not tables:
        raise UserError(
            f"{file}: expected tables such as [rounds.3] with daily_limit = 2, but found none."
        )
    faults: list[Fault] = []
    for name, table in tables.items():
        found = _round_faults(name, table)
        faults += [Fault(path=f"{file}: rounds.{name}", message=message) for message in found]
        if not found:
            rounds[name] = _round(name, table)
    if faults:
        raise FaultsError(faults, f"the rounds in {file} cannot be used")
    return rounds


def get_round(name: str, rounds: Mapping[str, Round]) -> Round:
    """A round by its name.

    Raises:
        UserError: There is none of this name; the nearest is suggested.
    """
    if name in rounds:
        return rounds[name]
    nearest = difflib.get_close_matches(name, rounds, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise UserError(
        f"no round {name!r}; there are {', '.join(rounds)}.{hint} "
        "A rounds.toml with a table [rounds.NAME] adds others."
    )


def find_frames(round_: Round, folder: Path) -> Frames:
    """Find the frames of a round's test sets, in sorted order.

    ``folder`` is the release: a folder of test set folders, each holding frames.

    Raises:
        UserError: The folder is not there.
        FaultsError: Test sets are missing or empty, or two frames share a name, if only where
            capitals do not count; all at once.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: expected the folder of round {round_.name}'s frames. {_INIT}")
    folders = test_set_folders(folder, round_.test_sets, round_.layout.prefix)
    if not folders:
        raise UserError(
            f"{folder}: expected {round_.layout.prefix}* folders with the frames of round "
            f"{round_.name}, but found none. {_INIT} Test sets of other names take their --round."
        )
    faults: list[Fault] = []
    frames = {
        test_set: _frames_of(inner(path, IMAGE_FOLDERS), test_set, round_.layout, faults)
        for test_set, path in folders.items()
    }
    if faults:
        raise FaultsError(faults, f"the frames of round {round_.name} are not all in {folder}")
    return frames


def frame_sizes(frames: Mapping[str, Mapping[str, Path]]) -> dict[str, dict[str, tuple[int, int]]]:
    """Height and width in pixels of every frame, from the headers.

    Raises:
        FaultsError: Frames cannot be read, all of them at once.
    """
    faults: list[Fault] = []
    sizes: dict[str, dict[str, tuple[int, int]]] = {test_set: {} for test_set in frames}
    with ThreadPoolExecutor(4) as pool:
        for test_set, paths in frames.items():
            found = pool.map(or_fault(read_size), paths.values())
            for name, size in zip(paths, found, strict=True):
                if isinstance(size, Fault):
                    faults.append(size)
                else:
                    sizes[test_set][name] = size
    if faults:
        raise FaultsError(faults, "frames cannot be read")
    return sizes


def test_set_folders(
    folder: Path, test_sets: Collection[str] | None, prefix: str
) -> dict[str, Path]:
    """The folders of test sets, by their names in order.

    Args:
        folder: The folder that holds them.
        test_sets: Those wanted, whether they are there or not; ``None`` for every one.
        prefix: How the names of these begin.
    """
    # A dead link is a test set, too: one that is missing.
    paths = (path for path in sorted(folder.iterdir()) if path.is_dir() or not path.exists())
    there = {normal(path.name): path for path in paths if not path.name.startswith(".")}
    wanted = test_sets or sorted(name for name in there if name.startswith(prefix))
    return {name: there.get(name, folder / name) for name in wanted}


def inner(folder: Path, names: Collection[str]) -> Path:
    """The folder of one of the names in a test set's, where no images lie in that itself."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    if any(path.suffix.lower() in IMAGE_SUFFIXES for path in paths):
        return folder
    found = (path for path in paths if path.name.lower() in names and path.is_dir())
    return next(found, folder)


def _frames_of(
    folder: Path, test_set: str, layout: PackageLayout, faults: list[Fault]
) -> dict[str, Path]:
    if not folder.is_dir():
        faults.append(Fault(path=str(folder), message=f"the folder is missing. {_INIT}"))
        return {}
    paths = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    frames = {normal(path.stem): path for path in paths}
    faults += [
        Fault(path=str(paths[at]), message=f"has the same name as {paths[other].name}")
        for at, other in clashes(normal(path.stem) for path in paths)
    ]
    faults += [
        Fault(path=str(path), message=problem)
        for name, path in frames.items()
        if (problem := _name_problem(path, name, layout.mask(test_set, name), layout.timings))
    ]
    if not frames:
        faults.append(Fault(path=str(folder), message=f"holds no frames. {_INIT}"))
    return frames


def _name_problem(frame: Path, name: str, mask: str, timings: str) -> str:
    """Why the mask of a frame cannot lie in a package; empty where it can."""
    if valid_text(frame.name) != frame.name:
        return "its name has bytes that are no UTF-8, which no package can hold; rename it"
    if timings and (name != name.strip() or name == AVERAGE):
        return f"no timing file can hold its name {name!r}; rename it"
    fault = name_fault(mask)
    return f"no package can hold its mask {shown(mask)}: {fault}; rename it" if fault else ""


def _round_faults(name: str, table: Any) -> list[str]:
    if not isinstance(table, dict):
        return ["expected a table of settings"]
    known = ({field.name for field in fields(Round)} - {"name", "layout"}) | _LAYOUT
    faults = [f"unknown key {key!r}; {suggest(key, sorted(known))}" for key in table.keys() - known]
    if not _is_folder_name(name):
        faults.append("its name cannot be part of a folder's name")
    limit = table.get("daily_limit")
    if type(limit) is not int or limit < 1:
        faults.append(f"daily_limit: expected a whole number of 1 or more, got {limit!r}")
    test_sets = table.get("test_sets", ["any"])
    if not (isinstance(test_sets, list) and test_sets and all(map(_is_folder_name, test_sets))):
        faults.append(f"test_sets: expected a list of folder names, got {test_sets!r}")
    if not isinstance(table.get("release", ""), str):
        faults.append(f"release: expected text, got {table['release']!r}")
    zone = table.get("time_zone", "UTC")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, TypeError, OSError):
        faults.append(f"time_zone: expected an IANA name such as 'Europe/Oslo', got {zone!r}")
    return [*faults, *_layout_faults(table)]


def _layout_faults(table: Mapping[str, Any]) -> Iterator[str]:
    for key in ("root", "task", "prefix"):
        value = table.get(key, "any")
        if not (_is_folder_name(value) or (key != "root" and value == "")):
            yield f"{key}: expected a folder name, got {value!r}"
    for key, place in {"folders": TEST_SET, "masks": FRAME, "timings": TEST_SET}.items():
        value = table.get(key, place)
        if key == "timings" and value == "":
            continue
        if not _is_folder_name(value) or value.count(place) != 1:
            yield f"{key}: expected a name with {place} in it once, got {value!r}"
    if not isinstance(table.get("grey", False), bool):
        yield f"grey: expected true or false, got {table['grey']!r}"
    suffixes = table.get("suffixes", list(_SUFFIXES))
    if not isinstance(suffixes, list) or not suffixes or set(map(str, suffixes)) - _SUFFIXES:
        yield f"suffixes: expected some of {', '.join(sorted(_SUFFIXES))}, got {suffixes!r}"


def _is_folder_name(value: object) -> bool:
    return (
        isinstance(value, str)
        and bool(value)
        and value not in {".", ".."}
        and not set(value) & set("/\\:\0")
        and name_fault(value) is None
    )


def _round(name: str, table: dict[str, Any]) -> Round:
    of_layout: dict[str, Any] = {}
    of_round: dict[str, Any] = {}
    for key, value in table.items():
        fixed = tuple(map(normal, value)) if isinstance(value, list) else value
        fixed = normal(fixed) if isinstance(fixed, str) else fixed
        (of_layout if key in _LAYOUT else of_round)[key] = fixed
    return Round(name=name, layout=PackageLayout(**of_layout), **of_round)
