"""A training that is killed again and again ends as one that was left alone."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.data.synthetic import Synthetic, write_dataset
from harness.workspace import Run, Workspace

KILLS = 10
RECIPE = ("--preset", "demo", "--model", "unet", "--epochs", "6", "--size", "32")
# The state is written after every step, so that many of the kills come in the middle of a write.
MACHINE = ("--device", "cpu", "--save-every", "0")


def harness(drawn: Synthetic, workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", "train", *arguments, *MACHINE]
    command += ["--endocv", str(drawn.endocv), "--workspace", str(workspace)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=workspace)


def kill_at_random(process: subprocess.Popen[str], dice: random.Random) -> None:
    """Wait for the training to begin, and some more, and send SIGKILL."""
    assert process.stderr is not None
    for line in process.stderr:
        if "training and" in line:
            break
    time.sleep(dice.uniform(0, 1.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()


def only_run(workspace: Path) -> Run:
    (run,) = Workspace(workspace).runs()
    return run


def figures(run: Run) -> list[tuple[str, ...]]:
    with (run.folder / "history.csv").open() as file:
        return [(row["epoch"], row["loss"], row["iou"], row["f1"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path: Path) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=64)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    left_alone = harness(drawn, whole, *RECIPE)
    _, said = left_alone.communicate()
    assert left_alone.returncode == 0, said

    seed = int.from_bytes(os.urandom(4))
    dice = random.Random(seed)
    kill_at_random(harness(drawn, broken, *RECIPE), dice)
    killed = 1
    while killed < KILLS and only_run(broken).status != "finished":
        kill_at_random(harness(drawn, broken, "--resume"), dice)
        killed += 1
    last = harness(drawn, broken, "--resume")
    _, said = last.communicate()
    assert last.returncode == 0, said

    unbroken, resumed = only_run(whole), only_run(broken)
    assert killed > 1
    assert resumed.best.read_bytes() == unbroken.best.read_bytes(), f"seed {seed}"
    assert figures(resumed) == figures(unbroken), f"seed {seed}"
    assert (resumed.status, list((broken / "plans").iterdir())) == ("finished", [])
