"""Lock a run, so that one process at a time trains or removes it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from harness.runs.run import Run
from metrics.utils.errors import UserError

LOCK: Final = ".lock"
"""Name of the lock file in a run's folder; it holds the process number of the last holder."""


@contextmanager
def lock_run(run: Run) -> Iterator[None]:
    """Lock a run for this process, to the end of the block or of the process.

    The operating system drops the lock however the process ends. Where the file system has no
    locks, the file cannot be opened or the folder is gone, the block runs without one.

    Raises:
        UserError: If another process holds the lock.
    """
    from filelock import FileLock, Timeout

    path = run.folder / LOCK
    lock = FileLock(path, fallback_to_soft=False)
    try:
        run.folder.stat()  # filelock would make it anew
        lock.acquire(blocking=False)
        path.write_text(f"{os.getpid()}\n")
    except Timeout as error:
        raise UserError(
            f"{run.run} is being trained by another process{_holder(run)}; wait for its end, or "
            "stop it with Ctrl-C first"
        ) from error
    except OSError:  # no folder, no locks, no rights, or no room for the number
        pass
    try:
        yield
    finally:
        with suppress(OSError):
            lock.release()


def _holder(run: Run) -> str:
    """The number of the process that holds the lock, for a message; empty if it is not known."""
    try:
        number = (run.folder / LOCK).read_text(errors="replace").strip()
    except OSError:
        return ""
    return f" (process {number})" if number else ""
