"""Where the data and the workspace lie: flags, environment, ``harness.toml``, defaults.

A flag on the command line wins over an environment variable (``HARNESS_ENDOCV`` and so on), which
wins over ``harness.toml`` in the current folder. Folders above the current one are not searched.
Frames of one's own are ``train``, ``val`` and ``test``, see ``harness.config.sources``. Classes are
set in ``harness.toml`` only, as a table ``[classes]`` of names and mask values.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.config.sources import (
    ROLES,
    Source,
    absolute,
    parse_test_sets,
    source_faults,
    to_sources,
)
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.text import TomlError, read_toml
from metrics.utils.validation import suggest

FILE_NAME: Final = "harness.toml"
PREFIX: Final = "HARNESS_"
DEFAULT_WORKSPACE: Final = "workspace"
CLASSES: Final = "classes"

_OWN: Final = (
    "Frames of your own: 'harness init --train DIR --val DIR --test NAME=DIR', in any known layout."
)

MEANINGS: Final[Mapping[str, str]] = {
    "endocv": "the EndoCV 2021 (PolypGen) training frames",
    "hyperkvasir": "HyperKvasir's segmented images",
    "test_frames": "the challenge's test frames, EndoCV_DATA1 and on",
    "train": "frames of your own to train on, in any known layout",
    "val": "frames of your own to validate on",
    "test": "a test set of your own, as NAME=DIR",
    "workspace": "the folder of runs, evaluations and submissions",
    "splits": "a file of splits in place of the paper's",
    "rounds": "a file of rounds besides the two built-in ones",
}
"""What each setting holds, in the order in which they are written and shown."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where everything lies, as ``MEANINGS`` says; ``None`` where it is not set.

    Paths are absolute once they come from :func:`load`. ``classes`` are those besides the
    background, by default polyp only.
    """

    endocv: Path | None = None
    hyperkvasir: Path | None = None
    test_frames: Path | None = None
    train: Source | None = None
    val: Source | None = None
    test: Mapping[str, Source] = field(default_factory=dict)
    workspace: Path = Path(DEFAULT_WORKSPACE)
    splits: Path | None = None
    rounds: Path | None = None
    classes: Classes = ONE

    def require(self, *names: str) -> tuple[Path, ...]:
        """The paths of the settings named, all of them set.

        Raises:
            UserError: If any is not set; the message names each, ``harness init`` and
                ``harness demo``.
        """
        paths = [getattr(self, name) for name in names]
        missing = [name for name, path in zip(names, paths, strict=True) if path is None]
        if missing:
            raise UserError(_missing(missing))
        return tuple(paths)


def flag(name: str) -> str:
    """The option of a setting on the command line: ``test_frames`` is ``--test-frames``."""
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    """The environment variable of a setting: ``test_frames`` is ``HARNESS_TEST_FRAMES``."""
    return PREFIX + name.upper()


def load(
    cwd: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Settings:
    """Gather the settings from every source.

    Args:
        cwd: Folder of ``harness.toml``, where relative paths start; by default the current one.
        flags: Values from the command line by field name; ``None`` where not given, and for
            ``test`` a sequence of ``NAME=DIR``.
        env: Environment variables; by default those of the process.

    Raises:
        UserError: As for :func:`read_file`. Nothing else is checked for being there.
    """
    folder = Path.cwd() if cwd is None else cwd
    environment = os.environ if env is None else env
    written = read_file(folder / FILE_NAME)
    classes = written.pop(CLASSES, None)
    values = dict(written)
    for given in (environment_values(environment), flags or {}):
        values |= {name: value for name, value in given.items() if value not in (None, ())}
        if isinstance(sets := values.get("test"), tuple):
            values["test"] = parse_test_sets(sets)
    return resolve(folder, values, Classes.from_table(classes) if classes else ONE)


def resolve(folder: Path, values: Mapping[str, Any], classes: Classes = ONE) -> Settings:
    """Settings from values as a ``harness.toml`` in a folder has them, without ``[classes]``."""
    values = {"workspace": DEFAULT_WORKSPACE, **values}
    found = to_sources(folder, values)
    found |= {name: absolute(folder, one) for name, one in values.items() if name not in ROLES}
    return Settings(**found, classes=classes)


def environment_values(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings of environment variables; an empty one counts as not set, as in shells.

    Several test sets are separated like the folders of ``PATH``.
    """
    values: dict[str, Any] = {
        name: text for name in MEANINGS if (text := environment.get(variable(name)))
    }
    if "test" in values:
        values["test"] = tuple(filter(None, values["test"].split(os.pathsep)))
    return values


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a ``harness.toml`` as they stand in it; empty when there is none.

    Raises:
        UserError: If the file cannot be read or is no TOML.
        FaultsError: If it holds unknown settings, values that are no paths or impossible classes,
            all at once.
    """
    if not os.path.lexists(path):  # a link to nothing is no missing file
        return {}
    try:
        values = read_toml(path)
    except TomlError as error:
        raise UserError(
            f"{error.message} Correct it, or write a new one with 'harness init --force'."
        ) from error
    found = [fault for name, value in values.items() for fault in _faults(path, name, value)]
    if found:
        raise FaultsError(found, f"{path} cannot be used")
    return values


def _faults(path: Path, name: str, value: object) -> list[Fault]:
    known = [field.name for field in dataclasses.fields(Settings)]
    if name not in known:
        return [Fault(path=str(path), message=f"unknown setting {name!r}; {suggest(name, known)}")]
    if name == CLASSES:
        return _class_faults(path, value)
    if name in ROLES:
        return [Fault(path=str(path), message=fault) for fault in source_faults(name, value)]
    if not isinstance(value, str) or not value:
        message = f"{name}: expected a path in quotation marks, got {value!r}"
        return [Fault(path=str(path), message=message)]
    return []


def _class_faults(path: Path, value: object) -> list[Fault]:
    if not isinstance(value, dict):
        message = f"{CLASSES}: expected a table of names and mask values, got {value!r}"
        return [Fault(path=str(path), message=message)]
    try:
        Classes.from_table(value)
    except FaultsError as error:
        return [Fault(path=str(path), message=str(fault)) for fault in error.faults]
    return []


def _missing(names: list[str]) -> str:
    wanted = " ".join(f"{flag(name)} DIR" for name in names)
    lines = [
        f"{len(names)} setting{'s are' if len(names) > 1 else ' is'} missing:",
        *(f"  {flag(name)} (or {variable(name)}): {MEANINGS[name]}" for name in names),
        *([_OWN] if {"endocv", "hyperkvasir"} & set(names) else []),
        f"Set {'them' if len(names) > 1 else 'it'} once for this folder with "
        f"'harness init {wanted}',",
        "or try everything on drawn frames, without any download, with 'harness demo'.",
    ]
    return "\n".join(lines)
