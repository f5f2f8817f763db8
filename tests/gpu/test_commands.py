"""The command line on a GPU: runs that are killed, stopped, side by side, by torchrun.

Commands start together, since most of their time goes into starting; none is timed.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from harness.runs.run import Run
from harness.runs.workspace import Workspace
from tests.gpu.commands import TORCHRUN, Command
from tests.gpu.conftest import Datasets
from tests.gpu.scale import DRY, SCALE

pytestmark = pytest.mark.gpu

HERE: Final = Path(__file__).parent
RECIPE: Final = ("--preset", "demo", "--size", "64", "--workers", "2", "--save-every", "0.2",
                 "--encoder", "tu-resnet10t", "--encoder-weights", "none",
                 "--precision", "auto")  # fmt: skip
LONG: Final = ("--model", "unet", "--epochs", str(SCALE.epochs), *RECIPE)
SHORT: Final = ("--epochs", "2", *RECIPE)
TOO_MUCH: Final = ("--model", "unet", "--batch-size", "128", "--size", "256", "--epochs", "1",
                   "--encoder", "resnet18", "--encoder-weights", "none")  # fmt: skip
NCCL: Final = None if DRY else (*TORCHRUN, HERE / "nccl_steps.py")


class Runs:
    """Commands by name, each in a folder and a workspace of its own."""

    def __init__(self, root: Path, datasets: Datasets) -> None:
        self.root = root
        self.frames = datasets.options("endocv")
        self.commands: dict[str, Command] = {}

    def start(self, name: str, *arguments: str, **launcher: Any) -> Command:
        command = Command(self.root / name, *arguments, **launcher)
        self.commands[name] = command
        return command

    def train(self, name: str, *arguments: str, **launcher: Any) -> Command:
        place = ("--device", SCALE.device, "--workspace", str(self.root / name))
        return self.start(name, "train", *arguments, *place, *self.frames, **launcher)

    def of(self, name: str) -> list[Run]:
        return Workspace(self.root / name).runs()

    def only(self, name: str) -> Run:
        (run,) = self.of(name)
        return run


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory, datasets: Datasets) -> Iterator[Runs]:
    made = Runs(tmp_path_factory.mktemp("commands"), datasets)
    yield made
    for command in made.commands.values():
        command.kill()


@pytest.fixture(scope="module")
def first_runs(empty: Runs, compiled: Command) -> Runs:
    """Those of the checks that come first; ``compiled`` begins beside them."""
    empty.train("stopped", *LONG).signal_at(epoch(1), signal.SIGTERM)
    empty.train("two", "--model", "unet", "--model", "fpn", "--jobs", "2", *SHORT)
    empty.start("unrecordable", launcher=(HERE / "unrecordable.py",))
    return empty


@pytest.fixture(scope="module")
def runs(empty: Runs) -> Runs:
    """Those of the others."""
    for name in ("unbroken", "again"):
        empty.train(name, *LONG)
    empty.train("killed", *LONG).signal_at(epoch(3), signal.SIGKILL)
    empty.train("torchrun", "--model", "unet", *SHORT, NCCL_DEBUG="INFO",
                launcher=(*TORCHRUN, "-m", "harness"))  # fmt: skip
    empty.train("memory", *TOO_MUCH, launcher=(HERE / "little_memory.py",))
    empty.start("doctor", "doctor", "--format", "json")
    if NCCL:
        empty.start("nccl", launcher=NCCL, NCCL_DEBUG="INFO")
    return empty


def epoch(number: int) -> str:
    """How a line begins that tells of an epoch of the long recipe."""
    return f"epoch {number:>{len(str(SCALE.epochs))}}/"


def history(run: Run) -> pd.DataFrame:
    return pd.read_csv(run.folder / "history.csv")


def weights_apart(a: Run, b: Run) -> float:
    """The largest difference between two runs' best weights."""
    ours, theirs = load_file(a.best), load_file(b.best)
    assert ours.keys() == theirs.keys()
    return max((ours[name].double() - theirs[name].double()).abs().max().item() for name in ours)


def test_a_killed_run_goes_on(figures: dict[str, Any], runs: Runs) -> None:
    killed = runs.commands["killed"]
    assert killed.end() == -signal.SIGKILL, killed.said
    begun = runs.only("killed")
    assert begun.last.exists()
    assert begun.status == "running"
    resumed = runs.train("killed", "--resume", "--save-every", "0.2")
    resumed.succeed()
    for name in ("unbroken", "again"):
        runs.commands[name].succeed()

    ended = {name: runs.only(name) for name in ("killed", "unbroken", "again")}
    for kind, other in (("killed_and_unbroken", "killed"), ("two_unbroken", "again")):
        a, b = ended["unbroken"], ended[other]
        losses = (history(a)["loss"] - history(b)["loss"]).abs()
        figures[kind] = {
            "best_epochs": [a.row["best_epoch"], b.row["best_epoch"]],
            "best_iou": [a.row["best_iou"], b.row["best_iou"]],
            "max_weight_difference": weights_apart(a, b),
            "max_loss_difference": losses.max(),
        }
    for run in ended.values():
        assert (run.status, len(history(run))) == ("finished", SCALE.epochs)


def test_sigterm_leaves_a_run_that_goes_on(figures: dict[str, Any], first_runs: Runs) -> None:
    runs = first_runs
    stopped = runs.commands["stopped"]
    status = stopped.end()
    figures["status"] = status
    assert status == 128 + signal.SIGTERM, stopped.said
    run = runs.only("stopped")
    assert run.status == "interrupted"
    assert f"train --resume {run.run}" in stopped.said
    assert "Traceback" not in stopped.said

    runs.train("stopped", "--resume").succeed()

    run = runs.only("stopped")
    assert (run.status, len(history(run))) == ("finished", SCALE.epochs)


def test_two_networks_on_one_gpu(figures: dict[str, Any], first_runs: Runs) -> None:
    first_runs.commands["two"].succeed()

    ended = {run.model: run for run in first_runs.of("two")}
    figures["best_iou"] = {name: run.row["best_iou"] for name, run in ended.items()}
    assert {name: run.status for name, run in ended.items()} == {
        "unet": "finished",
        "fpn": "finished",
    }


def test_torchrun(figures: dict[str, Any], runs: Runs) -> None:
    command = runs.commands["torchrun"]
    command.succeed()

    run = runs.only("torchrun")
    figures |= {"nccl": "NCCL INFO" in command.said, "best_iou": run.row["best_iou"]}
    assert (run.status, len(history(run))) == ("finished", 2)


@pytest.mark.skipif(DRY, reason="NCCL needs a GPU")
def test_a_team_through_nccl(figures: dict[str, Any], runs: Runs) -> None:
    command = runs.commands["nccl"]
    command.succeed()

    (line,) = [line for line in command.said.splitlines() if line.startswith("{")]
    figures |= json.loads(line)
    pairs = zip(figures["alone"], figures["team"], strict=True)
    figures["max_difference"] = max(abs(a - b) for a, b in pairs)
    assert "NCCL INFO" in command.said
    assert figures["max_difference"] <= 1e-3
    assert figures["shared"] == "value"
    assert figures["gathered"] == [[1.0, 1.0]]


def test_a_network_that_cannot_be_recorded(figures: dict[str, Any], first_runs: Runs) -> None:
    command = first_runs.commands["unrecordable"]
    command.succeed()

    (line,) = [line for line in command.said.splitlines() if line.startswith("{")]
    figures |= json.loads(line) | {"said": command.said.replace(line, "").strip()[-600:]}
    pairs = zip(figures["with"], figures["without"], strict=True)
    figures["max_difference"] = max(abs(a - b) for a, b in pairs)
    assert figures["max_difference"] <= 1e-3
    assert len(set(figures["with"])) > 1
    assert figures["predicted"] == 5
    assert DRY or len(figures["warned"]) == 1
    assert DRY or "It predicts without" in " ".join(command.said.split())


def test_too_little_memory(figures: dict[str, Any], runs: Runs) -> None:
    command = runs.commands["memory"]
    status = command.end()

    figures |= {"status": status, "said": command.said.strip()[-600:]}
    assert status == 1
    assert "memory" in command.said
    assert "--batch-size" in command.said
    assert "Traceback" not in command.said


def test_doctor_names_the_card(figures: dict[str, Any], runs: Runs) -> None:
    command = runs.commands["doctor"]
    command.succeed()

    said = command.printed.read_text()
    name = "cpu" if DRY else torch.cuda.get_device_name()
    figures["card"] = name
    assert name in said
