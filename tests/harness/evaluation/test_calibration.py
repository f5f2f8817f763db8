"""Calibration of a model that finds no polyp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.evaluation.calibration import calibration_of, risk_rows


def test_a_model_that_finds_no_polyp_is_calibrated(tmp_path: Path) -> None:
    levels = {"polyp_levels": np.eye(1, 256)[0] * 4, "rest_levels": np.eye(1, 256)[0] * 9}
    rows = [
        {"frame": str(n), "sequence": "", "found": [], "false": [0.5], "polyps": 1, **levels}
        for n in range(2)
    ]
    pd.DataFrame(rows).to_parquet(tmp_path / "maps.parquet")  # what makes objects of empty lists
    table = pd.read_parquet(tmp_path / "maps.parquet")
    found = calibration_of(table, None)
    assert found.by_polyp["n"].tolist() == [2]
    assert found.figures["brier"] == 4 / 13
    assert found.figures["ece_polyp"] == 0.5
    assert {row["sequences"] for row in risk_rows(table)} == {2}
