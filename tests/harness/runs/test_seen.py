from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.data.fingerprint import data_fingerprint
from harness.data.layouts import list_frames, read_headers
from harness.runs.seen import warn_of_other_training
from harness.runs.workspace import Workspace

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def test_runs_that_were_trained_on_other_frames_are_named(
    draw: Drawer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    frames = read_headers(list_frames(draw.pairs("own", ("a", "b", "c"))))
    frames["split"] = ["train", "val", "test"]
    now = data_fingerprint(frames[:1])
    same, other, unknown = (
        workspace.new_run("unet", settings={}, versions={}, seed=0, data=data)
        for data in (f"{now}+{now}", f"0123+{now}", "none")
    )
    warn_of_other_training([same, other, unknown], frames, "test", tmp_path)
    assert f"on today: {other.run}. Where frames of test are among them" in caplog.text
    caplog.clear()
    warn_of_other_training([same, unknown], frames, "test", tmp_path)
    warn_of_other_training([other], frames.assign(split="test"), "test", tmp_path)
    assert not caplog.text
