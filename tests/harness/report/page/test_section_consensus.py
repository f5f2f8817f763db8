"""The consensus of a round, its podium and significance map, from a few drawn frame tables."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from harness.report.page import section_consensus
from harness.report.page.content import PageContent, Plot
from metrics.statistics.samples import collect


@pytest.fixture
def round_content() -> PageContent:
    """Three models on 30 frames of two sets; 'a' is the best in all of them but one."""
    generator = np.random.default_rng(0)
    rows = []
    for model, hit in (("a", 80), ("b", 50), ("c", 48)):
        for n in range(30):
            tp = hit + int(generator.integers(0, 4)) - (60 if (model, n) == ("a", 0) else 0)
            rows.append(
                {"model": model, "frame": f"s{n % 2}/{n}", "test_set": f"s{n % 2}", "tp": tp,
                 "class": "polyp", "fp": 10, "fn": 100 - tp, "tn": 800, "place": "", "n": 1}
            )  # fmt: skip
    return PageContent(
        name="round 1", protocol="official", frames=pd.DataFrame(rows), cards=[], facts={},
        average="sets",
    )  # fmt: skip


def test_podium_and_significance_map_hold_the_frames_and_pairs(round_content: PageContent) -> None:
    samples = collect(round_content.frames, average="sets")
    _table, podium, places, significance = section_consensus.consensus(round_content, samples)
    assert isinstance(podium, Plot)
    assert isinstance(places, Plot)
    assert isinstance(significance, Plot)

    def data(plot: Plot) -> list[dict]:
        return max(plot.spec["datasets"].values(), key=len)

    assert len(data(podium)) == 90
    offsets = [layer["encoding"]["xOffset"]["field"] for layer in podium.spec["layer"]]
    assert offsets == ["model", "model"]  # lines go through their marks
    first = {row["model"]: row["frames"] for row in data(places) if row["place"] == 1}
    assert first["a"] == 29
    assert sum(first.values()) == 30
    better = {(row["row"], row["column"]) for row in data(significance) if row["better"]}
    assert {("a", "b"), ("a", "c")} <= better
    assert not better & {("b", "a"), ("c", "a")}


def test_no_more_frames_are_drawn_than_there_is_room_for(
    round_content: PageContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section_consensus, "FRAMES", 20)
    samples = collect(round_content.frames, average="sets")
    podium, _ = section_consensus.podium(round_content, samples)
    assert "n = 30 frames, of which 15 are drawn" in podium.caption


def test_a_split_has_no_consensus(round_content: PageContent) -> None:
    split = dataclasses.replace(round_content, split="val")
    assert section_consensus.consensus(split, collect(split.frames)) == []
