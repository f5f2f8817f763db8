"""Two networks of the quick preset, side by side as is the default against ``--jobs 1``.

Both ways train U-Net and FPN from the same drawn frames in the same run: alone, and beside a
process that keeps one core busy, as on a machine that others use.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config.recipe import resolve
from harness.config.settings import Settings
from harness.data.catalogue import catalogue
from harness.data.synthetic.dataset import write_dataset
from harness.runs.workspace import Workspace
from harness.training.queue import RunQueue
from harness.training.train_all import run_all
from harness.training.train_run import TrainingSetup
from harness.utils import device as devices

SIZE, EPOCHS, FRAMES = 64, 3, 260


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    spinning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in spinning:
            process.kill()
            process.wait()


@pytest.mark.skipif(devices.cores() < 2, reason="needs two cores")
@pytest.mark.parametrize("busy", [0, 1])
def test_two_networks_side_by_side(
    benchmark: Any,
    fastest: Callable[[], float],
    seconds: Callable[..., float],
    tmp_path: Path,
    busy: int,
) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=FRAMES, height=128)
    settings = Settings(endocv=drawn.endocv, workspace=tmp_path)
    frames = catalogue(settings, needs=["train"])
    steps = [resolve(name, "quick", size=SIZE, epochs=EPOCHS) for name in ("unet", "fpn")]
    folders = (tmp_path / f"workspace-{number}" for number in itertools.count())

    def train(jobs: int | None) -> None:
        workspace = Workspace(next(folders))
        setup = TrainingSetup(device=torch.device("cpu"))
        run_all(workspace, RunQueue.new(workspace, steps), frames, setup, jobs)
        assert len(workspace.runs(status="finished")) == len(steps)

    with busy_processes(busy):
        with devices.threads(devices.cores()):
            one_after_another = seconds(lambda: train(1))
        benchmark.pedantic(lambda: train(None), rounds=1)
    benchmark.extra_info |= {
        "busy_processes": busy,
        "one_after_another_s": one_after_another,
        "times_faster": one_after_another / fastest(),
    }
