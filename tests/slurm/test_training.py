"""Networks trained by a real SLURM, requeued and out of time, end as those of one process."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.data.synthetic.dataset import write_dataset
from harness.runs.run import Run
from harness.runs.workspace import Workspace

pytestmark = pytest.mark.slurm

PATIENCE_S = 240.0
MODELS = ("unet", "fpn", "linknet")
RECIPE = ("--preset", "demo", "--epochs", "4", "--size", "64", "--encoder-weights", "none")
SLURM = ("--launcher", "slurm", "--slurm", "time=10", "--slurm", "signal-delay-s=300")


class Place:
    """A folder of drawn frames, in which commands run with the cluster's environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {**environment, "OMP_NUM_THREADS": "1"}
        write_dataset(folder / "drawn", frames=60, height=64)

    def start(self, workspace: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "harness", *arguments]
        environment = {**self.environment, "HARNESS_WORKSPACE": workspace}
        if arguments[0] == "train":
            command += ["--endocv", "drawn/endocv2021", "--device", "cpu"]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True
        )

    def run(self, workspace: str, *arguments: str) -> str:
        process = self.start(workspace, *arguments)
        _, said = process.communicate(timeout=2 * PATIENCE_S)
        assert process.returncode == 0, said
        return said

    def runs(self, workspace: str) -> dict[str, Run]:
        return {run.model: run for run in Workspace(self.folder / workspace).runs()}

    def scontrol(self, *arguments: str) -> str:
        return subprocess.check_output(["scontrol", *arguments], env=self.environment, text=True)

    def state(self, job: str) -> str:
        """The job's state; empty once SLURM has forgotten it."""
        command = ["squeue", "--noheader", "--array", f"--jobs={job}", "--format=%T"]
        answer = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        )
        return answer.stdout.strip()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, slurm: dict[str, str]) -> Place:
    return Place(tmp_path_factory.mktemp("slurm"), slurm)


def until(what: str, is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def job_of(run: Run) -> str:
    return str(json.loads((run.folder / "slurm.json").read_text())["job"])


def stop_in_training(run: Run) -> int:
    """Halt a run's process after its first step; its number."""
    until(f"{run.run} began", (run.folder / "progress.json").exists)
    found = re.findall(r"begun by process (\d+)", (run.folder / "train.log").read_text())
    os.kill(int(found[-1]), signal.SIGSTOP)
    return int(found[-1])


def figures(run: Run) -> list[tuple[str, ...]]:
    with (run.folder / "history.csv").open() as file:
        return [(row["epoch"], row["loss"], row["iou"], row["f1"]) for row in csv.DictReader(file)]


def test_an_array_that_is_requeued_and_out_of_time_ends_as_one_process(place: Place) -> None:
    ensemble = ("--model", "divergentnets", "--members", ",".join(MODELS))
    process = place.start("array", "train", *RECIPE, *ensemble, *SLURM, "--workers", "1")
    until("three networks are registered", lambda: len(place.runs("array")) == len(MODELS))
    runs = place.runs("array")

    # The limit of one network becomes shorter than the time of warning before it, so SLURM sends
    # that warning when it next looks, which it does every half minute.
    stop_in_training(runs["unet"])  # SLURM wakes it
    limited = job_of(runs["unet"])
    place.scontrol("update", f"JobId={limited}", "TimeLimit=4")
    stop_in_training(runs["fpn"])
    requeued = job_of(runs["fpn"])
    place.scontrol("requeue", requeued)
    for job in (limited, requeued):
        until(f"job {job} waits again", lambda job=job: place.state(job) == "PENDING")
        place.scontrol("update", f"JobId={job}", "TimeLimit=10", "StartTime=now")

    _, said = process.communicate(timeout=2 * PATIENCE_S)
    assert process.returncode == 0, said
    place.run("whole", "train", *RECIPE, *ensemble, "--jobs", "1")
    whole, runs = place.runs("whole"), place.runs("array")
    (log,) = place.folder.glob(f"array/slurm/*/{limited}_0_log.err")
    assert "Caught signal SIGUSR2" in log.read_text()
    for model in ("unet", "fpn"):  # neither lost a process that augments to SLURM's signals
        assert "stopped in epoch" in (runs[model].folder / "train.log").read_text()
    starts = {m: (runs[m].folder / "train.log").read_text().count("begun by") for m in MODELS}
    assert starts == {"unet": 2, "fpn": 2, "linknet": 1}
    assert {run.status for run in runs.values()} == {"finished"}
    for model in MODELS:
        assert runs[model].best.read_bytes() == whole[model].best.read_bytes(), model
        assert figures(runs[model]) == figures(whole[model]), model
    assert set(runs["divergentnets"].members) == set(MODELS)
    assert runs["divergentnets"].row["checkpoint"] == whole["divergentnets"].row["checkpoint"]
    assert list((place.folder / "array/plans").iterdir()) == []


def test_jobs_outlive_the_process_that_waits_for_them(place: Place) -> None:
    process = place.start("alone", "train", *RECIPE, "--model", "unet", *SLURM)
    until("the run is registered", lambda: place.runs("alone"))
    run = place.runs("alone")["unet"]
    halted = stop_in_training(run)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "harness runs sync" in said

    here = place.start("alone", "train", "--resume")
    _, said = here.communicate(timeout=PATIENCE_S)
    assert (here.returncode, f"job {job_of(run)}" in said) == (1, True), said

    os.kill(halted, signal.SIGCONT)
    until("the job ended", lambda: not place.state(job_of(run)))
    assert place.runs("alone")["unet"].status == "running"
    assert f"{run.run}: finished" in place.run("alone", "runs", "sync")
    assert place.runs("alone")["unet"].status == "finished"
    assert list((place.folder / "alone/plans").iterdir()) == []


def test_a_cancelled_job_is_said_and_goes_on_when_it_is_resumed(place: Place) -> None:
    process = place.start("cancelled", "train", *RECIPE, "--model", "fpn", *SLURM)
    until("the run is registered", lambda: place.runs("cancelled"))
    run = place.runs("cancelled")["fpn"]
    stop_in_training(run)
    subprocess.run(["scancel", job_of(run)], env=place.environment, check=True)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "1 of 1 network could not be trained to their end" in said
    assert place.runs("cancelled")["fpn"].status == "interrupted"

    place.run("cancelled", "train", "--resume", *SLURM)
    resumed = place.runs("cancelled")["fpn"]
    assert (resumed.run, resumed.status) == (run.run, "finished")
