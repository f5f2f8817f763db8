import pytest

from metrics import paper


def test_results_are_tables_two_and_three():
    results = paper.results()
    assert len(results) == 2 * 7 * 3
    assert set(results["split"]) == {"val", "test"}
    assert set(results["class"]) == {"all", "polyp", "background"}
    key = ["split", "model", "class"]
    row = results.set_index(key).loc[("val", "divergentnets", "polyp")]
    assert row[["iou", "f1", "recall", "ppv"]].tolist() == [0.795, 0.823, 0.844, 0.937]


def test_micro_averages_agree_with_each_other():
    micro = paper.results().query("`class` == 'all'")
    assert (micro["f1"] == micro["recall"]).all()
    assert (micro["f1"] == micro["ppv"]).all()


def test_the_misprint_is_the_row_that_repeats_its_polyp_row():
    results = paper.results()
    marked = results[results["misprint"]]
    assert marked[["table", "model", "class"]].to_numpy().tolist() == [
        [3, "deeplabv3+", "background"]
    ]
    figures = ["iou", "f1", "recall", "ppv"]
    same = results[(results["table"] == 3) & (results["model"] == "deeplabv3+")]
    polyp = same[same["class"] == "polyp"][figures].to_numpy()
    assert polyp.tolist() == marked[figures].to_numpy().tolist()


def test_official_is_table_four():
    official = paper.official()
    assert official.columns.tolist() == ["table", "round", "model", "score", "sd"]
    best = official.sort_values("score").groupby("round").tail(1).set_index("round")
    assert best.loc[1, "model"] == "triunet"
    assert best.loc[2, ["model", "score"]].tolist() == ["divergentnets", 0.823]
    assert best.loc[2, "sd"] == pytest.approx(0.043)
