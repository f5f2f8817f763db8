from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from harness.report.tables.columns import Column, is_missing, is_number, layout, text


@pytest.mark.parametrize(
    ("value", "column", "expected"),
    [
        (0.12345, Column(key="v", decimals=3), "0.123"),
        (1234567, Column(key="v"), "1,234,567"),
        (np.int64(1234), Column(key="v"), "1,234"),
        (1234.5, Column(key="v", decimals=1), "1,234.5"),
        (0.25, Column(key="v"), "0.25"),
        (0.256, Column(key="v", decimals=1, scale=100), "25.6"),
        (-0.0004, Column(key="v", decimals=3), "0.000"),
        (np.float32(-0.0004), Column(key="v", decimals=3), "0.000"),
        (np.int64(2), Column(key="v", decimals=1), "2.0"),
        (0.00009, Column(key="v", decimals=4, least=1e-4), "<0.0001"),
        (0.0001, Column(key="v", decimals=4, least=1e-4), "0.0001"),
        (True, Column(key="v"), "True"),
        ("two\nlines", Column(key="v"), "two lines"),
        (None, Column(key="v"), "-"),
        (math.nan, Column(key="v", decimals=2), "-"),
        (pd.NaT, Column(key="v"), "-"),
    ],
)
def test_a_cell(value: object, column: Column, expected: str) -> None:
    assert text({"v": value}, column) == expected


def test_a_cell_with_deviation_and_interval() -> None:
    column = Column(key="v", decimals=2, sd="sd", interval=("low", "high"))
    row = {"v": 0.5, "sd": 0.1, "low": 0.4, "high": 0.6}
    assert text(row, column) == "0.50 ± 0.10 [0.40, 0.60]"
    assert text(row | {"sd": None}, column) == "0.50 [0.40, 0.60]"
    assert text(row | {"low": math.nan}, column) == "0.50 ± 0.10"


@pytest.mark.parametrize("value", [None, math.nan, np.float32("nan"), pd.NA, pd.NaT])
def test_missing(value: object) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", [0, "", False, np.int64(0), [], math.inf])
def test_not_missing(value: object) -> None:
    assert not is_missing(value)


def test_truth_values_are_no_numbers() -> None:
    assert is_number(1)
    assert is_number(np.float32(1))
    assert not is_number(True)
    assert not is_number(np.bool_(True))
    assert not is_number("1")


def best(frame: pd.DataFrame, **settings: str) -> list[bool]:
    columns = [Column(key="v", decimals=2, best="max")]
    table = layout(frame, columns=columns, **settings)
    return [line.cells[0].best for line in table.lines]


def test_figures_that_read_the_same_share_the_lead() -> None:
    assert best(pd.DataFrame({"v": [0.501, 0.499, 0.4]})) == [True, True, False]


def test_the_smallest_leads_where_less_is_better() -> None:
    table = layout(pd.DataFrame({"ms": [3.0, 1.0]}), columns=[Column(key="ms", best="min")])
    assert [line.cells[0].best for line in table.lines] == [False, True]


def test_each_group_has_its_own_lead() -> None:
    frame = pd.DataFrame({"v": [0.1, 0.2, 0.9, 0.8], "g": ["a", "a", "b", "b"]})
    assert best(frame, group="g") == [False, True, True, False]


def test_reference_rows_and_missing_figures_never_lead() -> None:
    frame = pd.DataFrame({"v": [0.9, math.nan, 0.2, 0.1], "paper": [True, False, False, False]})
    assert best(frame, reference="paper") == [False, False, True, False]


def test_one_row_alone_leads_nothing() -> None:
    assert best(pd.DataFrame({"v": [0.9]})) == [False]


def test_numbers_stand_right_and_text_left() -> None:
    frame = pd.DataFrame({"name": ["a"], "n": [1], "gap": [math.nan]})
    assert layout(frame).justify == ("left", "right", "left")
    columns = [Column(key="name", justify="right")]
    assert layout(frame, columns=columns).justify == ("right",)
