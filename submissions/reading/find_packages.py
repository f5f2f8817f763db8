"""Which files and folders below a path are packages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from metrics.utils.errors import UserError
from metrics.utils.names import normal
from submissions.reading.archive import named
from submissions.rounds import Round


class Found(NamedTuple):
    """The packages below one path, each with a name of its own, and what else lies there."""

    packages: list[tuple[Path, str]]
    others: list[str]


def find_packages(path: Path, rounds: Sequence[Round]) -> Found:
    """The package at ``path``, or all packages in a folder that is none itself.

    Packages are zips and unpacked folders; in a folder they may also lie one level down, where
    each team has a folder.

    Args:
        path: A zip, an unpacked package or a folder of packages.
        rounds: By whose folders an unpacked package is known: that of the task, or those of the
            test sets in the root where the round has no task.

    Raises:
        UserError: The folder holds no package.
    """
    path = named(path)
    if not path.is_dir() or _is_package(path, rounds):
        return Found([(path, package_name(path))], [])
    packages = list(_inside(path, rounds))
    if not packages:
        raise UserError(f"{path}: expected a package or a folder of packages, found neither.")
    manifests = (package.with_suffix(".json") for package in packages)  # of 'harness submit'
    used = {*packages, *(package.parent for package in packages), *manifests}
    others = [child.name for child in sorted(path.iterdir()) if child not in used]
    names = (package.with_name(package_name(package)).relative_to(path) for package in packages)
    return Found(
        [(one, name.as_posix()) for one, name in zip(packages, names, strict=True)], others
    )


def package_name(path: Path) -> str:
    """A package's name: a zip's without its suffix; that of a folder has none."""
    return path.name if path.is_dir() else path.stem


def _inside(folder: Path, rounds: Sequence[Round], *, deeper: bool = True) -> Iterator[Path]:
    for child in sorted(folder.iterdir()):
        if child.name.startswith(".") or child.name == "__MACOSX":
            continue
        if child.suffix.lower() == ".zip" or (child.is_dir() and _is_package(child, rounds)):
            yield child
        elif deeper and child.is_dir():
            yield from _inside(child, rounds, deeper=False)


def _is_package(folder: Path, rounds: Sequence[Round]) -> bool:
    return any(
        any(folder.glob(f"*/{task}")) or (folder / task).is_dir()
        if (task := round_.layout.task)
        else _has_test_sets(folder / round_.layout.root, round_)
        or (normal(folder.resolve().name) == round_.layout.root and _has_test_sets(folder, round_))
        for round_ in rounds
    )


def _has_test_sets(root: Path, round_: Round) -> bool:
    """Whether a package's root holds the folder of a test set."""
    layout = round_.layout
    names = (layout.predicted_test_set(path.name) for path in root.glob("*") if path.is_dir())
    return any(
        name in round_.test_sets if round_.test_sets else name.startswith(layout.prefix)
        for name in names
        if name
    )
