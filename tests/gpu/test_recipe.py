"""The paper's recipe, shortened to the time that is left: train, evaluate, submit.

All six networks train side by side on the one GPU, then DivergentNets is made of them. Two epochs
in a workspace of their own tell how many epochs fit; the drop of the learning rate comes at the
same part of the training as in the paper.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pytest

from harness.config.recipe import resolve
from harness.runs.run import Run
from harness.runs.select import select
from harness.runs.workspace import Workspace
from harness.training.queue import EnsembleStep, RunQueue
from harness.utils import device as devices
from models import PAPER_NETWORKS, packaged
from tests.gpu.commands import Command
from tests.gpu.conftest import Datasets
from tests.gpu.report import Report
from tests.gpu.scale import SCALE

pytestmark = pytest.mark.gpu

JOBS: Final = len(PAPER_NETWORKS)
PAPER_EPOCHS, PAPER_DROP = 200, 50
PILOT_EPOCHS: Final = 2
SAFETY: Final = 0.9  # of the epochs that should fit
LARGEST: Final = 15_500_000  # bytes of a file that is kept
PACKAGED: Final = "tu-tf_efficientnet_lite0"
"""The encoder whose ImageNet weights a dependency ships."""


class Workshop:
    """A workspace, and the commands that use it.

    Args:
        folder: Where it is made.
        datasets: The frames.
    """

    def __init__(self, folder: Path, datasets: Datasets) -> None:
        self.folder = folder
        self.datasets = datasets

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder / "workspace")

    def start(self, command: str, *arguments: str, names: tuple[str, ...] = ()) -> Command:
        """Start a command with the folders that it takes."""
        place = ("--workspace", str(self.folder / "workspace"))
        return Command(self.folder, command, *arguments, *place, *self.datasets.options(*names))

    def enter(self, epochs: int, encoder: dict[str, str]) -> None:
        """Queue what ``train --preset paper`` does; no option of its moves the drop."""
        drop = max(1, round(epochs * PAPER_DROP / PAPER_EPOCHS))
        workers = max(1, devices.cores() // JOBS)
        networks = [
            resolve(
                name,
                "paper",
                size=SCALE.size,
                epochs=epochs,
                drop_after=drop,
                workers=workers,
                **encoder,
            )
            for name in PAPER_NETWORKS
        ]
        RunQueue.new(self.workspace, [*networks, EnsembleStep()])

    def train(self) -> Command:
        """Work off the queue."""
        how = ("--resume", "--jobs", str(JOBS), "--device", SCALE.device)
        return self.start("train", *how, names=("endocv",))

    def networks(self) -> list[Run]:
        return [run for run in self.workspace.runs(status="finished") if not run.members]


def seconds_of_epochs(run: Run) -> pd.Series:
    return pd.read_csv(run.folder / "history.csv")["seconds"]


@pytest.fixture(scope="module")
def encoder() -> dict[str, str]:
    """An encoder with ImageNet weights where they can be had without the hub."""
    if packaged.installed(PACKAGED, "imagenet") is None:
        return {"encoder": SCALE.encoder, "encoder_weights": "none"}
    return {"encoder": PACKAGED, "encoder_weights": "imagenet"}


@pytest.fixture(scope="module")
def workshop(datasets: Datasets, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("recipe"), datasets)


def test_training(
    figures: dict[str, Any],
    report: Report,
    encoder: dict[str, str],
    workshop: Workshop,
    keep: Callable[[Path, str], None],
    tmp_path: Path,
) -> None:
    pilot = Workshop(tmp_path, workshop.datasets)
    pilot.enter(PILOT_EPOCHS, encoder)
    figures |= {
        "encoder": encoder["encoder"],
        "encoder_weights": encoder["encoder_weights"],
        "size": SCALE.size,
        "jobs": JOBS,
    }
    took = pilot.train().succeed(SCALE.whole_s - report.elapsed)
    epochs = [seconds_of_epochs(run) for run in pilot.networks()]
    one_epoch = max(seconds.iloc[-1] for seconds in epochs)
    starting = took - max(seconds.sum() for seconds in epochs)

    left = SCALE.whole_s - SCALE.after_training_s - report.elapsed
    fitting = int(SAFETY * (left - starting) / one_epoch)
    chosen = min(SCALE.most_epochs, max(1, fitting))
    figures |= {
        "pilot": {"seconds": took, "starting_s": starting, "slowest_epoch_s": one_epoch},
        "seconds_left": left,
        "epochs": chosen,
        "asked_epochs": PAPER_EPOCHS,
    }
    report.write()
    workshop.enter(chosen, encoder)
    figures["seconds"] = workshop.train().succeed(SCALE.whole_s - report.elapsed)

    ended = {run.model: run for run in workshop.networks()}
    figures["networks"] = {
        name: {
            "epochs": run.row["epochs"],
            "best_epoch": run.row["best_epoch"],
            "best_iou": run.row["best_iou"],
            "best_f1": run.row["best_f1"],
            "precision": run.settings["precision"],
            "drop_after": run.settings["drop_after"],
            "seconds": seconds_of_epochs(run).sum(),
        }
        for name, run in ended.items()
    }
    histories = tmp_path / "histories.csv"
    tables = [pd.read_csv(run.folder / "history.csv").assign(model=m) for m, run in ended.items()]
    pd.concat(tables).to_csv(histories, index=False)
    keep(histories, histories.name)
    assert set(ended) == set(PAPER_NETWORKS)
    assert select(workshop.workspace, ["divergentnets"])


@pytest.fixture(scope="module")
def measuring(workshop: Workshop) -> dict[str, Command]:
    """Evaluation and package, begun together."""
    how = ("--device", SCALE.device)
    splits = ("--split", "val", "--split", "test", "--format", "csv")
    frames = ("endocv", "hyperkvasir")
    return {
        "evaluate": workshop.start("evaluate", *splits, *how, names=frames),
        "submit": workshop.start("submit", "--round", "2", *how, names=("test_frames",)),
    }


def evaluations(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The polyp's figures by split and model."""
    found: dict[str, dict[str, Any]] = {}
    for row in workspace.evaluations().to_dict("records"):
        means = json.loads(row["summary"])["polyp"]
        found.setdefault(row["split"], {})[row["model"]] = {"frames": row["frames"], **means}
    return found


def test_evaluation(
    figures: dict[str, Any],
    workshop: Workshop,
    measuring: dict[str, Command],
    keep: Callable[[Path, str], None],
) -> None:
    figures["seconds"] = measuring["evaluate"].succeed()
    frames = ("endocv", "hyperkvasir")
    later = {
        "paper-tables.md": workshop.start(
            "evaluate", "--split", "val", "--split", "test", "--table", "paper",
            "--format", "markdown", "--device", SCALE.device, names=frames,
        ),
        "leaderboard.md": workshop.start("leaderboard", "--format", "markdown"),
        "report-test.html": workshop.start("report", "--split", "test", names=frames),
    }  # fmt: skip

    printed = measuring["evaluate"].printed
    figures["polyp"] = evaluations(workshop.workspace)
    keep(printed, "evaluations.csv")
    for name, command in later.items():
        command.succeed()
        page = workshop.folder / "workspace" / name
        file = page if page.exists() else command.printed
        figures[name] = file.stat().st_size
        if file.stat().st_size <= LARGEST:
            keep(file, name)
    everything = {*PAPER_NETWORKS, "divergentnets"}
    assert {split: set(models) for split, models in figures["polyp"].items()} == {
        "val": everything,
        "test": everything,
    }


def test_package(
    figures: dict[str, Any],
    workshop: Workshop,
    measuring: dict[str, Command],
    keep: Callable[[Path, str], None],
) -> None:
    figures["seconds"] = measuring["submit"].succeed()
    (package,) = (workshop.folder / "workspace" / "submissions" / "round-2").glob("*.zip")
    figures |= {"package": package.name, "bytes": package.stat().st_size}
    figures["said"] = measuring["submit"].said.strip()
    if package.stat().st_size <= LARGEST:
        keep(package, "round-2.zip")

    place = workshop.datasets.options("test_frames")
    Command(workshop.folder, "validate", package, "--round", "2", *place).succeed()
    if workshop.datasets.truth is not None:
        truth = ("--truth", str(workshop.datasets.truth), "--format", "csv")
        scored = workshop.start("score", str(package), *truth)
        scored.succeed()
        figures["score"] = list(csv.DictReader(io.StringIO(scored.printed.read_text())))
