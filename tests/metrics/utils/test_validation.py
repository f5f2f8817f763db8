"""Faults of a table are all told at once, with where, what was expected and what came."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field, StrictInt, field_validator
from pydantic.dataclasses import dataclass

from metrics.utils.errors import FaultsError
from metrics.utils.validation import suggest, validate


class Layout(BaseModel, extra="forbid"):
    root: str = ""
    depth: StrictInt = 1


class Table(BaseModel, extra="forbid"):
    limit: StrictInt = Field(gt=0, description="a whole number above 0")
    names: list[str] = Field(default=[], description="names in quotation marks")
    share: float = Field(default=0.5, ge=0, le=1)
    kind: Literal["jpg", "png"] = "jpg"
    zone: str = "UTC"
    layout: Layout = Layout()
    more: dict[str, Layout] = {}

    @field_validator("zone")
    @classmethod
    def is_zone(cls, zone: str) -> str:
        if zone != "UTC":
            raise ValueError(f"no time zone {zone!r}")
        return zone


def faults(values: object, kind: type = Table) -> list[str]:
    with pytest.raises(FaultsError, match=r"a\.toml") as caught:
        validate(kind, values, path="a.toml", summary="cannot be used")
    assert caught.value.summary == "cannot be used"
    return [fault.message for fault in caught.value.faults]


def test_what_fits_becomes_the_model() -> None:
    table = validate(Table, {"limit": 2, "layout": {"root": "x"}})
    assert (table.limit, table.layout.root) == (2, "x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "limit: expected a whole number above 0, got nothing"),
        ({"limit": True}, "limit: expected a whole number above 0, got True"),
        ({"limit": "7"}, "limit: expected a whole number above 0, got '7'"),
        ({"limit": 0}, "limit: expected a whole number above 0, got 0"),
        ({"limit": 1, "names": [1, 2]}, "names: expected names in quotation marks, got [1, 2]"),
        ({"limit": 1, "share": 2}, "share: expected a value less than or equal to 1, got 2"),
        ({"limit": 1, "share": "x"}, "share: expected a valid number, unable to parse string as a"
         " number, got 'x'"),
        ({"limit": 1, "kind": "gif"}, "kind: expected 'jpg' or 'png', got 'gif'"),
        ({"limit": 1, "zone": "CET"}, "zone: no time zone 'CET'"),
        ({"limit": 1, "layout": {"depth": "1"}}, "layout.depth: expected a valid integer, got '1'"),
        ({"limit": 1, "layout": 3}, "layout: expected a table, got 3"),
        ({"limit": 1, "limits": 1}, "unknown key 'limits'; did you mean 'limit'?"),
        ({"limit": 1, "layout": {"rot": ""}}, "layout: unknown key 'rot'; did you mean 'root'?"),
        ({"limit": 1, "more": {"a": {"x": ""}}}, "more.a: unknown key 'x'; expected root, depth"),
        ({"limit": "x" * 99}, f"limit: expected a whole number above 0, got '{'x' * 59} ..."),
    ],
)  # fmt: skip
def test_a_fault_says_where_what_and_what_came(values: object, message: str) -> None:
    assert faults(values) == [message]


def test_all_faults_are_told_at_once() -> None:
    assert len(faults({"limit": 0, "names": 3, "share": -1, "other": 1})) == 4


def test_dataclasses_are_models_too() -> None:
    @dataclass(config={"extra": "forbid"})
    class Point:
        x: int
        y: int = Field(description="pixels")

    assert faults({"y": "?", "z": 1}, Point) == [
        "x: expected a value, got nothing",
        "y: expected pixels, got '?'",
        "unknown key 'z'; expected x, y",
    ]


def test_no_table_at_all() -> None:
    assert faults([1]) == ["expected a table, got [1]"]


def test_the_nearest_name_or_all() -> None:
    assert suggest("unett", ["unet", "fpn"]) == "did you mean 'unet'?"
    assert suggest("?", ["unet", "fpn"]) == "expected unet, fpn"
