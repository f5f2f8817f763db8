from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest

from metrics.masks.classes import ONE, Classes, chosen_class, chosen_rows
from metrics.utils.errors import FaultsError, UserError

TWO = Classes.from_table({"polyp": 255, "instrument": 128})


def test_one_class_is_polyp_above_the_threshold() -> None:
    assert (ONE.names, ONE.values, ONE.chosen, ONE.channel, len(ONE)) == (
        ("polyp",), (), "polyp", 1, 1,
    )  # fmt: skip


def test_the_first_class_is_chosen_or_another() -> None:
    assert (TWO.chosen, TWO.channel) == ("polyp", 1)
    assert TWO.choosing(None) is TWO
    assert TWO.choosing("instrument").channel == 2
    with pytest.raises(UserError, match="no class 'polip'; did you mean 'polyp'"):
        TWO.choosing("polip")


def test_values_near_each_other_leave_no_room_for_jpeg() -> None:
    assert Classes.from_table({"a": 1, "b": 2}).tolerance == 0
    assert Classes.from_table({"a": 50, "b": 80}).tolerance == 12
    assert TWO.tolerance == 48


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(FaultsError) as found:
        Classes.from_table({"background": 1, "tool": 0, "polyp": 256, "clip": True, "pin": "7"})
    said = [fault.message for fault in found.value.faults]
    assert said == [
        "expected a name other than background and all, got 'background'",
        "tool: expected a grey value from 1 to 255 or a colour such as '#ff0000', got 0",
        "polyp: expected a grey value from 1 to 255 or a colour such as '#ff0000', got 256",
        "clip: expected a grey value from 1 to 255 or a colour such as '#ff0000', got True",
        "pin: expected a grey value from 1 to 255 or a colour such as '#ff0000', got '7'",
        "expected grey values or colours, not both, got background, tool, polyp, clip, pin with "
        "1, 0, 256, True, 7",
    ]


def test_colours_are_values_too() -> None:
    classes = Classes.from_table({"neoplastic": "#FF0000", "other": "#00ff00"})
    assert classes.are_colours
    assert not TWO.are_colours
    assert classes.palette.tolist() == [[0, 0, 0], [255, 0, 0], [0, 255, 0]]
    assert TWO.palette.tolist() == [0, 255, 128]
    assert classes.tolerance == 96
    assert Classes.from_dict(json.loads(json.dumps(dataclasses.asdict(classes)))) == classes


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": "#000000"}, "a colour such as '#ff0000', got '#000000'"),
        ({"a": "red"}, "a colour such as '#ff0000', got 'red'"),
        ({"a": "#ff0000", "b": 255}, "grey values or colours, not both"),
        ({"a": "#ff0000", "b": "#FF0000"}, "the value #ff0000 is given to more than one class"),
    ],
)
def test_impossible_colours_are_refused(table: dict[str, int | str], message: str) -> None:
    with pytest.raises(FaultsError, match=message):
        Classes.from_table(table)


@pytest.mark.parametrize("values", [(), (1,)])
def test_every_one_of_several_classes_needs_a_value(values: tuple[int, ...]) -> None:
    with pytest.raises(FaultsError, match="a value for each class"):
        Classes(names=("polyp", "instrument"), values=values)


def test_classes_come_back_from_json() -> None:
    for classes in (ONE, TWO.choosing("instrument")):
        assert Classes.from_dict(json.loads(json.dumps(dataclasses.asdict(classes)))) == classes


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["polyp", "background"], "polyp"),
        (["background", "nucleus", "cell", "all"], "nucleus"),
        (["background", "all"], "polyp"),
    ],
)
def test_figures_speak_of_the_first_foreground_class(names: list[str], chosen: str) -> None:
    table = pd.DataFrame({"class": names * 2})
    assert chosen_class(table) == chosen
    assert len(chosen_rows(table)) == 2 * names.count(chosen)
