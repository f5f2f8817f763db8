from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.report.tables.choices import AVERAGES, EVALUATION_TABLES
from harness.report.views.evaluation import KINDS, MOST_LINES, Measured
from harness.report.views.seeds import seed_view
from metrics.averages import Average
from tests.harness.report.views.test_by_class import table


def test_every_table_that_can_be_asked_for_is_made() -> None:
    assert list(EVALUATION_TABLES) == list(KINDS)


def shown(kind: str, average: Average | None, sets: str = "aaabe") -> tuple[pd.DataFrame, str]:
    """The first row of a table, and its caption."""
    measured = Measured(
        frames=table(sets, "test_set").assign(hausdorff_rows=[1.0, 1.0] * 3 + [4.0, 4.0] * 2),
        split="test",
        protocol="paper",
        average=average,
    )
    view = KINDS[kind](measured, "table")[-1 if kind == "contours" else 0]
    return view.frame, view.caption


@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        ("classes", "iou"),
        ("contours", "hausdorff_distance_nonNorm"),
        ("polyps", "lesion_sensitivity"),
        ("strata", "iou"),
    ],
)
def test_every_table_takes_the_average_that_is_asked_for_and_says_it(
    kind: str, figure: str
) -> None:
    by_set = [shown(kind, None, letter * 5)[0][figure].iloc[0] for letter in "abe"]
    if kind == "contours":  # constant within a set
        by_set = [1.0, 4.0, 4.0]
    over_sets, over_frames = (shown(kind, average) for average in ("sets", "frames"))

    assert over_sets[0][figure].iloc[0] == pytest.approx(sum(by_set) / 3)
    expected = (3 * by_set[0] + by_set[1] + by_set[2]) / 5
    assert over_frames[0][figure].iloc[0] == pytest.approx(expected)
    pd.testing.assert_frame_equal(shown(kind, None)[0], over_sets[0])
    assert over_sets[1] != over_frames[1]
    assert "set" in over_sets[1]


@pytest.mark.parametrize("average", ["sets", "frames"])
def test_seeds_are_averaged_over_sets_as_the_table_above_them(average: Average) -> None:
    frames = table("aaabe", "test_set")
    both = pd.concat([frames.assign(model="a0"), frames.assign(model="a1")])
    view = seed_view(both, {"a": ["a0", "a1"]}, split="test", formulas="official", average=average)
    assert view is not None
    assert ("over the test sets" in view.caption) == (average == "sets")
    score = view.frame.set_index("figure").loc["score", "mean"]
    assert score == pytest.approx(shown("classes", average)[0]["score"].iloc[0])


def test_the_score_by_the_other_average_stands_beside_it() -> None:
    for average, other in (("sets", "frames"), ("frames", "sets")):
        rows, caption = shown("classes", average)
        assert AVERAGES[average] in caption
        assert rows["score"].equals(rows[f"score_{average}"])
        assert rows["score"].iloc[0] != rows[f"score_{other}"].iloc[0]
        assert f"sd_{average}" in caption


def test_the_name_of_a_class_keeps_its_capitals() -> None:
    frames = table("ab", "test_set").replace({"class": {"polyp": "SSL"}})
    for kind, heading in (("polyps", "SSL regions found"), ("strata", "SSL")):
        (view,) = KINDS[kind](Measured(frames=frames, split="test", protocol="paper"), "table")
        assert heading in [column.heading for column in view.table().columns]


@pytest.mark.parametrize("kind", ["polyps", "curves", "calibration"])
def test_tables_name_the_chosen_class(kind: str) -> None:
    frames = table("aab", "test_set").replace({"class": {"polyp": "nucleus"}})
    levels = np.eye(1, 256, 200, dtype=np.int64)[0]
    row = {"polyp_levels": levels, "rest_levels": levels, "found": [0.8], "false": [], "polyps": 1}
    maps = pd.DataFrame([{"model": "unet", "frame": frame, **row} for frame in "xy"])
    measured = Measured(frames=frames, split="test", protocol="paper", maps=maps)
    for view in KINDS[kind](measured, "table"):
        shown = view.table()
        said = " ".join([shown.title, *shown.captions, *(c.heading for c in shown.columns)])
        assert "polyp" not in said.lower()
        assert "nucleus" in said or "by threshold" in shown.title


def test_frames_of_two_datasets_alone_are_grouped_by_them() -> None:
    frames = table("aab", "dataset").assign(split="test", centre="", test_set="", sequence="")
    measured = Measured(frames=frames, split="test", protocol="paper")
    (view,) = KINDS["generalisation"](measured, "table")
    assert "from dataset to dataset" in view.title


def test_on_a_terminal_a_long_table_by_sequence_is_left_to_a_command_of_its_own() -> None:
    one = table("a", "sequence")
    frames = [one.assign(sequence=f"seq{k}", frame=f"{k}") for k in range(MOST_LINES + 1)]
    long = Measured(frames=pd.concat(frames), split="val", protocol="strict")
    short = Measured(frames=pd.concat(frames[:3]), split="val", protocol="strict")

    assert len(KINDS["classes"](short, "table")) == len(KINDS["classes"](long, "table")) + 1
    caption = KINDS["classes"](long, "table")[-1].caption
    assert caption.endswith("The 61 lines by centre or sequence: --table places.")
    assert len(KINDS["classes"](long, "markdown")[-1].frame) == MOST_LINES + 1
    assert len(KINDS["places"](long, "table")[0].frame) == MOST_LINES + 1
