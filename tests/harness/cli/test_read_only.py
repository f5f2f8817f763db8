"""A workspace that is shared read-only can be listed, measured and predicted with."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.runs.workspace import Workspace

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

CAPABILITIES_V3 = 0x20080522


@pytest.fixture
def usual_rights() -> Iterator[None]:
    """Take from root the capabilities by which it writes where nobody may."""
    if not hasattr(os, "geteuid") or os.geteuid():
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root writes everywhere")
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(CAPABILITIES_V3, 0)
    # Twice effective, permitted and inheritable; what is only permitted can be taken back.
    own, fewer = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    libc.capget(header, own)
    fewer[:] = own[:]
    fewer[0] = fewer[3] = 0
    assert libc.capset(header, fewer) == 0
    yield
    libc.capset(header, own)


@pytest.fixture
def shared(workspace: Workspace, draw: Drawer, tmp_path: Path) -> Iterator[Path]:
    """A folder with a workspace, an evaluation in it and frames, none of which may be written."""
    folder = tmp_path / "shared"
    shutil.copytree(workspace.root, folder / "workspace")
    draw.pairs("shared/frames")
    call(folder, "evaluate", "--model", "fpn")
    entries = [folder, *folder.rglob("*")]
    for path in entries:
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in entries:
        path.chmod(path.stat().st_mode | 0o200)


def call(folder: Path, command: str, *arguments: object) -> Result:
    given = [*command.split(), *map(str, arguments)]
    if command in ("evaluate", "compare", "report"):
        given += ["--split", "test"]
    own = {
        "HARNESS_WORKSPACE": str(folder / "workspace"),
        "HARNESS_TEST": f"own={folder / 'frames'}",
    }
    result = CliRunner().invoke(cli, given, env=own, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_all_that_reads_works_and_changes_nothing(
    shared: Path, tmp_path: Path, usual_rights: None
) -> None:
    with pytest.raises(PermissionError):
        (shared / "workspace" / "new").touch()
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}

    for command in ("runs", "leaderboard --split test", "submissions", "data check"):
        call(shared, command, *([shared / "frames"] if command == "data check" else []))
    assert "evaluated before" in call(shared, "evaluate", "--model", "fpn").stderr
    fresh = call(shared, "evaluate", "--model", "unet++", "--protocol", "official")
    assert "not kept" in fresh.stderr
    counted = call(shared, "evaluate", "--model", "fpn", "--protocol", "official", "--again")
    assert "not kept" in counted.stderr
    call(shared, "predict", shared / "frames" / "images", "--out", tmp_path / "masks")
    assert len(list((tmp_path / "masks").glob("*.png"))) == 2
    call(shared, "report", "--out", tmp_path / "page.html")

    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == before
