from __future__ import annotations

import pandas as pd

from harness.report.views.consensus import consensus_view, samples_by_set
from metrics.statistics.consensus import consensus


def test_each_ranking_has_a_heading_of_its_own_in_natural_order() -> None:
    rows = [
        {"model": model, "frame": f"{name}/{n}", "test_set": name, "sequence": "", "class": "polyp",
         "tp": tp + n, "fp": 1, "fn": 2, "tn": 50}
        for model, tp in (("unet", 4), ("fpn", 6))
        for name in ("site10", "site2", "EndoCV_DATA1")
        for n in range(3)
    ]  # fmt: skip
    found = consensus(samples_by_set(pd.DataFrame(rows), "official", figures=["f1", "iou"]))

    headings = [column.heading for column in consensus_view(found, title="").table().columns]

    sets = ("DATA1", "site2", "site10")
    assert headings[-6:] == [f"{figure} {name}" for name in sets for figure in ("F1", "IoU")]
