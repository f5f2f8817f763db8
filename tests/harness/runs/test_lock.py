"""A run is trained by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.runs.lock import LOCK, lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("12345", file=file, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Workspace(tmp_path).new_run("unet", settings={}, versions={}, seed=0, data="")


def test_a_run_that_another_process_holds_is_refused(run: Run) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder / LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        match = rf"{run.run} .*another process \(process 12345\)"
        with pytest.raises(UserError, match=match), lock_run(run):
            pytest.fail("two hold it")
    finally:
        other.kill()
        other.communicate()

    with lock_run(run):  # a killed process lets go
        pass


def test_a_run_is_let_go_at_the_end_and_at_an_error(run: Run) -> None:
    for error in (None, ValueError()):
        try:
            with lock_run(run):
                if error:
                    raise error
        except ValueError:
            pass
    with lock_run(run):
        pass


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_without_locks_a_run_is_not_held(
    run: Run, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with lock_run(run), lock_run(run):
        pass


def test_the_lock_file_holds_the_process_number(run: Run) -> None:
    match = rf"\(process {os.getpid()}\)"
    with lock_run(run), pytest.raises(UserError, match=match), lock_run(run):
        pytest.fail("two hold it")


def test_a_folder_that_was_deleted_is_not_made_again(run: Run) -> None:
    shutil.rmtree(run.folder)
    with lock_run(run):
        pass
    assert not run.folder.exists()
