"""Grey predictions: probabilities of 0 to 255, where a round or ``--threshold`` says so."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from harness.report.page.from_round import _each_mask
from metrics.utils.errors import FaultsError
from submissions.layout import PackageLayout
from submissions.plain_folders import score_folder
from submissions.platforms.jobs import inspect_jobs
from submissions.platforms.mha import write_mha
from submissions.platforms.unpacked import find_submission
from submissions.reading.validate import inspect_package
from submissions.rounds import Round, load_rounds
from submissions.scoring import score_masks, score_package, score_rows
from submissions.truth import find_truth
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


def test_a_platform_that_unpacked_a_package_scores_it_alike(
    folders: dict[str, Path], truth_folder: Path
) -> None:
    truth = find_truth(truth_folder, layout=GREY)
    _, inspect = find_submission(folders["grey"].parent, truth.sizes, GREY, ())
    ours = score_masks(folders["grey"], truth, inspect, hausdorff=False)
    theirs = score_package(folders["half"], truth, layout=GREY, hausdorff=False)
    pd.testing.assert_frame_equal(ours.frames, theirs.frames)


def test_the_jobs_of_an_algorithm_may_write_grey_masks(
    folders: dict[str, Path], truth_folder: Path, tmp_path: Path
) -> None:
    truth = find_truth(truth_folder, layout=GREY)
    jobs: list[dict[str, Any]] = []
    for test_set, names in truth.masks.items():
        for name in names:
            place = tmp_path / "input" / f"{len(jobs)}" / "output" / "images" / "m" / "output.mha"
            place.parent.mkdir(parents=True)
            grey = cv2.imread(str(tmp_path / "grey" / GREY.mask(test_set, name)), 0)
            # A probability of 1 in 255 everywhere is not a mask of 0 and 1.
            place.write_bytes(write_mha(np.minimum(grey, 1) if name == "a_2" else grey))
            socket = {"socket": {"relative_path": "images/m"}}
            image = {"image": {"name": f"{name}.png"}}
            jobs.append({"pk": str(len(jobs)), "inputs": [image], "outputs": [socket]})
    (tmp_path / "input" / "predictions.json").write_text(json.dumps(jobs))
    inspect = partial(inspect_jobs, tmp_path / "input", truth.sizes, GREY)
    ours = score_masks(tmp_path / "input", truth, inspect, hausdorff=False)
    theirs = score_package(folders["half"], truth, layout=GREY, hausdorff=False)
    names = ["frame", "class", "tp", "fp", "fn", "tn"]
    pd.testing.assert_frame_equal(ours.frames[names], theirs.frames[names])


@pytest.mark.parametrize(("threshold", "kind"), [(None, "half"), (0.3, "low")])
def test_the_page_of_a_round_draws_the_masks_that_were_scored(
    folders: dict[str, Path], truth_folder: Path, threshold: float | None, kind: str
) -> None:
    truth = find_truth(truth_folder, layout=GREY)
    scored = score_package(folders["grey"], truth, layout=GREY, threshold=threshold)
    row = score_rows(scored)[0]
    row["settings"] = json.dumps(row["settings"])
    drawn: dict[str, np.ndarray] = {}
    _each_mask(row, Round(name="maps", daily_limit=1, layout=GREY), truth, drawn.__setitem__)
    assert len(drawn) == 5
    for frame, mask in drawn.items():
        path = folders[kind].parent / GREY.mask(*frame.split("/"))
        assert np.array_equal(mask, cv2.imread(str(path), 0) > 0)
