from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.evaluation.frame_table import rows_of
from harness.report.views.by_class import MEANS, by_place, place_view


def table(test_sets: str, places: str = "centre") -> pd.DataFrame:
    """A frame table of one frame a letter, whose prediction is off by its place in the alphabet."""
    rows = []
    for number, letter in enumerate(test_sets):
        truth = np.zeros((20, 20), bool)
        truth[2:10, 2:10] = True
        prediction = np.roll(truth, ord(letter) - ord("a"), axis=0)
        frame = dict.fromkeys(("centre", "sequence", "test_set", "dataset"), "")
        frame |= {places: letter, "frame": f"{number}", "split": "test"}
        rows += rows_of(
            {**frame, "height": 20, "width": 20}, truth, prediction, latency_ms=float(number)
        )
    return pd.DataFrame(rows).assign(model="unet")


def test_the_mean_of_test_sets_counts_each_the_same() -> None:
    found = by_place(table("aaabe", "test_set")).set_index("place")
    assert found.index.tolist() == ["a", "b", "e", MEANS["sets"], MEANS["frames"]]
    sets, mean = found.iloc[:3], found.iloc[3]
    assert (sets["iou"] == [1, 7 / 9, 4 / 12]).all()
    for figure in ("iou", "f1", "score", "hd95_px"):
        assert mean[figure] == pytest.approx(sets[figure].mean())
    assert mean["latency_ms"] == 2.0  # of a frame
    assert mean["sd_sets"] == pytest.approx(np.std(sets["score"]))
    assert mean["n"] == 5
    assert np.isnan(mean["sd_frames"])
    assert found.iloc[4]["iou"] == pytest.approx((3 + 7 / 9 + 4 / 12) / 5)
    assert found.iloc[4]["n"] == 5

    shown = place_view(by_place(table("aab", "test_set")), split="test", protocol="paper")
    assert "by test set" in shown.title
    assert shown.render("csv").splitlines()[3].startswith(MEANS["sets"])


def test_a_figure_that_a_set_lacks_has_no_mean() -> None:
    frames = table("ab", "test_set")
    of_b = (frames["test_set"] == "b") & (frames["class"] == "polyp")
    frames.loc[of_b, ["tp", "fn"]] = 0  # no polyp in the truth
    mean = by_place(frames, "strict").set_index("place").loc[MEANS["sets"]]
    assert np.isnan(mean["recall"])
    assert mean["left_out_recall"] == 1
    assert mean["iou"] == 0.5


@pytest.mark.parametrize(("letters", "places"), [("ab", "centre"), ("aa", "test_set")])
def test_there_is_no_mean_of_centres_or_of_one_set(letters: str, places: str) -> None:
    found = by_place(table(letters, places))
    assert found["place"].tolist() == sorted(set(letters))
