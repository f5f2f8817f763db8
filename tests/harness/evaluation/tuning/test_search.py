"""What is chosen on maps whose best choice is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.evaluation.tuning.member_maps import Truths, mean_of
from harness.evaluation.tuning.search import Choice, Maps, Search
from harness.inference.clean_up import CleanUp
from harness.inference.postprocess import upsample_and_decide
from metrics.masks.classes import Classes

SIDE = 32

MakeMaps = Callable[..., Maps]


def search(truths: Truths, figure: str = "f1", *, only_certain: bool = False) -> Search:
    return Search(truths, figure=figure, only_certain=only_certain)


def test_a_member_that_is_wrong_is_left_out_and_the_order_stays(
    truths: Truths, maps_of: MakeMaps
) -> None:
    maps = maps_of(wrong=(0.0, 1.0), a=(0.7, 0.2), b=(0.9, 0.4))

    tried = search(truths)
    choice = tried.members(Choice(members=("wrong", "a", "b")), maps)

    assert "wrong" not in choice.members
    assert [one.taken for one in tried.tried] == [False, True]
    assert tried.tried[1].mean == pytest.approx(1.0)
    assert tried.tried[1].is_certain


def test_the_threshold_follows_the_maps(truths: Truths, maps_of: MakeMaps) -> None:
    maps = maps_of(low=(0.34, 0.22))

    choice = search(truths, "score").threshold(Choice(members=("low",)), maps)

    assert 0.22 < choice.threshold < 0.34


def test_specks_are_dropped_and_a_hole_is_filled(truths: Truths, maps_of: MakeMaps) -> None:
    maps = maps_of(speckled=(0.9, 0.1))
    maps["speckled"][..., 0, 0] = 0.9
    maps["speckled"][..., 15, 15] = 0.1

    choice = search(truths).clean_up(Choice(members=("speckled",)), maps)

    assert choice.clean_up.fill
    assert choice.clean_up.largest or choice.clean_up.smallest > 1 / SIDE**2


def test_what_changes_nothing_is_not_taken(truths: Truths, maps_of: MakeMaps) -> None:
    maps = maps_of(right=(0.9, 0.1))
    start = Choice(members=("right",))

    tried = search(truths)

    assert tried.threshold(start, maps) == start
    assert tried.clean_up(start, maps) == start
    assert tried.tta(start, maps, maps) == start
    assert sum(one.taken for one in tried.tried) == 3  # once a step: what it was


def test_only_what_is_certain_is_taken_where_that_is_asked(
    truths: Truths, maps_of: MakeMaps
) -> None:
    maps = maps_of(right=(0.9, 0.1))
    maps["right"][0, 0, 0, 0] = 0.9  # one frame of six has a speck
    start = Choice(members=("right",))

    assert search(truths).clean_up(start, maps).clean_up != CleanUp()
    assert search(truths, only_certain=True).clean_up(start, maps) == start


def test_several_classes_are_decided_as_in_prediction(masks: NDArray[np.bool_]) -> None:
    # Nowhere is polyp above one half, but on the truth it is the most probable of the three.
    classes = Classes.from_table({"instrument": 128, "polyp": 255}).choosing("polyp")
    rows = [{"frame": str(at), "sequence": "", "test_set": "", "class": "polyp"} for at in range(6)]
    drawn = np.stack([~masks, masks], axis=1)
    truths = Truths(
        rows=rows, masks=[np.packbits(one) for one in drawn], sizes=[(SIDE, SIDE)] * 6,
        classes=classes,
    )  # fmt: skip
    maps = np.where(drawn, np.float32(0.4), np.float32(0.3))

    tried = search(truths)
    tried.tta(Choice(members=("unet",)), {"unet": maps}, {"unet": maps[:, ::-1].copy()})

    assert [one.mean for one in tried.tried] == pytest.approx([1.0, 0.0])
    labels = upsample_and_decide(maps[0], (SIDE, SIDE), "full-size")
    assert np.array_equal(labels == 2, truths.by_class(0)[1])


def test_maps_are_added_in_the_order_of_the_names() -> None:
    # In float32 1e8 + 1 is 1e8, so the order of the additions shows.
    maps = {name: np.full((1, 1, 1), value, np.float32) for name, value in
            (("a", 1e8), ("b", 1.0), ("c", -1e8))}  # fmt: skip

    assert mean_of(maps, "abc")(0).item() == 0.0
    assert mean_of(maps, "acb")(0).item() == pytest.approx(1 / 3)
