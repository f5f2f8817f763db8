"""A training that is stopped or killed again and again ends as one that was left alone."""

from __future__ import annotations

import csv
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.data.synthetic.dataset import Synthetic, write_dataset
from harness.runs.lock import LOCK
from harness.runs.run import Run
from harness.runs.workspace import Workspace

KILLS = 10
RECIPE = ("--preset", "demo", "--model", "unet", "--epochs", "6", "--size", "32")
# The state is written after every step, so that many of the kills come in the middle of a write.
MACHINE = ("--device", "cpu", "--save-every", "0")


def harness(drawn: Synthetic, workspace: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", "train", *arguments, *MACHINE]
    command += ["--endocv", str(drawn.endocv), "--workspace", str(workspace)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=workspace)


def kill_at_random(process: subprocess.Popen[str], dice: random.Random) -> bool:
    """Wait for the training to begin, and some more, and send SIGKILL; whether it struck."""
    assert process.stderr is not None
    for line in process.stderr:
        if "training and" in line:
            break
    time.sleep(dice.uniform(0, 1.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def only_run(workspace: Path) -> Run:
    (run,) = Workspace(workspace).runs()
    return run


def figures(run: Run) -> list[tuple[str, ...]]:
    with (run.folder / "history.csv").open() as file:
        return [(row["epoch"], row["loss"], row["iou"], row["f1"]) for row in csv.DictReader(file)]


def trained(drawn: Synthetic, workspace: Path, *arguments: str) -> Run:
    process = harness(drawn, workspace, *arguments)
    _, said = process.communicate()
    assert process.returncode == 0, said
    return only_run(workspace)


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path: Path) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=64)
    whole = tmp_path / "whole"
    whole.mkdir()
    unbroken = trained(drawn, whole, *RECIPE)
    seed = int.from_bytes(os.urandom(4))
    dice = random.Random(seed)
    kills = 0
    while kills < KILLS:  # a run that ends before the tenth kill is followed by another
        broken = tmp_path / f"broken-{kills}"
        broken.mkdir()
        before = kills
        kills += kill_at_random(harness(drawn, broken, *RECIPE), dice)
        while kills < KILLS and only_run(broken).status != "finished":
            kills += kill_at_random(harness(drawn, broken, "--resume"), dice)
        resumed = trained(drawn, broken, "--resume")

        assert kills > before
        assert resumed.best.read_bytes() == unbroken.best.read_bytes(), f"seed {seed}"
        assert figures(resumed) == figures(unbroken), f"seed {seed}"
        assert (resumed.status, list((broken / "plans").iterdir())) == ("finished", [])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_networks_side_by_side_go_on_with_what_is_left(tmp_path: Path, number: int) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=64)
    networks = ("--model", "unet", "--model", "fpn", "--model", "deeplabv3")
    recipe = ("--preset", "demo", *networks, "--epochs", "3", "--size", "32", "--jobs", "2")
    runs: dict[str, dict[str, Run]] = {}
    for name in ("whole", "broken"):
        workspace = tmp_path / name
        workspace.mkdir()
        process = harness(drawn, workspace, *recipe)
        if name == "broken":
            stop_in_an_epoch(process, number)
            status = 130 if number == signal.SIGINT else -signal.SIGKILL
            assert process.returncode == status
            assert len(Workspace(workspace).runs(status="finished")) < 3
            until_nobody_trains(workspace)
            process = harness(drawn, workspace, "--resume", "--jobs", "2")
        _, said = process.communicate()
        assert process.returncode == 0, said
        runs[name] = {run.model: run for run in Workspace(workspace).runs(status="finished")}
        assert list((workspace / "plans").iterdir()) == []

    assert runs["whole"].keys() == runs["broken"].keys() == {"unet", "fpn", "deeplabv3"}
    for model, run in runs["whole"].items():
        assert run.best.read_bytes() == runs["broken"][model].best.read_bytes(), model


def stop_in_an_epoch(process: subprocess.Popen[str], number: int) -> None:
    """Send a signal once two networks are under way and one of them has an epoch behind it."""
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 1/" in line:
            break
    process.send_signal(number)
    process.communicate()


def until_nobody_trains(workspace: Path) -> None:
    """Wait for the processes that a killed parent left, which end at their next step."""
    for run in Workspace(workspace).runs():
        with (run.folder / LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
