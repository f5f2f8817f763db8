"""Keeps a second process off a run that one trains already."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

from harness.runs.workspace import Run
from metrics.utils.errors import UserError
from metrics.utils.locks import try_lock

LOCK: Final = ".lock"
"""Name of the file in a run's folder."""


@contextmanager
def lock_run(run: Run) -> Iterator[None]:
    """Hold a run for this process alone, to the end of the block or of the process.

    The operating system lets go of the lock however the process ends. Where the file system has no
    locks, or the file cannot be opened, nothing is held.

    Raises:
        UserError: If another process holds the run.
    """
    with ExitStack() as opened:
        with suppress(OSError):
            # Unbuffered, as a full disk would otherwise fail the closing of it once more.
            file = opened.enter_context((run.folder / LOCK).open("a+b", buffering=0))
            if not try_lock(file):
                file.seek(0)
                holder = file.read().decode(errors="replace").strip()
                raise UserError(
                    f"{run.run} is being trained by another process"
                    f"{f' (process {holder})' if holder else ''}; wait for its end, or stop it "
                    "with Ctrl-C first"
                )
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
        yield
