"""Processes are started and frames augmented also where TMPDIR is long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIED = """
import multiprocessing, tempfile
from multiprocessing.connection import Listener
from harness.utils.sockets import keep_paths_short

keep_paths_short()
Listener(family="AF_UNIX").close()
print(tempfile.gettempdir())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes have names there")
def test_a_socket_has_a_path_where_that_of_the_temporary_folder_is_long(tmp_path: Path) -> None:
    place = tmp_path / ("long" * 25)
    place.mkdir()
    found = subprocess.run(
        [sys.executable, "-c", TRIED],
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert found.stdout == f"{place}\n"  # where all else that is temporary goes
