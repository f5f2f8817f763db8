"""What a run's folder says of it."""

from __future__ import annotations

from pathlib import Path

from harness.runs.run import log
from harness.runs.workspace import Workspace


def test_a_name_that_is_no_utf_8_can_be_logged(tmp_path: Path) -> None:
    run = Workspace(tmp_path).new_run("unet", settings={}, versions={})
    log(run, "the loss became nan. Its frames: caf\udce9")
    assert (run.folder / "train.log").read_text(encoding="utf-8").endswith("caf\\udce9\n")
