"""The settings of a ``harness.toml`` with those that ``harness init`` was given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.config import settings
from harness.config.sources import to_source
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
        moved = ""
        if "splits" in replaced and "train" in given and "val" not in given:
            moved = f" Where the frames were only moved, give --splits {old['splits']}, too."
        advice = f"Change it with --force.{moved}"
        raise UserError("\n".join([f"{file} says something else already:", *lines, advice]))
    kept = {name: value for name, value in old.items() if name not in replaced}
    merged = {**kept, **given}
    if "test" in given:
        merged["test"] = {**kept.get("test", {}), **given["test"]}
    return {**merged, **({settings.CLASSES: dict(classes)} if classes else {})}


def _replaced(folder: Path, old: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Settings of the file that those given contradict."""
    found = [there for here, there in _CONTRADICT if here in given and there in old]
    other = "train" in given and not _same(folder, old.get("train", ""), given["train"])
    if "splits" in old and ((other and "train" in old) or {"train", "endocv"} & set(found)):
        found.append("splits")  # it names the frames of another folder
    return [name for name in dict.fromkeys(found) if name not in given]


def _changes(folder: Path, old: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    pairs = [(settings.flag(k), old.get(k), here) for k, here in given.items() if k != "test"]
    sets = old.get("test", {})
    pairs += [(f"--test {k}", sets.get(k), here) for k, here in given.get("test", {}).items()]
    return [
        f"  {option}: {_shown(there)} there, {_shown(here)} here"
        for option, there, here in pairs
        if there is not None and not _same(folder, there, here)
    ]


def _same(folder: Path, there: Any, here: Any) -> bool:
    first, second = to_source(folder, there), to_source(folder, here)
    if isinstance(first, Path) and isinstance(second, Path):
        return first.resolve() == second.resolve()
    return first == second


def _shown(value: Any) -> str:
    return _listed(value) if isinstance(value, Mapping) else str(value)


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
