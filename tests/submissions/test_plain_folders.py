"""Plain folders of masks against plain folders of true masks."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from metrics.masks.classes import Classes
from metrics.utils.errors import FaultsError, UserError
from submissions.plain_folders import find_masks, score_folder
from submissions.scoring import score_package
from tests.submissions.conftest import Masks

NAME = "\u00e9_1"


@pytest.fixture
def plain(tmp_path: Path, masks: Masks) -> Path:
    """The masks of the package, as plain PNGs by test set."""
    folder = tmp_path / "plain"
    for test_set, names in masks.items():
        (folder / test_set).mkdir(parents=True)
        for name, mask in names.items():
            cv2.imwrite(str(folder / test_set / f"{name}.png"), mask * np.uint8(255))
    return folder


@pytest.mark.parametrize("protocol", ["official", "strict"])
def test_the_figures_are_those_of_a_package(
    plain: Path, package: Path, truth_folder: Path, protocol: str
) -> None:
    theirs = score_package(package, truth_folder, protocol)
    ours = score_folder(plain, truth_folder, protocol)

    figures = ours.figures.drop(columns="latency_ms")
    pd.testing.assert_frame_equal(figures, theirs.figures.drop(columns="latency_ms"))
    assert ours.organisers.keys() == theirs.organisers.keys()


def test_masks_of_classes_are_scored_by_the_chosen_one(plain: Path, truth_folder: Path) -> None:
    expected = score_folder(plain, truth_folder, "strict").figures
    for path in (*plain.rglob("*.png"), *truth_folder.rglob("*.png")):
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        other = np.zeros_like(mask)
        other[-3:, -3:] = 255
        cv2.imwrite(str(path), np.dstack([other, mask * 0, mask]))
    classes = Classes.from_table({"tool": "#0000ff", "polyp": "#ff0000"}).choosing("polyp")

    score = score_folder(plain, truth_folder, "strict", classes=classes)

    pd.testing.assert_frame_equal(score.figures, expected)
    assert "the true masks are read by [classes], as polyp" in score.notes
    with pytest.raises(FaultsError, match="colours"):
        score_folder(plain, truth_folder)


def test_masks_beside_frames_are_found(plain: Path, truth_folder: Path) -> None:
    expected = score_folder(plain, truth_folder).figures
    for test_set in list(truth_folder.iterdir()):
        inner = test_set.rename(truth_folder / "moved")
        test_set.mkdir()
        shutil.copytree(inner, test_set / "images")
        inner.rename(test_set / "masks")

    pd.testing.assert_frame_equal(score_folder(plain, truth_folder).figures, expected)


def test_flat_folders_are_one_set(plain: Path, truth_folder: Path) -> None:
    score = score_folder(plain / "EndoCV_DATA1", truth_folder / "EndoCV_DATA1")

    assert score.figures["test_set"].tolist() == ["EndoCV_DATA1", "all"]
    assert score.overall["n"] == 3


def test_every_fault_is_named(plain: Path, truth_folder: Path) -> None:
    first = plain / "EndoCV_DATA1"
    (first / "a_0.png").rename(first / "z_9.png")
    (first / "a_1.png").write_bytes(b"no image")
    shutil.copy(first / "a_2.png", first / "a_2.bmp")
    (first / "b.png").symlink_to("nowhere")
    (plain / "EndoCV_DATA2").rename(plain / "EndoCV_DATA9")
    (plain / "c.png").symlink_to("nowhere")

    with pytest.raises(FaultsError) as caught:
        score_folder(plain, truth_folder)

    told = [(Path(fault.path).name, fault.message) for fault in caught.value.faults]
    for name, words in (
        ("a_0_mask.png", "missing"),
        ("z_9.png", "extra"),
        ("a_1.png", "expected a mask"),
        ("a_2.png", "second mask"),
        ("b.png", "dead link"),
        ("c.png", "dead link"),
        ("plain", "missing: 2 masks of EndoCV_DATA2"),
        ("EndoCV_DATA9", "2 masks without a true mask"),
    ):
        assert any(place == name and words in message for place, message in told), name
    assert len(told) == 8


def test_sizes_must_match_or_are_resized_by_the_official_protocol(
    plain: Path, truth_folder: Path
) -> None:
    file = plain / "EndoCV_DATA1" / "a_0.png"
    cv2.imwrite(str(file), cv2.resize(cv2.imread(str(file)), None, fx=0.5, fy=0.5))

    assert any("resized" in note for note in score_folder(plain, truth_folder).notes)
    with pytest.raises(FaultsError, match="56 x 40"):
        score_folder(plain, truth_folder, "strict")


def test_names_are_paired_however_they_are_encoded(plain: Path, tmp_path: Path) -> None:
    mask = plain / "EndoCV_DATA1" / "a_0.png"
    for folder, form in (("composed", "NFC"), ("split", "NFD")):
        (tmp_path / folder).mkdir()
        shutil.copy(mask, tmp_path / folder / f"{unicodedata.normalize(form, NAME)}.png")

    score = score_folder(tmp_path / "composed", tmp_path / "split")

    assert score.overall["score"] == pytest.approx(1)


def test_what_is_passed_over_is_noted(plain: Path, truth_folder: Path) -> None:
    (plain / "EndoCV_DATA1" / "predictions.csv").write_text("image")
    (plain / "empty").mkdir()

    notes = " ".join(score_folder(plain, truth_folder).notes)

    assert "EndoCV_DATA1/predictions.csv" in notes
    assert "empty/" in notes


def test_the_folder_of_the_masks_is_not_said_to_be_passed_over(plain: Path) -> None:
    (plain / "EndoCV_DATA1").rename(plain / "masks")

    assert find_masks(plain).others == ["EndoCV_DATA2/"]


def test_a_folder_without_masks_is_refused(plain: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="found none"):
        score_folder(plain, tmp_path / "empty")
