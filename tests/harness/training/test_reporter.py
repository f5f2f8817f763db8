"""What is shown of runs that train side by side."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.training.history import Epoch
from harness.training.reporter import SideBySide
from harness.utils.progress import Bar

EPOCH = Epoch(
    epoch=3, loss=0.5, iou=0.25, f1=0.75, learning_rate=1e-3, seconds=61.0,
    images_per_second=10.0, waiting=0.01, best=True,
)  # fmt: skip


def run(model: str) -> Any:
    return SimpleNamespace(run=f"{model}-1", model=model, settings={"epochs": 12})


def test_the_bar_counts_the_steps_of_all_networks() -> None:
    seen: list[tuple[int, int | None]] = []
    bar = Bar("Work", None, draw=lambda bar: seen.append((bar.done, bar.total)))
    callbacks = SideBySide(bar, networks=3).callbacks()

    callbacks.step(run("unet"), 1, 10)
    callbacks.step(run("fpn"), 2, 40)
    callbacks.step(run("unet"), 5, 10)

    # A network that has not begun is taken to be as long as the longest.
    assert seen == [(1, 30), (3, 90), (7, 90)]


def test_the_time_left_is_that_until_the_last_network_ends() -> None:
    """Two at once, 4 epochs of 50 steps of 2 s and 40 s of validation: the second is half done."""
    seconds = 0.0
    bar = Bar("Work", None, clock=lambda: seconds)
    callbacks = SideBySide(bar, networks=3).callbacks()
    shown = []
    for step in range(1, 101):
        seconds += 2.0
        for model, before in (("fpn", 0), ("unet", 100)):
            callbacks.step(run(model), before + step, 200)
        if step > 50:
            shown.append(bar.seconds_left)
        if step % 50 == 0:
            seconds += 40.0
            for model in ("fpn", "unet"):
                callbacks.epoch(run(model), EPOCH)

    # The third follows the second, which ends after 280 s, and takes 4 * 140 s.
    assert len(shown) == 50
    truth = [840.0 - 142.0 - 2.0 * step for step in range(50)]
    assert shown == pytest.approx(truth, rel=0.25)
    assert bar.done == 300

    callbacks.step(run("triunet"), 1, 200)
    assert bar.seconds_left is None  # its pace is not known yet


def test_each_network_is_named_and_faults_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar("Work", None)
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
