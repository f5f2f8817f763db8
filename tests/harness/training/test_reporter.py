"""What is shown of runs that train side by side."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.training.history import Epoch
from harness.training.reporter import SideBySide

EPOCH = Epoch(
    epoch=3, loss=0.5, iou=0.25, f1=0.75, learning_rate=1e-3, seconds=61.0,
    images_per_second=10.0, waiting=0.01, best=True,
)  # fmt: skip


class Bar:
    """Notes what it is updated with."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def update(self, done: int, total: int) -> None:
        self.seen.append((done, total))


def run(model: str) -> Any:
    return SimpleNamespace(run=f"{model}-1", model=model, settings={"epochs": 12})


def test_the_bar_counts_the_steps_of_all_networks() -> None:
    bar: Any = Bar()
    callbacks = SideBySide(bar, networks=3).callbacks()

    callbacks.step(run("unet"), 1, 10)
    callbacks.step(run("fpn"), 2, 40)
    callbacks.step(run("unet"), 5, 10)

    # A network that has not begun is taken to be as long as the longest.
    assert bar.seen == [(1, 30), (3, 90), (7, 90)]


def test_each_network_is_named_and_faults_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    bar: Any = Bar()
    shown = SideBySide(bar, networks=2)
    callbacks = shown.callbacks()

    callbacks.begun(run("fpn"), "cuda:1")
    callbacks.epoch(run("fpn"), EPOCH)
    callbacks.warned(run("fpn"), "no CUDA graph")
    callbacks.ended(run("fpn"), "memory is full")
    callbacks.ended(run("unet"), "")

    lines = capsys.readouterr().err
    assert "fpn: 12 epochs on cuda:1 -> fpn-1" in lines
    assert "fpn: epoch  3/12  loss 0.500  IoU 0.250  F1 0.750" in lines
    assert "fpn: no CUDA graph" in lines
    assert "unet-1: finished" in lines
    assert shown.faults == {"fpn-1": "memory is full"}
