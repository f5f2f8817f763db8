"""What ``harness submit`` says of the release; the rest is in ``test_whole``."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.cli.submit import _say_what_is_passed_over
from submissions.rounds import Round, find_frames


@pytest.mark.parametrize("inside", ["", "images"])
def test_what_lies_beside_the_frames_is_named(tmp_path: Path, inside: str, capsys) -> None:
    test_set = unicodedata.normalize("NFD", "EndoCV_DATAé")
    folder = tmp_path / test_set / inside
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "a.jpg"), np.zeros((9, 9, 3), np.uint8))
    (folder / "b.gif").touch()
    (tmp_path / test_set / "masks").mkdir()

    _say_what_is_passed_over(find_frames(Round(name="x", daily_limit=1), tmp_path))

    beside = "1 passed over" if inside else "2 passed over"
    said = " ".join(capsys.readouterr().err.split())
    assert beside in said
    assert "b.gif" in said
    assert "images" not in said.partition(": ")[2].rpartition(": ")[2]
