"""Names that people chose: accents spelled in two ways, bytes that are no UTF-8, control signs."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from metrics.utils.errors import FaultsError
from submissions.layout import PackageLayout
from submissions.ledger import Ledger
from submissions.plain_folders import score_folder
from submissions.reading.validate import inspect_package
from submissions.rounds import Round, find_frames, frame_sizes
from submissions.scoring import score_package, score_rows
from submissions.truth import find_truth
from submissions.writing.package import PackageWriter

SET, FRAME = "EndoCV_DATA\u00e9", "\u00e9_1"
MASK = np.eye(8, dtype=np.uint8) * np.uint8(255)


def spelled_apart(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def save(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", MASK)[1].tobytes())


def test_packages_frames_and_truth_are_paired_however_accents_are_spelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    apart = spelled_apart(f"{SET}/{FRAME}")
    save(tmp_path / "frames" / f"{apart}.png")
    save(tmp_path / "truth" / f"{SET}/{FRAME}_mask.png")
    sizes = frame_sizes(find_frames(Round(name="r", daily_limit=1), tmp_path / "frames"))
    assert sizes == {SET: {FRAME: (8, 8)}}
    with PackageWriter(tmp_path / "p.zip", expected=sizes) as writer:
        writer.add(test_set=SET, name=FRAME, mask=MASK > 0, latency_ms=1.0)
    with zipfile.ZipFile(tmp_path / "p.zip") as ours, zipfile.ZipFile("q.zip", "w") as theirs:
        for name in ours.namelist():
            data = ours.read(name)
            data = spelled_apart(data.decode()).encode() if name.endswith(".txt") else data
            theirs.writestr(spelled_apart(name), data)
    for package in (tmp_path / "p.zip", Path("q.zip")):
        assert inspect_package(package, sizes).findings == ()
        score = score_package(package, tmp_path / "truth")
        assert score.overall["f1"] == 1
        assert score.overall["latency_ms"] == 1
    assert find_truth(tmp_path / "truth", [SET], PackageLayout()).frames == 1


@pytest.mark.parametrize("name", ["caf\udce9", "a\x1b[31m", "new\nline"])
def test_a_frame_whose_mask_no_package_can_hold_is_refused_before_it_is_predicted(
    tmp_path: Path, name: str
) -> None:
    save(tmp_path / "EndoCV_DATA1" / f"{name}.png")
    with pytest.raises(FaultsError, match="no package can hold"):
        find_frames(Round(name="r", daily_limit=1), tmp_path)


def test_names_that_are_no_utf_8_are_scored_and_entered(tmp_path: Path) -> None:
    for folder in ("caf\udce9", "truth"):
        save(tmp_path / folder / "a\udce9.png")
    score = score_folder(tmp_path / "caf\udce9", tmp_path / "truth")
    assert score.overall["f1"] == 1
    ledger = Ledger(tmp_path / "workspace")
    ledger.enter_scores(score_rows(score, round_name="r", team="caf\udce9"))
    assert set(ledger.scores()["team"]) == {"caf\\xe9"}
