"""Which files and folders below a path are packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from metrics.utils.errors import UserError


class Found(NamedTuple):
    """What was found below one path.

    Attributes:
        packages: Each package with a name that tells it from the others.
        others: Names in the folder that are no packages.
    """

    packages: list[tuple[Path, str]]
    others: list[str]


def find_packages(path: Path, tasks: set[str]) -> Found:
    """The package at ``path``, or all packages in a folder that is none itself.

    Packages are zips and unpacked folders; in a folder they may also lie one level down, where
    each team has a folder.

    Args:
        path: A zip, an unpacked package or a folder of packages.
        tasks: Names of the rounds' task folders, by which an unpacked package is known.

    Raises:
        UserError: The folder holds no package.
    """
    if not path.is_dir() or _is_package(path, tasks):
        return Found([(path, path.stem)], [])
    packages = list(_inside(path, tasks))
    if not packages:
        raise UserError(f"{path}: expected a package or a folder of packages, found neither.")
    used = {*packages, *(package.parent for package in packages)}
    others = [child.name for child in sorted(path.iterdir()) if child not in used]
    return Found([(package, _name(package, path)) for package in packages], others)


def _name(package: Path, folder: Path) -> str:
    whole = package.relative_to(folder)
    return (whole if package.is_dir() else whole.with_suffix("")).as_posix()


def _inside(folder: Path, tasks: set[str], *, deeper: bool = True) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or child.name == "__MACOSX":
            continue
        if child.suffix.lower() == ".zip" or (child.is_dir() and _is_package(child, tasks)):
            yield child
        elif deeper and child.is_dir():
            yield from _inside(child, tasks, deeper=False)


def _is_package(folder: Path, tasks: set[str]) -> bool:
    wanted = tasks - {""}
    return any(any(folder.glob(f"*/{task}")) or (folder / task).is_dir() for task in wanted)
