"""Locks on files and folders, which the operating system drops however a process ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

if sys.platform != "win32":
    import fcntl

HAS_LOCKS: Final = sys.platform != "win32"
"""Whether this system has them. Where it has not, everything is free."""


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file for this process until the file is closed, without waiting.

    Returns:
        Whether it is locked now; False where another open file of the same name holds it.

    Raises:
        OSError: The file system has no locks.
    """
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep everyone else who locks the folder out until the block ends, waiting for one's turn.

    Where the system or the file system has no locks nobody is kept out.

    Raises:
        OSError: There is no such folder.
    """
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
