"""The versions of Python and packages that are here, for images and lists that pip reads."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from metrics.utils.errors import Fault, FaultsError

_NEWEST_PYTHON: Final = (3, 13)  # of those that the project names


def python_of_image(running: Sequence[Any] = sys.version_info) -> str:
    """The Python of an image in which packages of these versions are installed: the one that runs.

    Example:
        >>> python_of_image((3, 12, 1))
        '3.12'
    """
    major, minor = min(tuple(running[:2]), _NEWEST_PYTHON)
    return f"{major}.{minor}"


def pinned(names: Iterable[str]) -> list[str]:
    """Each package with its installed version, such as ``numpy==2.4.6``."""
    return [f"{name}=={metadata.version(name)}" for name in names]


def with_all_they_need(names: Iterable[str]) -> list[str]:
    """Packages with everything that they require in turn, in alphabetical order.

    Example:
        >>> with_all_they_need(["jinja2"])
        ['jinja2', 'markupsafe']
    """
    found: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        needed = map(Requirement, metadata.requires(name) or ())
        waiting += [
            canonicalize_name(one.name)
            for one in needed
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return sorted(found)


def copy_wheels(pins: Sequence[str], source: Path, target: Path) -> None:
    """Copy the wheels of pinned packages from a folder, as ``pip download`` fills it, to another.

    Raises:
        FaultsError: Wheels are missing; all of them at once.
    """
    there: dict[str, list[Path]] = {}
    for path in sorted(source.glob("*.whl")):
        with suppress(InvalidWheelFilename):  # pip would not take it either
            name, version, *_ = parse_wheel_filename(path.name)
            there.setdefault(f"{name}=={version}", []).append(path)
    message = "expected its wheel, found none"
    faults = [Fault(path=pin, message=message) for pin in pins if pin not in there]
    if faults:
        raise FaultsError(
            faults,
            f"{source} lacks wheels; fill it on the platform's kind of machine with: pip download "
            f"--only-binary :all: --no-deps -d {source} PACKAGE==VERSION ...",
        )
    target.mkdir(parents=True)
    for pin in pins:
        for path in there[pin]:
            shutil.copy(path, target)
