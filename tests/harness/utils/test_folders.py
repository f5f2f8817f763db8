"""A folder is replaced as a whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.utils.folders import copy_folder, replace_folder
from metrics.utils.errors import UserError


def names(folder: Path) -> list[str]:
    """What lies in a folder, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def final(tmp_path: Path) -> Path:
    folder = tmp_path / "deep" / "final"
    with replace_folder(folder) as new:
        (new / "first").write_text("1")
    return folder


def test_the_new_folder_takes_the_place_of_the_old(final: Path) -> None:
    with replace_folder(final) as new:
        (new / "second").write_text("2")
        assert names(final) == ["first"]

    assert names(final) == ["second"]
    assert names(final.parent) == ["final"]
    umask = os.umask(0)
    os.umask(umask)
    assert final.stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.skipif(sys.platform == "win32", reason="no groups of folders")
def test_the_group_of_a_shared_folder_is_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    (tmp_path / "any").mkdir()
    with replace_folder(tmp_path / "final"):
        pass
    assert (tmp_path / "final").stat().st_mode == (tmp_path / "any").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_block_leaves_what_was_there(
    final: Path, error: type[BaseException]
) -> None:
    def interrupted() -> None:
        with replace_folder(final) as new:
            (new / "second").write_text("2")
            raise error

    with pytest.raises(error):
        interrupted()

    assert names(final) == ["first"]
    assert names(final.parent) == ["final"]


KILLED = """
import os, sys
from pathlib import Path
from harness.utils.folders import copy_folder, replace_folder
with replace_folder(Path(sys.argv[1])) as new:
    (new / "second").write_text("2")
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("name", ["final", "own [1]"])
def test_what_a_killed_process_left_is_removed_by_the_next(final: Path, name: str) -> None:
    final = final.rename(final.with_name(name))
    subprocess.run([sys.executable, "-c", KILLED, str(final)], check=False)
    assert len(names(final.parent)) > 1
    assert names(final) == ["first"]

    with replace_folder(final):
        pass

    assert names(final.parent) == [name]


def test_what_another_writes_under_a_name_that_begins_alike_stays(final: Path) -> None:
    other = final.with_name("final.v2")
    with replace_folder(other) as new:
        (new / "second").write_text("2")
        with replace_folder(final):
            pass

    assert names(other) == ["second"]


def test_one_at_a_time(final: Path) -> None:
    with (
        replace_folder(final),
        pytest.raises(UserError, match="another process is writing"),
        replace_folder(final),
    ):
        pass


def test_another_waits_where_it_may(final: Path) -> None:
    def second() -> None:
        with replace_folder(final, wait=True) as new:
            (new / "second").write_text("2")

    with ThreadPoolExecutor(1) as pool:
        with replace_folder(final):
            waiting = pool.submit(second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.2)
        waiting.result(timeout=30)
    assert names(final) == ["second"]


def test_without_locks_nothing_of_others_is_removed(
    final: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr("filelock.FileLock.acquire", no_locks)
    with replace_folder(final) as other:
        with replace_folder(final):
            pass
        (other / "second").write_text("2")

    assert names(final) == ["second"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot write"), replace_folder(tmp_path / "taken" / "a"):
        pass


def test_what_cannot_be_copied_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source").mkdir()
    for name in "ab":
        (tmp_path / "source" / name).write_text(name)

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", fill)
    with pytest.raises(UserError, match=r"^cannot copy .*/source/. to .*: No space left"):
        copy_folder(tmp_path / "source", tmp_path / "target", leave_out=[])
