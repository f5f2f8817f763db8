from __future__ import annotations

import math

import pytest

from harness.report.tables.sparkline import LEVELS, sparkline


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([0.5], "▁"),
        ([0.5, 0.5], "▁▁"),
        (list(range(8)), LEVELS),
        ([1.0, math.nan, 0.0], "█ ▁"),
        ([math.nan], " "),
    ],
)
def test_worked_by_hand(values: list[float], expected: str) -> None:
    assert sparkline(values) == expected


def test_many_values_are_averaged_in_groups() -> None:
    assert sparkline([0, 2, 7, 7, 14, 16], widest=3) == "▁▄█"
