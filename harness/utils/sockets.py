"""Processes talk through sockets in the temporary folder, whose path may be too long for one."""

from __future__ import annotations

import multiprocessing.util
import os
import sys
import tempfile
from contextlib import suppress
from typing import Final

_LONGEST: Final = 70
"""Of a temporary folder's path, in bytes; macOS takes 103 with what multiprocessing adds."""


def keep_paths_short() -> None:
    """Where the temporary folder has a long path, put the sockets of this process into /tmp.

    Its child processes do likewise. Other temporary files stay where TMPDIR says. Python itself
    does so from 3.14 on.
    """
    before = tempfile.tempdir
    if sys.platform == "win32" or len(os.fsencode(tempfile.gettempdir())) <= _LONGEST:
        return
    with suppress(OSError):  # then the socket says what is wrong
        tempfile.tempdir = "/tmp"
        multiprocessing.util.get_temp_dir()  # which keeps what it has made
    tempfile.tempdir = before
