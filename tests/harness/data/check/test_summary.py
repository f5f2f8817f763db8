from __future__ import annotations

import pandas as pd

from harness.data.check import summary
from metrics.masks.classes import Classes


def frames() -> pd.DataFrame:
    """Two frames of C1 (one polyp), three of two sequences, one negative, one of a test set."""
    rows = [
        ("train", "C1", "", "", "mask", True, 10, 20),
        ("train", "C1", "", "", "mask", False, 30, 40),
        ("val", "", "seq1", "", "mask", True, 30, 40),
        ("val", "", "seq1", "", "mask", None, 30, 40),
        ("val", "", "seq2", "", "mask", True, 30, 40),
        ("val", "", "seq6_neg", "", "empty", False, 30, 40),
        ("", "", "", "EndoCV_DATA1", "withheld", None, 30, 40),
    ]
    names = ["split", "centre", "sequence", "test_set", "truth", "holds", "height", "width"]
    table = pd.DataFrame(rows, columns=names).assign(dataset="endocv2021")
    return table.assign(holds=[None if one is None else (one,) for one in table["holds"]])


def test_counts_by_split_and_source() -> None:
    table = summary.summarise(frames(), with_paper=False)
    assert table.values.tolist() == [
        ["train", "C1", 2, 1, 1, "20 x 10 to 40 x 30 (2 sizes)"],
        ["train", "all", 2, 1, 1, "20 x 10 to 40 x 30 (2 sizes)"],
        ["val", "2 sequences", 3, 2, 0, "40 x 30"],
        ["val", "1 negative sequence", 1, 0, 1, "40 x 30"],
        ["val", "all", 4, 2, 1, "40 x 30"],
        ["", "EndoCV_DATA1", 1, None, None, "40 x 30"],
    ]


def test_the_papers_counts_stand_below_each_split() -> None:
    table = summary.summarise(frames(), with_paper=True)
    paper = table[table["source"] == summary.PAPER]
    assert paper["split"].tolist() == ["train", "val"]
    assert paper["frames"].tolist() == [1764, 2756]
    for total, polyp, non_polyp in summary.PAPER_TABLE_1.values():
        assert total == polyp + non_polyp


def test_unreadable_frames_have_no_size() -> None:
    table = summary.summarise(frames().assign(height=0, width=0), with_paper=False)
    assert set(table["sizes"]) == {""}


def test_several_classes_are_counted_each() -> None:
    classes = Classes.from_table({"polyp": 255, "instrument": 128})
    two = [(True, True), (False, False), (False, True), None, (False, True), (False, False), None]

    table = summary.summarise(frames().assign(holds=two), classes, with_paper=True)

    assert table.columns[3:6].tolist() == ["with_polyp", "with_instrument", "without"]
    assert table.iloc[:, 1:6].values.tolist() == [
        ["C1", 2, 1, 1, 1],
        ["all", 2, 1, 1, 1],
        ["2 sequences", 3, 0, 2, 0],
        ["1 negative sequence", 1, 0, 0, 1],
        ["all", 4, 0, 2, 1],
        ["EndoCV_DATA1", 1, None, None, None],
    ]
