"""Keeps a second process off a run that one trains already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from harness.workspace import Run
from metrics.errors import UserError

LOCK: Final = ".lock"
"""Name of the file in a run's folder."""


@contextmanager
def held(run: Run) -> Iterator[None]:
    """Hold a run for this process alone, to the end of the block or of the process.

    The operating system lets go of the lock however the process ends. Where the file system has no
    locks nothing is held.

    Raises:
        UserError: If another process holds the run.
    """
    path = run.folder / LOCK
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(
            f"{run.run} is being trained by another process{_holder(path)}; wait for its end, or "
            "stop it with Ctrl-C first"
        ) from None
    except (OSError, NotImplementedError):
        yield
        return
    try:
        with suppress(OSError):  # the number is for the message alone
            path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    with suppress(OSError):
        if number := path.read_text(encoding="utf-8").strip():
            return f" (process {number})"
    return ""
