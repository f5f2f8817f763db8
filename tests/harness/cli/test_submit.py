"""What ``harness submit`` says before anything is predicted; the rest is in ``test_whole``."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.cli.submit import _say_what_is_passed_over
from submissions.rounds import Round, find_frames


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


def test_a_test_set_whose_accents_are_encoded_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test_set = unicodedata.normalize("NFD", "EndoCV_DATAé")
    folder = tmp_path / test_set
    folder.mkdir()
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((9, 9, 3), np.uint8))
    (folder / "b.gif").touch()

    _say_what_is_passed_over(find_frames(Round(name="x", daily_limit=1), tmp_path))

    said = " ".join(capsys.readouterr().err.split())
    assert "1 passed over" in said
    assert "b.gif" in said
