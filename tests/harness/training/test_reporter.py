"""What is shown of runs that train side by side."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.runs.run import Run
from harness.training.history import Epoch
from harness.training.reporter import SideBySide

EPOCH = Epoch(
    epoch=3, loss=0.5, iou=0.25, f1=0.75, learning_rate=1e-3, seconds=61.0,
    images_per_second=10.0, waiting=0.01, best=True,
)  # fmt: skip


class Bar:
    """Notes what it is updated with."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, str]] = []

        self.earlier: list[float] = []

    def done_before(self, steps: float) -> None:
        self.earlier.append(steps)

    def update(self, done: float, total: int, *, detail: str) -> None:
        self.seen.append((done, total, detail))


def job(model: str, work: float = 1.0, **recipe: object) -> Any:
    row = {"best_epoch": 3, "best_iou": 0.25, "best_f1": 0.75, "epochs": 12}
    settings = {"epochs": 12, "size": 64, **recipe}
    run: Any = Run(
        run=f"{model}-1", model=model, status="running", folder=Path(), settings=settings,
        members={}, row=row,
    )  # fmt: skip
    return SimpleNamespace(run=run, work=work, frames=SimpleNamespace(val=range(5)))


def shown(bar: Bar, *jobs: Any) -> SideBySide:
    workspace: Any = SimpleNamespace(
        run=lambda name: next(job.run for job in jobs if job.run.run == name)
    )
    anything: Any = bar
    return SideBySide(anything, workspace, jobs)


def test_folds_and_seeds_of_a_model_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = job("unet", fold="2/5", seed=3), job("unet", leave_out="C3"), job("unet")
    callbacks = shown(Bar(), *jobs).callbacks()
    for one in jobs:
        callbacks.epoch(one.run, EPOCH)
    lines = capsys.readouterr().err.splitlines()
    names = [line.partition(":")[0] for line in lines]
    assert names == ["unet fold 2/5 seed 3", "unet without C3", "unet"]


def test_the_bar_moves_over_the_work_of_all_networks() -> None:
    bar = Bar()
    unet, triunet = job("unet"), job("triunet", work=3.0)
    callbacks = shown(bar, triunet, unet).callbacks()

    callbacks.begun(unet.run, "cpu")
    callbacks.step(unet.run, 1, 10)
    callbacks.begun(triunet.run, "cpu")
    callbacks.step(triunet.run, 20, 40)
    callbacks.ended(unet.run, "memory is full")

    # A quarter of the work is U-Net's. One that failed has nothing left to do.
    assert bar.seen == [
        (2.5, 100, "unet 10%"),
        (40.0, 100, "triunet 50%, unet 10%"),
        (62.5, 100, "triunet 50%"),
    ]
    assert bar.earlier == [pytest.approx(100 * 0.75 * 19 / 40)]  # TriUNet was resumed


def test_each_network_is_named_and_faults_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    unet, fpn = job("unet"), job("fpn")
    side_by_side = shown(Bar(), unet, fpn)
    callbacks = side_by_side.callbacks()

    callbacks.begun(fpn.run, "cuda:1")
    callbacks.epoch(fpn.run, EPOCH)
    callbacks.warned(fpn.run, "no CUDA graph")
    callbacks.ended(fpn.run, "memory is full")
    callbacks.ended(unet.run, "")

    lines = capsys.readouterr().err
    assert "fpn: 12 epochs on cuda:1 -> fpn-1" in lines
    assert "fpn: epoch  3/12  loss 0.500  IoU 0.250  F1 0.750" in lines
    assert "fpn: no CUDA graph" in lines
    assert "unet-1: best in epoch 3, validation IoU 0.250, F1 0.750" in lines
    assert side_by_side.faults == {"fpn-1": "memory is full"}
