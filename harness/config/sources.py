"""Where frames to train, validate and test on lie: a dataset's folder, or two folders of any names.

In ``harness.toml``::

    train = "data/Kvasir-SEG"

    [val]
    images = "data/own/frames"
    masks = "data/own/labels"
    mask_name = "{stem}_label"

    [test]
    kvasir = "data/Kvasir"
    etis = "data/ETIS"
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from metrics.utils.errors import UserError

ROLES: Final = ("train", "val", "test")
"""The settings that hold sources; ``test`` holds several, by name."""

_KEYS: Final = ("images", "masks", "mask_name")
_NAME: Final = re.compile(r"[^\W_][\w .()+-]*")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A folder of frames and a folder of their masks.

    ``mask_name`` says how a mask is named after its frame, such as ``{stem}_mask``; it is empty for
    the usual ways.
    """

    images: Path
    masks: Path
    mask_name: str = ""


Source = Path | Pair


def absolute(folder: Path, value: str | Path) -> Path:
    """A path as it is seen from a folder; links are kept."""
    return Path(os.path.abspath(folder / os.path.expanduser(value)))  # noqa: PTH100, PTH111 (as is)


def to_source(folder: Path, value: Any) -> Source:
    """A source from a path or a table, seen from a folder."""
    if not isinstance(value, Mapping):
        return absolute(folder, value)
    return Pair(
        images=absolute(folder, value["images"]),
        masks=absolute(folder, value["masks"]),
        mask_name=value.get("mask_name", ""),
    )


def to_sources(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The sources of all roles that are set, seen from a folder; ``test`` by name."""
    found: dict[str, Any] = {
        role: to_source(folder, values[role]) for role in ("train", "val") if role in values
    }
    if "test" in values:
        found["test"] = {name: to_source(folder, one) for name, one in values["test"].items()}
    return found


def parse_test_sets(given: Iterable[str]) -> dict[str, str]:
    """Test sets from ``NAME=DIR`` each, or ``DIR`` alone, which is named as its folder.

    Raises:
        UserError: If a name is given twice, cannot be a folder's, or stands without a folder.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not text or (equals and not path):  # as of a shell's variable that is not set
            raise UserError(f"--test {text}: no folder; give NAME=DIR")
        if not equals or not _NAME.fullmatch(name):
            name, path = Path(text).absolute().name, text
        if faults := _name_faults(name):
            raise UserError(f"--test {text}: {faults[0]}; give NAME=DIR")
        if name in found:
            raise UserError(f"--test: two test sets are called {name!r}; give NAME=DIR")
        found[name] = path
    return found


def source_faults(role: str, value: object) -> list[str]:
    """What is wrong with the value of a role in ``harness.toml``."""
    if role != "test":
        return _source_faults(role, value)
    if not isinstance(value, Mapping):
        return [f"test: expected a table of names and folders, got {value!r}"]
    return [
        fault
        for name, one in value.items()
        for fault in (*_name_faults(name), *_source_faults(f"test.{name}", one))
    ]


def _name_faults(name: str) -> list[str]:
    if name in _KEYS:
        return [f"test: {name!r} is no name of a test set; write [test.NAME] above it"]
    if not _NAME.fullmatch(name):
        return [f"test: {name!r} cannot name a test set; expected letters, digits, space . - _ ( )"]
    return []


def _source_faults(where: str, value: object) -> list[str]:
    if isinstance(value, str) and value:
        return []
    if not isinstance(value, Mapping):
        return [f"{where}: expected a path in quotation marks, got {value!r}"]
    faults = [
        f"{where}: unknown key {key!r}; expected {', '.join(_KEYS)}"
        for key in value
        if key not in _KEYS
    ]
    faults += [
        f"{where}.{key}: expected a path in quotation marks, got {value.get(key, 'nothing')!r}"
        for key in ("images", "masks")
        if not (isinstance(value.get(key), str) and value[key])
    ]
    name = value.get("mask_name", "{stem}")
    if not (isinstance(name, str) and "{stem}" in name and "/" not in name):
        faults.append(f"{where}.mask_name: expected a name such as '{{stem}}_mask', got {name!r}")
    return faults
