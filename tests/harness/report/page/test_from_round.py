from __future__ import annotations

import pandas as pd

from harness.report.page.from_round import best_scores
from harness.report.tables.view import title_of


def test_a_package_called_as_a_model_is_titled_is_told_from_it() -> None:
    rows = [("", "unet", 0.7), ("U-Net", "U-Net", 0.6), ("", "fpn", 0.5), ("", "unet", 0.4)]
    scores = pd.DataFrame(rows, columns=["team", "model", "score"]).assign(truth_sha256="a")

    best = best_scores(scores, "1")

    assert [title_of(name) for name in best] == ["U-Net", "U-Net (package)", "FPN"]
    assert [row["score"] for row in best.values()] == [0.7, 0.6, 0.5]
