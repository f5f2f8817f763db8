"""The settings of a ``harness.toml`` with those that ``harness init`` was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.config import settings
from harness.config.sources import ROLES, absolute, to_sources
from metrics.masks.classes import Value
from metrics.utils.errors import UserError

_CONTRADICT: Final = (
    ("train", "endocv"),
    ("endocv", "train"),
    ("endocv", "val"),
    ("val", "splits"),
    ("splits", "val"),
)
"""Settings given, and those of the file that they take the place of."""


def merge(
    file: Path, given: Mapping[str, Any], classes: Mapping[str, Value], *, force: bool
) -> dict[str, Any]:
    """The settings of the file, with those given.

    Test sets given join those of the file; without ``classes`` the file's are kept.

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
    replaced = _replaced(here, old, given)
    lines = _changes(here, old, given)
    lines += [f"  {settings.flag(name)}: {_shown(old[name])} there" for name in replaced]
    if classes and old.get(settings.CLASSES, classes) != classes:
        there = _listed(old[settings.CLASSES])
        lines.append(f"  [{settings.CLASSES}]: {there} there, {_listed(classes)} here")
    if lines and not force:
        raise UserError(
            "\n".join([f"{file} says something else already:", *lines, "Change it with --force."])
        )
    kept = {name: value for name, value in old.items() if name not in replaced}
    merged = {**kept, **given}
    if "test" in given:
        merged["test"] = {**kept.get("test", {}), **given["test"]}
    return {**merged, **({settings.CLASSES: dict(classes)} if classes else {})}


def _replaced(folder: Path, old: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Settings of the file that those given contradict."""
    found = [there for here, there in _CONTRADICT if here in given and there in old]
    other = "train" in given and not _same(folder, "train", old.get("train", ""), given["train"])
    if "splits" in old and ((other and "train" in old) or {"train", "endocv"} & set(found)):
        found.append("splits")  # it names the frames of another folder
    return [name for name in dict.fromkeys(found) if name not in given]


def _changes(folder: Path, old: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, value in given.items():
        if name == "test":
            both = {one: path for one, path in old.get("test", {}).items() if one in value}
            lines += [
                f"  --test {one}: {_shown(path)} there, {_shown(value[one])} here"
                for one, path in both.items()
                if not _same(folder, "train", path, value[one])
            ]
        elif name in old and not _same(folder, name, old[name], value):
            lines.append(
                f"  {settings.flag(name)}: {_shown(old[name])} there, {_shown(value)} here"
            )
    return lines


def _same(folder: Path, name: str, there: Any, here: Any) -> bool:
    if name in ROLES and (isinstance(there, Mapping) or isinstance(here, Mapping)):
        both = ({name: there}, {name: here})
        first, second = (to_sources(folder, values) for values in both)
        return first == second
    return absolute(folder, there).resolve() == absolute(folder, here).resolve()


def _shown(value: Any) -> str:
    return _listed(value) if isinstance(value, Mapping) else str(value)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
