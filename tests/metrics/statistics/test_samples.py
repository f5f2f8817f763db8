import numpy as np
import pandas as pd
import pytest

from metrics.statistics.bootstrap import resample
from metrics.statistics.bootstrap_intervals import intervals
from metrics.statistics.clusters import clusters_of
from metrics.statistics.samples import collect, from_values, select
from metrics.utils.errors import FaultsError, UserError


def two_models(table, **columns):
    a = table([(6, 2, 4, 8), (5, 0, 0, 5), (0, 0, 3, 7)], model="a", **columns)
    b = table([(5, 0, 0, 5), (1, 1, 1, 7), (0, 3, 0, 7)], model="b", **columns)
    return pd.concat([a, b], ignore_index=True)


def test_frames_are_paired_by_id_and_not_by_position(table):
    frames = two_models(table)
    shuffled = frames.sample(frac=1, random_state=4)
    first, second = collect(frames), collect(shuffled)
    for model in ("a", "b"):
        for frame in ("f0", "f1", "f2"):
            ours = [
                one.values[one.position(model), one.frames.index(frame)] for one in (first, second)
            ]
            assert np.array_equal(*ours)
    assert first.values[first.position("a"), first.frames.index("f0"), 1] == pytest.approx(2 / 3)


def test_score_is_the_last_figure(table):
    samples = collect(two_models(table))
    assert samples.figures[-1] == "score"
    four = [samples.figures.index(name) for name in ("f1", "f2", "ppv", "recall")]
    assert np.allclose(samples.values[..., -1], samples.values[..., four].mean(axis=-1))
    assert collect(two_models(table), figures=["iou"]).figures == ("iou",)


def test_only_the_class_asked_for(table):
    polyp, background = (
        collect(two_models(table)),
        collect(two_models(table), class_name="background"),
    )
    accuracy = polyp.figures.index("accuracy")
    assert np.array_equal(polyp.values[..., accuracy], background.values[..., accuracy])
    assert not np.array_equal(polyp.values, background.values)
    with pytest.raises(UserError, match="'tool'"):
        collect(two_models(table), class_name="tool")


def test_sequences_are_clusters_and_other_frames_stand_alone(table):
    frames = table(
        [(1, 1, 1, 1)] * 6,
        sequence=["seq1", "", "seq1", "seq2", "", "seq1"],
        dataset=["x", "x", "x", "x", "x", "y"],
    )
    samples = collect(frames)
    assert samples.clusters.tolist() == [0, 1, 0, 2, 3, 4]
    assert samples.n_clusters == 5
    assert samples.models == ("",)
    # One cluster of two frames and four of one: 6^2 / (4 + 4).
    assert samples.effective_clusters == pytest.approx(36 / 8)


def test_sequences_of_one_name_in_two_test_sets_are_two():
    frames = pd.DataFrame({"frame": list("abcdef"), "dataset": "endocv2021"})
    frames["sequence"] = ["seq1", "seq1", "seq1", "seq1", "", ""]
    frames["test_set"] = ["A", "A", "B", "B", "B", "B"]
    assert clusters_of(frames).tolist() == [0, 0, 1, 1, 2, 3]
    # Names that run together are no reason to take two sequences for one.
    frames["dataset"], frames["sequence"] = ["x y"] * 3 + ["x"] * 3, ["z"] * 3 + ["y z"] * 3
    assert clusters_of(frames.drop(columns="test_set")).tolist() == [0, 0, 0, 1, 1, 1]


def test_a_missing_frame_is_a_fault_and_never_skipped(table):
    frames = two_models(table)
    lacking = frames[~((frames["model"] == "b") & (frames["frame"].isin(["f1", "f2"])))]
    with pytest.raises(FaultsError) as caught:
        collect(lacking)
    assert [fault.path for fault in caught.value.faults] == ["f1", "f2"]
    assert "b has it 0 times" in caught.value.faults[0].message


def test_a_frame_twice_is_a_fault(table):
    frames = two_models(table)
    with pytest.raises(FaultsError, match="a has it 2 times"):
        collect(pd.concat([frames, frames.iloc[[0]]]))


def test_unknown_figures_and_models_are_told(table):
    with pytest.raises(UserError, match=r"no figure hd95_px here; .* score, .* false_polyps"):
        collect(two_models(table), figures=["hd95_px"])
    with pytest.raises(UserError, match="no model 'c' here; there are a, b"):
        collect(two_models(table)).position("c")


def test_cluster_sums_leave_undefined_values_out(table):
    samples = collect(two_models(table, sequence=["s", "s", ""]), protocol="strict")
    sums, numbers = samples.cluster_sums()
    ppv, a, b = samples.figures.index("ppv"), samples.position("a"), samples.position("b")
    assert numbers[:, a, ppv].tolist() == [2, 0]
    assert numbers[:, b, ppv].tolist() == [2, 1]
    assert sums[0, a, ppv] == pytest.approx(6 / 8 + 1)
    assert sums[1, a, ppv] == 0


def test_select_keeps_the_order_asked_for(table):
    samples = collect(two_models(table))
    chosen = select(samples, ["recall", "iou"])
    assert chosen.figures == ("recall", "iou")
    assert np.array_equal(chosen.values[..., 1], samples.values[..., samples.figures.index("iou")])


def test_the_score_can_be_asked_for_by_name(table):
    samples = collect(two_models(table), figures=["score"])
    assert samples.figures == ("f1", "f2", "ppv", "recall", "score")
    assert collect(two_models(table), figures="iou").figures == ("iou",)


@pytest.mark.parametrize("name", ["class", "frame", "test_set", "tp"])
def test_a_missing_column_is_named(table, name):
    frames = two_models(table, test_set="one").drop(columns=name)
    with pytest.raises(UserError, match=f"it lacks {name}"):
        collect(frames, average="sets")


def test_a_column_of_words_is_no_figure(table):
    with pytest.raises(UserError, match="figures that are numbers"):
        collect(two_models(table, centre="C1"), figures=["centre"])


def test_values_of_ones_own_are_compared_like_those_of_a_table(table):
    frames = two_models(table, sequence=["s", "s", ""])
    of_table = collect(frames, figures=["f1"])
    values = dict(zip(of_table.models, of_table.values[..., 0].tolist(), strict=True))
    own = from_values(values, clusters=of_table.clusters)
    pd.testing.assert_frame_equal(intervals(resample(own)), intervals(resample(of_table)))
    assert from_values(values).n_clusters == 3


@pytest.mark.parametrize("values", [{}, {"a": [0.5], "b": [0.5, 0.6]}, {"a": [[0.5]]}])
def test_values_that_are_no_figures_of_frames_are_refused(values):
    with pytest.raises(UserError, match="as many values of each model"):
        from_values(values)
