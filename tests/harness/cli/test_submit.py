"""What ``harness submit`` says before anything is predicted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli


def test_frames_in_a_folder_of_images_are_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for test_set in ("EndoCV_DATA1", "EndoCV_DATA2", "EndoCV_DATA3"):
        folder = tmp_path / "frames" / test_set / "images"
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "f1.jpg"), np.zeros((30, 40, 3), np.uint8))
        (folder / "notes.txt").touch()

    result = CliRunner().invoke(cli, ["submit", "--round", "1", "--test-frames", "frames"])

    assert result.exit_code == 1  # there is no run
    assert result.stderr.count("/images: notes.txt") == 3
    assert result.stderr.count("passed over") == 3
