import json
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score, jaccard_score, precision_score, recall_score

from metrics.averages import summarise_by
from metrics.endocv import (
    FIGURES,
    SCORED,
    add_figures,
    organisers_json,
    summarise,
    with_all_classes,
)
from metrics.masks.classes import chosen_rows
from metrics.masks.png import encode_png
from metrics.masks.read import decode_mask, fit_prediction
from metrics.utils.errors import UserError

PIXELS = st.integers(0, 2_000_000)
COUNTS = st.tuples(PIXELS, PIXELS, PIXELS, PIXELS)


def one(counts, protocol="official"):
    frame = pd.DataFrame([dict(zip(("tp", "fp", "fn", "tn"), counts, strict=True))])
    return add_figures(frame, protocol).iloc[0]


@pytest.mark.parametrize("protocol", ["official", "strict"])
def test_figures_worked_by_hand(protocol):
    # tp 6, fp 2, fn 4, tn 8 of 20 pixels.
    row = one((6, 2, 4, 8), protocol)
    expected = {
        "iou": Fraction(6, 12),
        "f1": Fraction(12, 18),
        "ppv": Fraction(6, 8),
        "recall": Fraction(6, 10),
        "f2": Fraction(30, 48),  # 5 tp / (5 tp + 4 fn + fp) = 30 / (30 + 16 + 2)
        "accuracy": Fraction(14, 20),
        "specificity": Fraction(8, 10),
    }
    for name in FIGURES:
        assert row[name] == pytest.approx(float(expected[name]), abs=1e-14), name


@pytest.mark.parametrize(
    ("counts", "official", "undefined"),
    [
        # Both empty: perfect agreement for the organisers, nothing to measure otherwise.
        (
            (0, 0, 0, 9),
            {"iou": 1, "f1": 1, "f2": 1, "ppv": 1, "recall": 1, "accuracy": 1, "specificity": 1},
            {"iou", "f1", "f2", "ppv", "recall"},
        ),
        # Truth empty, prediction not.
        (
            (0, 3, 0, 6),
            {"iou": 0, "f1": 0, "f2": 0, "ppv": 0, "recall": 1, "accuracy": 6 / 9},
            {"recall"},
        ),
        # Prediction empty, truth not.
        (
            (0, 0, 3, 6),
            {"iou": 0, "f1": 0, "f2": 0, "ppv": 1, "recall": 0, "accuracy": 6 / 9},
            {"ppv"},
        ),
        # Truth and prediction are the whole frame.
        (
            (9, 0, 0, 0),
            {"iou": 1, "f1": 1, "f2": 1, "ppv": 1, "recall": 1, "specificity": 1},
            {"specificity"},
        ),
    ],
)
def test_empty_masks_by_protocol(counts, official, undefined):
    row = one(counts, "official")
    for name, value in official.items():
        assert row[name] == pytest.approx(value, abs=2e-15), name
    row = one(counts, "strict")
    assert {name for name in FIGURES if np.isnan(row[name])} == undefined


@given(COUNTS)
def test_official_is_the_written_formula_to_the_last_bit(counts):
    tp, fp, fn, tn = (np.float64(count) for count in counts)
    row, s = one(counts), 1e-15
    truth, prediction = tp + fn, tp + fp
    ppv, recall = (tp + s) / (prediction + s), (tp + s) / (truth + s)
    assert row["f1"] == (2 * tp + s) / (truth + prediction + s)
    assert row["iou"] == (tp + s) / (truth + prediction - tp + s)
    assert row["ppv"] == ppv
    assert row["recall"] == recall
    assert row["f2"] == 5 * (ppv * recall) / (4 * ppv + recall + s)
    if sum(counts):
        assert row["accuracy"] == (tp + tn) / (tp + tn + fp + fn)


@given(COUNTS, st.sampled_from(["official", "strict"]))
def test_figures_are_bounded_and_tied_to_each_other(counts, protocol):
    row = one(counts, protocol)
    for name in FIGURES:
        assert np.isnan(row[name]) or -1e-15 <= row[name] <= 1 + 1e-15
    if not np.isnan(row["f1"]):
        assert row["f1"] == pytest.approx(2 * row["iou"] / (1 + row["iou"]), abs=1e-12)
        assert row["iou"] <= row["f1"] + 1e-12


@given(COUNTS, st.sampled_from(["official", "strict"]))
def test_exchanging_truth_and_prediction_exchanges_ppv_and_recall(counts, protocol):
    tp, fp, fn, tn = counts
    row, turned = one(counts, protocol), one((tp, fn, fp, tn), protocol)
    for name in ("iou", "f1", "accuracy"):
        assert np.array_equal(row[name], turned[name], equal_nan=True)
    assert np.array_equal(row["ppv"], turned["recall"], equal_nan=True)


def test_scikit_learn_agrees_on_pixels():
    rng = np.random.default_rng(11)
    for share in (0.1, 0.5, 0.9):
        truth, prediction = rng.random((2, 400)) < share
        tp, fp = (truth & prediction).sum(), (~truth & prediction).sum()
        fn, tn = (truth & ~prediction).sum(), (~truth & ~prediction).sum()
        for protocol in ("official", "strict"):
            row = one((tp, fp, fn, tn), protocol)
            assert row["ppv"] == pytest.approx(precision_score(truth, prediction), abs=1e-14)
            assert row["recall"] == pytest.approx(recall_score(truth, prediction), abs=1e-14)
            assert row["iou"] == pytest.approx(jaccard_score(truth, prediction), abs=1e-14)
            for beta in (1, 2):
                theirs = fbeta_score(truth, prediction, beta=beta)
                assert row[f"f{beta}"] == pytest.approx(theirs, abs=1e-14)
            specificity = recall_score(~truth, ~prediction)
            assert row["specificity"] == pytest.approx(specificity, abs=1e-14)


def test_all_classes_is_the_micro_average(table):
    full = with_all_classes(table([(6, 2, 4, 8), (0, 0, 0, 20)], sequence="s"))
    micro = full[full["class"] == "all"].set_index("frame")
    # Both channels: tp + tn, fp + fn, fn + fp, tn + tp.
    assert micro.loc["f0", ["tp", "fp", "fn", "tn"]].tolist() == [14, 6, 6, 14]
    assert micro.loc["f1", ["tp", "fp", "fn", "tn"]].tolist() == [20, 0, 0, 20]
    assert (micro["sequence"] == "s").all()
    figures = add_figures(micro)
    assert figures.loc["f0", ["f1", "ppv", "recall"]].tolist() == pytest.approx([0.7] * 3)


def test_all_classes_keeps_models_apart_and_can_be_repeated(table):
    both = pd.concat([table([(1, 2, 3, 4)], model="a"), table([(5, 6, 7, 8)], model="b")])
    full = with_all_classes(both)
    assert len(full) == 6
    micro = full[full["class"] == "all"].set_index("model")
    assert micro["tp"].to_dict() == {"a": 5, "b": 13}
    again = with_all_classes(full)
    pd.testing.assert_frame_equal(full, again)


def test_a_frame_of_each_fold_counts_once_a_fold(table):
    twice = pd.concat([table([(8, 0, 2, 90)], model="a"), table([(2, 0, 8, 90)], model="a")])
    full = with_all_classes(twice)
    micro = full[full["class"] == "all"]
    assert micro["tp"].tolist() == [98, 92]
    assert micro["fn"].tolist() == [2, 8]


def test_all_classes_has_no_boundary_figures(table):
    full = with_all_classes(table([(1, 2, 3, 4)], measured={"hd95_px": 2.0}))
    assert full.set_index("class")["hd95_px"].isna().to_dict() == {
        "polyp": False,
        "background": True,
        "all": True,
    }


def test_summary_worked_by_hand(table):
    # F1, F2, PPV, recall of the first frame: 2/3, 5/8, 3/4, 3/5; of the second, all 1.
    summary = summarise(table([(6, 2, 4, 8), (5, 0, 0, 5)])).set_index("class").loc["polyp"]
    assert summary["n"] == 2
    means = {"f1": 5 / 6, "f2": 13 / 16, "ppv": 7 / 8, "recall": 4 / 5}
    for name, value in means.items():
        assert summary[name] == pytest.approx(value, abs=1e-12)
    assert summary["score"] == pytest.approx(sum(means.values()) / 4, abs=1e-12)
    deviations = {"f1": 1 / 6, "f2": 3 / 16, "ppv": 1 / 8, "recall": 1 / 5}
    for name, value in deviations.items():
        assert summary[f"sd_{name}"] == pytest.approx(value, abs=1e-12)
    assert summary["sd_frames"] == pytest.approx(sum(deviations.values()) / 4, abs=1e-12)
    assert summary["sd_metrics"] == pytest.approx(np.std(list(means.values())), abs=1e-12)
    assert "sd_sets" not in summary


def test_sd_over_sets_is_that_of_the_sets_scores(table):
    frames = table(
        [(6, 2, 4, 8), (5, 0, 0, 5), (1, 1, 1, 1), (1, 0, 3, 0)], test_set=["one", "one", "two", ""]
    )
    polyp = frames[frames["class"] == "polyp"]
    scores = [
        summarise(polyp[polyp["test_set"] == name])["score"].item() for name in ("one", "two")
    ]
    summary = summarise(polyp)
    assert summary["sd_sets"].item() == pytest.approx(np.std(scores), abs=1e-12)
    assert scores[0] != pytest.approx(scores[1])
    alone = summarise(polyp, by=("test_set",))
    assert alone["sd_sets"].isna().all()


def test_a_set_without_a_score_leaves_no_sd_over_sets(table):
    sets = {"one": (6, 2, 4, 8), "two": (5, 0, 0, 5), "three": (0, 0, 4, 4)}  # no PPV in the last
    polyp = chosen_rows(table(list(sets.values()), test_set=list(sets)))
    assert np.isnan(summarise(polyp, protocol="strict")["sd_sets"].item())
    assert np.isnan(summarise_by("sets", polyp, protocol="strict")["sd_sets"].item())
    assert summarise(polyp)["sd_sets"].item() > 0


def test_frames_of_no_test_set_have_no_sd_over_sets(table):
    summary = summarise(table([(6, 2, 4, 8), (5, 0, 0, 5)], test_set=""))
    assert summary["sd_sets"].isna().all()
    assert summary["n"].tolist() == [2, 2]


def test_strict_leaves_undefined_figures_out_and_says_how_many(table):
    # PPV is undefined in the second frame, recall in the third, all four in the last.
    frames = table([(6, 2, 4, 8), (0, 0, 5, 5), (0, 5, 0, 5), (0, 0, 0, 9)])
    polyp = summarise(frames, protocol="strict").set_index("class").loc["polyp"]
    assert polyp["n"] == 4
    assert polyp["left_out_ppv"] == 2
    assert polyp["left_out_recall"] == 2
    assert polyp["left_out_f1"] == polyp["left_out_iou"] == polyp["left_out_f2"] == 1
    assert polyp["left_out_accuracy"] == 0
    assert polyp["ppv"] == pytest.approx((6 / 8 + 0) / 2)
    assert polyp["recall"] == pytest.approx((6 / 10 + 0) / 2)
    assert polyp["f1"] == pytest.approx((12 / 18 + 0 + 0) / 3)
    official = summarise(frames).set_index("class").loc["polyp"]
    assert official["ppv"] == pytest.approx((6 / 8 + 1 + 0 + 1) / 4)
    assert official["left_out_ppv"] == 0


def test_a_figure_that_is_nowhere_defined_is_nan_in_score_too(table):
    empty = summarise(table([(0, 0, 0, 9)] * 2), protocol="strict").set_index("class").loc["polyp"]
    assert np.isnan(empty["ppv"])
    assert np.isnan(empty["score"])
    assert empty["left_out_ppv"] == 2


def test_groups_and_measured_columns(table):
    frames = table([(6, 2, 4, 8)] * 3, centre=["C1", "C2", "C1"], latency_ms=[1.0, 2.0, 5.0])
    summary = summarise(frames, by=("centre", "class"))
    assert summary[["centre", "class", "n"]].to_numpy().tolist() == [
        ["C1", "polyp", 2],
        ["C1", "background", 2],
        ["C2", "polyp", 1],
        ["C2", "background", 1],
    ]
    assert summary["latency_ms"].tolist() == [3.0, 3.0, 2.0, 2.0]


def test_boundary_figures_are_averaged_with_the_number_left_out(table):
    frames = table([(1, 1, 1, 1)] * 3)
    frames["hd95_px"] = [2.0, np.nan, np.nan, np.nan, 4.0, np.nan]
    polyp = summarise(frames).set_index("class").loc["polyp"]
    assert polyp["hd95_px"] == 3.0
    assert polyp["left_out_hd95_px"] == 1


@settings(max_examples=15)
@given(st.lists(COUNTS, min_size=2, max_size=12), st.randoms())
def test_order_of_frames_and_splitting_a_folder_do_not_matter(counts, random):
    frames = pd.DataFrame(counts, columns=["tp", "fp", "fn", "tn"]).assign(**{"class": "polyp"})
    whole = summarise(frames).iloc[0]
    order = list(range(len(frames)))
    random.shuffle(order)
    shuffled = summarise(frames.iloc[order]).iloc[0]
    cut = len(frames) // 2
    parts = [summarise(part).iloc[0] for part in (frames[:cut], frames[cut:])]
    for name in (*FIGURES, "score"):
        assert shuffled[name] == pytest.approx(whole[name], abs=1e-12, nan_ok=True)
        if not np.isnan(whole[name]) and not any(np.isnan(part[name]) for part in parts):
            joined = sum(part["n"] * part[name] for part in parts) / len(frames)
            if name != "accuracy":  # a frame without pixels has none, and weighs nothing
                assert joined == pytest.approx(whole[name], abs=1e-12)


def test_a_table_without_counts_is_refused(table):
    with pytest.raises(UserError, match="it lacks fn"):
        add_figures(table([(1, 2, 3, 4)]).drop(columns="fn"))
    with pytest.raises(UserError, match="it lacks centre"):
        summarise(table([(1, 2, 3, 4)]), by=("centre",))


def test_the_evaluators_file(table):
    frames = table([(6, 2, 4, 8), (5, 0, 0, 5), (0, 0, 0, 9)], test_set="EndoCV_DATA1")
    frames["hausdorff_rows"] = [3.0, np.nan, 1.0, np.nan, 0.0, np.nan]
    written = json.loads(json.dumps(organisers_json(frames)))
    assert list(written) == ["EndoCV2021_seg"]
    values = {key: entry["value"] for key, entry in written["EndoCV2021_seg"].items()}
    assert list(values) == [
        "dice", "jaccard", "typeIIerror", "PPV", "recall", "OverallAcc", "hausdorff_distance",
        "hausdorff_distance_nonNorm", "dice_std", "jc_std", "f2_std", "ppv_std", "r_std",
        "acc_std", "hdf_std", "hdf_std_noNorm",
    ]  # fmt: skip
    polyp = add_figures(frames[frames["class"] == "polyp"])
    for key, name in (("dice", "f1"), ("jaccard", "iou"), ("typeIIerror", "f2"), ("PPV", "ppv")):
        assert values[key] == pytest.approx(polyp[name].mean(), abs=1e-12)
    assert values["r_std"] == pytest.approx(np.std(polyp["recall"].to_numpy()), abs=1e-12)
    assert values["hausdorff_distance_nonNorm"] == pytest.approx(4 / 3)
    assert values["hausdorff_distance"] == pytest.approx(4 / 9)
    assert values["hdf_std"] == pytest.approx(np.std([1, 1 / 3, 0]))
    assert values["hdf_std_noNorm"] == pytest.approx(np.std([3, 1, 0]))


def test_the_evaluators_file_without_and_with_perfect_hausdorff(table):
    frames = table([(5, 0, 0, 5)])
    assert not any(
        "h" in key and "d" in key[:3] for key in organisers_json(frames)["EndoCV2021_seg"]
    )
    perfect = organisers_json(frames.assign(hausdorff_rows=0.0))["EndoCV2021_seg"]
    assert perfect["hausdorff_distance"]["value"] == 0.0
    assert perfect["hdf_std"]["value"] == 0.0


def test_one_file_for_one_test_set(table):
    with pytest.raises(UserError, match="2 test sets"):
        organisers_json(table([(1, 2, 3, 4)] * 2, test_set=["a", "b"]))
    with pytest.raises(UserError, match="has 0 of them"):
        organisers_json(table([(1, 2, 3, 4)]).query("`class` == 'background'"))


def test_scored_figures_are_the_four_of_the_challenge():
    assert SCORED == ("f1", "f2", "ppv", "recall")


@pytest.mark.parametrize("protocol", ["paper", "Official", ""])
def test_an_unknown_protocol_is_refused_and_no_figure_comes(table, protocol):
    with pytest.raises(UserError, match="unknown protocol"):
        summarise(table([(1, 1, 1, 1)]), protocol=protocol)
    with pytest.raises(UserError, match="unknown protocol"):
        decode_mask(encode_png(np.zeros((2, 2), np.uint8)), protocol=protocol)
    with pytest.raises(UserError, match="expected 3 x 3 pixels"):
        fit_prediction(np.ones((2, 2), bool), (3, 3), protocol=protocol)


def test_one_column_need_not_be_a_list(table):
    frames = table([(6, 2, 4, 8), (5, 0, 0, 5)])
    pd.testing.assert_frame_equal(summarise(frames, "class"), summarise(frames, ["class"]))


def test_one_file_for_one_model(table):
    with pytest.raises(UserError, match="2 models in 1 test sets"):
        organisers_json(table([(6, 2, 4, 8), (5, 0, 0, 5)], model=["a", "b"]))
