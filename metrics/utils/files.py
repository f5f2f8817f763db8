"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from metrics.utils.errors import UserError

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UnwritableError(UserError):
    """A folder has no room or no rights; what was written there before is whole."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    The content is flushed to the disk before the rename, and the folder after it, so neither a
    kill nor a power cut leaves half a file under the final name.

    Args:
        path: The final name; its folder is made when missing.

    Yields:
        Path: Where to write.

    Raises:
        UnwritableError: If the folder cannot be written, or the disk is full before the block ends.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _sync(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        if error.errno in _FULL:
            raise unwritable(path.parent, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, values: Any) -> None:
    """Write ``values`` as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def unwritable(folder: Path, error: Exception) -> UnwritableError:
    """The error for a folder that cannot be written, from what a library or the system said."""
    said = getattr(error, "strerror", None) or error
    return UnwritableError(
        f"cannot write in {folder}: {said}. Give another folder with --workspace, or make room and "
        "rights there."
    )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
