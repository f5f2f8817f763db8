import pandas as pd
import pytest

from metrics.strata import add_stratum
from metrics.utils.errors import UserError


def test_strata_by_area_share(table):
    # Of 100 pixels: none, 4, 5 (the edge belongs to the larger), 14, 15, 60.
    counts = [(0, 3, 0, 97), (3, 0, 1, 96), (0, 0, 5, 95), (14, 2, 0, 84), (15, 0, 0, 85)]
    frames = add_stratum(table([*counts, (50, 0, 10, 40)]))
    polyp = frames[frames["class"] == "polyp"].set_index("frame")["stratum"]
    assert polyp.tolist() == ["none", "small", "medium", "medium", "large", "large"]
    background = frames[frames["class"] == "background"].set_index("frame")["stratum"]
    pd.testing.assert_series_equal(polyp, background)


def test_own_edges_and_repetition(table):
    frames = table([(10, 0, 0, 90)])
    assert set(add_stratum(frames)["stratum"]) == {"medium"}
    again = add_stratum(add_stratum(frames), edges=(0.2, 0.3))
    assert set(again["stratum"]) == {"small"}
    assert list(again.columns) == [*frames.columns, "stratum"]


def test_a_frame_of_each_fold_has_its_stratum(table):
    twice = pd.concat([table([(8, 0, 2, 90)]), table([(2, 0, 8, 90)])])
    assert add_stratum(twice)["stratum"].tolist() == ["medium"] * 4


def test_a_frame_without_a_polyp_row_is_told(table):
    frames = table([(10, 0, 0, 90), (1, 1, 1, 1)])
    with pytest.raises(UserError, match="frame f1"):
        add_stratum(frames.drop(index=2))


@pytest.mark.parametrize("edges", [(0.2, 0.1), (0.0, 0.1), (0.1, 1.0)])
def test_impossible_edges_are_refused(table, edges):
    with pytest.raises(UserError, match="rising area shares"):
        add_stratum(table([(10, 0, 0, 90)]), edges=edges)
