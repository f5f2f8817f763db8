"""Locks on open files, which the operating system drops however a process ends."""

from __future__ import annotations

import sys
from typing import IO, Any, Final

if sys.platform != "win32":
    import fcntl

LOCKS: Final = sys.platform != "win32"
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
