from __future__ import annotations

import pandas as pd

from harness.report.views.scores import scores_view
from submissions.scoring import figures_of


def test_test_sets_are_in_natural_order() -> None:
    rows = [
        {"test_set": name, "class": "polyp", "tp": 4, "fp": 1, "fn": 2, "tn": 50}
        for name in ("site10", "site2")
    ]
    figures = figures_of(pd.DataFrame(rows), "official").assign(package="ours")

    view = scores_view([figures], "table", average="sets", protocol="official")

    assert view.frame["test_set"].tolist() == ["site2", "site10", "all", "all"]
