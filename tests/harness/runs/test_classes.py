from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.training import TrainConfig
from harness.runs.classes import warn_of_other_classes
from harness.runs.workspace import Workspace
from metrics.masks.classes import ONE, Classes


def test_runs_of_other_classes_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    today = Classes.from_table({"polyp": 255, "instrument": 128})
    swapped = Classes.from_table({"polyp": 128, "instrument": 255})
    same, other = (
        Workspace(tmp_path).new_run(
            "unet",
            settings=TrainConfig(model="unet", classes=classes).to_dict(),
            versions={},
            seed=0,
            data="",
        )
        for classes in (today.choosing("instrument"), swapped)
    )
    warn_of_other_classes([same], today)
    warn_of_other_classes([same, other], ONE)
    assert not caplog.text
    warn_of_other_classes([same, other], today)
    assert f"read by their own: {other.run}." in caplog.text
