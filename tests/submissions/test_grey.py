"""Grey predictions: probabilities of 0 to 255, where a round or ``--threshold`` says so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from metrics.utils.errors import FaultsError
from submissions.layout import PackageLayout
from submissions.plain_folders import score_folder
from submissions.reading.validate import inspect_package
from submissions.rounds import load_rounds
from submissions.scoring import score_package
from tests.submissions.conftest import Masks

GREY = PackageLayout(suffixes=(".png",), timings="", grey=True)


@pytest.fixture
def folders(tmp_path: Path, masks: Masks) -> dict[str, Path]:
    """Packages of the round's masks: grey ones (180 in, 100 around), and cut at 0.5 and 0.3."""
    for test_set, names in masks.items():
        for name, mask in names.items():
            wide = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
            grey = np.where(mask, 180, np.where(wide, 100, 3)).astype(np.uint8)
            for kind, image in {"grey": grey, "half": mask * 255, "low": wide * 255}.items():
                path = tmp_path / kind / GREY.mask(test_set, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), image.astype(np.uint8))
    return {kind: tmp_path / kind / "EndoCV2021" for kind in ("grey", "half", "low")}


def test_only_a_round_of_grey_masks_takes_them(folders: dict[str, Path], tmp_path: Path) -> None:
    black_and_white = PackageLayout(suffixes=(".png",), timings="")
    faults = inspect_package(folders["grey"], layout=black_and_white).faults()
    assert len(faults) == 5
    assert "neither 0 nor 255" in faults[0].message
    assert inspect_package(folders["grey"], layout=GREY).faults() == []
    assert "above 0.5" in inspect_package(folders["grey"], layout=GREY).notes[0]
    rounds = tmp_path / "rounds.toml"
    rounds.write_text("[rounds.maps]\ndaily_limit = 1\ngrey = true\n")
    assert load_rounds(rounds)["maps"].layout.grey
    rounds.write_text("[rounds.maps]\ndaily_limit = 1\ngrey = 1\n")
    with pytest.raises(FaultsError, match="grey: expected true or false"):
        load_rounds(rounds)


def test_coloured_maps_and_such_of_16_bits_stay_faults(folders: dict[str, Path]) -> None:
    first, second, *_ = sorted(folders["grey"].rglob("*.png"))
    grey = cv2.imread(str(first), 0)
    cv2.imwrite(str(first), cv2.merge([grey, grey, 255 - grey]))
    cv2.imwrite(str(second), grey.astype(np.uint16))
    coloured, deep = inspect_package(folders["grey"], layout=GREY).faults()
    assert "coloured" in coloured.message
    assert "more than 8 bits" in deep.message


@pytest.mark.parametrize("protocol", ["official", "strict"])
@pytest.mark.parametrize(("threshold", "kind"), [(None, "half"), (0.3, "low"), (0.5, "half")])
def test_the_score_is_that_of_the_masks_above_the_threshold(
    folders: dict[str, Path], truth_folder: Path, threshold: float | None, kind: str, protocol
) -> None:
    ours = score_package(folders["grey"], truth_folder, protocol, layout=GREY, threshold=threshold)
    theirs = score_package(folders[kind], truth_folder, protocol, layout=GREY)
    pd.testing.assert_frame_equal(ours.frames, theirs.frames)


def test_a_plain_folder_is_cut_at_the_threshold(
    folders: dict[str, Path], truth_folder: Path
) -> None:
    plain = {kind: folder / "segmentation" for kind, folder in folders.items()}
    for folder in plain.values():
        for test_set in list(folder.iterdir()):
            test_set.rename(folder / test_set.name.removesuffix("_pred"))
    with pytest.raises(FaultsError, match="neither 0 nor 255"):
        score_folder(plain["grey"], truth_folder, "strict")
    ours = score_folder(plain["grey"], truth_folder, "strict", threshold=0.3)
    assert ours.notes[0] == "polyp where the probability is above 0.3"
    theirs = score_folder(plain["low"], truth_folder, "strict")
    pd.testing.assert_frame_equal(ours.frames, theirs.frames)
