"""Write ``harness.toml``, keeping the comments of one that is there."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

import tomlkit

from harness.config.settings import CLASSES, MEANINGS, read_file
from metrics.utils.errors import UserError
from metrics.utils.files import atomic_path, free_name
from metrics.utils.text import decode_text

_HEAD: Final = "# Where the frames and the results lie. Relative paths start from this folder.\n"


def write_file(path: Path, values: Mapping[str, Any]) -> Path | None:
    """Write settings as ``harness.toml``, whole or not at all.

    Comments and order of a file that is there are kept. A file that cannot be used, or not be
    changed in place, is kept beside the new one.

    Args:
        path: The file.
        values: Paths by field name, relative ones start from the folder of the file; sources as
            ``harness.config.sources`` has them; and under ``classes`` the mask values by class.
            Other settings in the file are removed.

    Returns:
        Path | None: The copy of the earlier file, if one was made.

    Raises:
        UserError: If the folder cannot be written, or a path is not text.
    """
    path = path.resolve()
    wanted = _plain({name: values[name] for name in (*MEANINGS, CLASSES) if name in values})
    try:
        read_file(path)
        text = _edited(decode_text(path.read_bytes()) if path.exists() else _HEAD, wanted)
        is_right = tomllib.loads(text) == wanted
    except (UserError, LookupError, ValueError):
        # tomlkit cannot change tables written in pieces, nor put a table into one on a line;
        # up to 0.15.0 it writes what is no TOML then.
        is_right = False
    kept = None
    if not is_right:
        kept = set_aside(path)
        text = _edited(_HEAD, wanted)
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())
    return kept


def _edited(text: str, values: Mapping[str, Any]) -> str:
    """A TOML text with these values and no others."""
    document = tomlkit.parse(text)
    _update(document, values, MEANINGS)
    return tomlkit.dumps(document)


def set_aside(path: Path) -> Path:
    """Copy a file that is about to be replaced, as ``NAME.bak`` beside it; the copy's name.

    Raises:
        UnwritableError: If the folder cannot be written.
    """
    kept = free_name(path.with_name(f"{path.name}.bak"))
    with atomic_path(kept) as temporary:
        shutil.copyfile(path, temporary)
    return kept


def _update(
    table: MutableMapping[str, Any], values: Mapping[str, Any], comments: Mapping[str, str]
) -> None:
    """Give a TOML table these values and no others; what is the same stays as it is written."""
    for name in [name for name in table if name not in values]:
        del table[name]
    for name, value in values.items():
        inner = table.get(name)
        if isinstance(inner, Mapping) != isinstance(value, Mapping):
            table.pop(name, None)  # a table in the place of a value would take in what follows it
        if isinstance(value, Mapping):
            if [n for n in inner or () if n in value] != [n for n in value if n in (inner or ())]:
                table.pop(name)  # the order of classes has a meaning
            if name not in table:
                table[name] = tomlkit.table()
            _update(table[name], value, {})
        elif inner != value:
            item = tomlkit.item(value)
            if name in comments and name not in table:
                item.comment(comments[name])
            table[name] = item


def _plain(value: Any) -> Any:
    """A value with paths as text.

    Raises:
        UserError: If a path has bytes that are no UTF-8.
    """
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, int):
        return value
    text = str(value)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(f"{text!a} is no valid text; rename it") from error
    return text
