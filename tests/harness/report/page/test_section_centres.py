"""The change in F1 from one split to the other, where one of them has several test sets."""

from __future__ import annotations

import pandas as pd
import pytest

from harness.report.page.content import PageContent, Plot
from harness.report.page.section_centres import gaps
from metrics.averages import Average


def frames(*hits: tuple[str, int]) -> pd.DataFrame:
    """A frame for each test set and its true positives, of 100 pixels that are polyp."""
    row = {"model": "a", "class": "polyp", "fp": 0, "tn": 800, "place": "", "centre": ""}
    return pd.DataFrame(
        [
            {**row, "frame": str(n), "test_set": name, "sequence": "", "tp": tp, "fn": 100 - tp}
            for n, (name, tp) in enumerate(hits)
        ]
    )


@pytest.mark.parametrize(("average", "expected"), [("sets", 0.5), ("frames", 0.75)])
def test_both_pages_take_the_average_over_test_sets_that_is_asked_for(
    average: Average, expected: float
) -> None:
    val, test = frames(("", 0)), frames(("x", 100), ("x", 100), ("x", 100), ("y", 0))
    for split, here, other, there in (("val", val, "test", test), ("test", test, "val", val)):
        content = PageContent(
            name=f"{split} split", split=split, protocol="paper", frames=here, cards=[], facts={},
            elsewhere={f"{other} split": there}, average=average,
        )  # fmt: skip
        (plot,), _ = gaps(content)
        assert isinstance(plot, Plot)
        (row,) = max(plot.spec["datasets"].values(), key=lambda rows: len(rows[0]))
        assert (row["start"], row["end"]) == (0, expected)
        assert ("over the test sets" in plot.caption) == (average == "sets")
