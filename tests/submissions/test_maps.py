"""Plain folders of probability maps by PraNet's protocol."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from metrics.pranet import fit_map, measure_map, summarise_maps
from metrics.utils.errors import FaultsError
from submissions.maps import score_maps

TRUTH = np.zeros((24, 30), bool)
TRUTH[5:14, 8:20] = True


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two test sets of two frames each; ETIS holds a deep map, and one of another size."""
    rng = np.random.default_rng(1)
    grey = cv2.GaussianBlur(TRUTH * np.uint8(240), (7, 7), 2)
    maps = {
        "Kvasir/a": grey,
        "Kvasir/b": np.zeros((24, 30), np.uint8),
        "ETIS/c": rng.integers(0, 5000, (24, 30)).astype(np.uint16),
        "ETIS/d": cv2.merge([cv2.resize(grey, (60, 48))] * 3),
    }
    for name, map_ in maps.items():
        for folder, image in (("maps", map_), ("truth", TRUTH * np.uint8(255))):
            path = tmp_path / folder / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), image)
    return tmp_path / "maps", tmp_path / "truth"


def test_each_set_has_the_figures_of_its_maps(folders: tuple[Path, Path]) -> None:
    score = score_maps(*folders)
    rows = score.by_set().set_index("test_set")
    maps = {
        name: cv2.imread(str(folders[0] / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        for name in ("Kvasir/a", "Kvasir/b", "ETIS/c", "ETIS/d")
    }
    maps["ETIS/d"] = fit_map(maps["ETIS/d"][..., 0], TRUTH.shape)
    for test_set in ("Kvasir", "ETIS"):
        own = [measure_map(map_, TRUTH) for name, map_ in maps.items() if test_set in name]
        assert rows.loc[test_set].to_dict() == pytest.approx(summarise_maps(own))
    by_frame = score.by_frame()
    means = by_frame.drop(columns="frame").groupby("test_set").mean()
    pd.testing.assert_series_equal(means["wfm"], rows["wfm"], check_like=True)
    assert by_frame["frame"].tolist() == ["c", "d", "a", "b"]


def test_nothing_on_the_disk_is_changed(folders: tuple[Path, Path]) -> None:
    before = {path: path.read_bytes() for path in folders[0].rglob("*.png")}
    score_maps(*folders)
    assert {path: path.read_bytes() for path in folders[0].rglob("*.png")} == before


def test_a_grey_value_of_128_is_no_polyp_of_the_truth(folders: tuple[Path, Path]) -> None:
    rim = TRUTH * np.uint8(255)
    rim[4, 8:20] = 128
    cv2.imwrite(str(folders[1] / "Kvasir" / "a.png"), rim)
    expected = measure_map(cv2.imread(str(folders[0] / "Kvasir" / "a.png"), 0), TRUTH)
    assert score_maps(*folders).frames["Kvasir"]["a"].mae == expected.mae


def test_all_faults_are_named(folders: tuple[Path, Path]) -> None:
    maps = folders[0]
    (maps / "Kvasir" / "b.png").rename(maps / "Kvasir" / "z.png")
    (maps / "ETIS" / "c.png").write_bytes(b"no image")
    cv2.imwrite(str(maps / "ETIS" / "d.png"), np.full((24, 30, 3), (0, 0, 200), np.uint8))
    with pytest.raises(FaultsError) as caught:
        score_maps(*folders)
    text = caught.value.message
    for words in ("b.png: its mask is missing", "z.png: an extra mask", "c.png: expected a JPEG",
                  "d.png: expected a grey image"):  # fmt: skip
        assert words in text
