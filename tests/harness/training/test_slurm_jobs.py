"""Jobs of a cluster, with sbatch, squeue and the training replaced; tests/slurm has a real one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
import submitit
import torch

from harness.cli.train_request import cluster_of
from harness.runs.run import Run, write_run_json
from harness.runs.workspace import Workspace
from harness.training import slurm_jobs, slurm_node
from harness.training.history import Epoch, write_history
from harness.training.job import Job
from harness.training.launch import on_cluster, side_by_side
from harness.training.slurm_jobs import Cluster, minutes, parse
from harness.training.slurm_node import SlurmTraining
from harness.training.train_run import TrainingSetup
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

SETUP = TrainingSetup(device=torch.device("cpu"))
CLUSTER = Cluster(device="cpu", parameters={})
EPOCH = Epoch(
    epoch=1, loss=0.5, iou=0.25, f1=0.5, learning_rate=1e-3, seconds=1.0, images_per_second=1e-5,
    waiting=0.0, best=True,
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


def job(workspace: Workspace, model: str = "unet") -> Job:
    settings = {"model": model, "epochs": 1, "size": 64}
    run = workspace.new_run(model, settings=settings, versions={})
    anything: Any = type("Frames", (), {"val": range(5)})
    return Job(workspace=workspace.root, run=run, frames=anything, setup=SETUP)


def finish(run: Run) -> None:
    write_history(run.folder / "history.csv", [EPOCH])
    best = {"best_epoch": 1, "best_iou": 0.25, "best_f1": 0.5, "epochs": 1}
    write_run_json(run, status="finished", **best)


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A node of SLURM: submitit's handler of signals, and squeue that says the job's state."""
    seen: list[str] = []
    before = {n: signal.getsignal(n) for n in (signal.SIGUSR2, signal.SIGTERM)}

    def requeue(_number: int, _frame: object) -> None:
        seen.append("requeued")
        raise SystemExit

    signal.signal(signal.SIGUSR2, requeue)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


def training(monkeypatch: pytest.MonkeyPatch, does: Callable[..., str]) -> None:
    monkeypatch.setattr(slurm_node, "train_job", does)


def progress(run: Run) -> dict[str, Any]:
    return dict(json.loads((run.folder / slurm_node.PROGRESS).read_text()))


def test_a_job_that_is_warned_of_its_time_limit_is_requeued(
    workspace: Workspace, node: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(workspace)

    def until_warned(_job: Job, _slot: object, callbacks: Any, _warned: object) -> str:
        callbacks.step(1, 8)
        with pytest.raises(KeyboardInterrupt):  # as StopRequest notes it in a real training
            os.kill(os.getpid(), signal.SIGUSR2)
        return "stopped in epoch 1"

    training(monkeypatch, until_warned)
    task = SlurmTraining(job=one, device="cpu")
    with pytest.raises(SystemExit):
        task()

    assert node == ["requeued"]
    assert task.checkpoint().function == task
    assert progress(one.run) == {"job": "7", "host": os.uname().nodename, "step": 1, "steps": 8}

    finish(one.run)
    training(monkeypatch, lambda *_: pytest.fail("trained though it is finished"))
    assert task() == ""


def test_a_time_limit_without_a_single_step_is_a_fault(
    workspace: Workspace, node: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(workspace)

    def warned_at_once(*_: object) -> str:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGUSR2)
        return "stopped before its first step"

    training(monkeypatch, warned_at_once)

    assert "--slurm time=" in SlurmTraining(job=one, device="cpu")()
    assert "--slurm time=" in progress(one.run)["fault"]
    assert node == []


@pytest.mark.parametrize(("state", "requeued"), [("RUNNING", True), ("COMPLETING", False)])
def test_a_job_that_is_stopped_is_requeued_in_its_time_of_grace_alone(
    workspace: Workspace,
    node: list[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    state: str,
    requeued: bool,
) -> None:
    one = job(workspace)
    squeue = tmp_path / "bin/squeue"
    squeue.parent.mkdir()
    squeue.write_text(f'#!/bin/sh\n[ "$2" = --jobs=7 ] && echo {state}\n')
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")

    def interrupted(*_: object) -> str:
        write_run_json(one.run, status="interrupted")
        return "stopped in epoch 1"

    training(monkeypatch, interrupted)
    if requeued:
        with pytest.raises(SystemExit):
            SlurmTraining(job=one, device="cpu")()
    else:
        assert SlurmTraining(job=one, device="cpu")() == "stopped in epoch 1"
        assert progress(one.run)["fault"] == "stopped in epoch 1"
    assert node == ["requeued"] * requeued


def test_a_cluster_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\nexec sleep 60\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_node, "ANSWER_S", 0.2)
    assert slurm_jobs.queued() is None


class FakeExecutor:
    """Takes jobs as SLURM does, and does what a test says with each."""

    sent: list[SlurmTraining]
    does: Callable[[Run], None]

    def __init__(self, folder: Path, max_num_timeout: int) -> None:
        self.folder = folder

    def update_parameters(self, **parameters: Any) -> None:
        assert parameters["array_parallelism"] >= 1

    @contextmanager
    def batch(self) -> Iterator[None]:
        yield

    def submit(self, task: SlurmTraining) -> Any:
        FakeExecutor.sent.append(task)
        type(self).does(task.job.run)
        paths = submitit.core.utils.JobPaths(self.folder, job_id="7_0")
        return type("Ticket", (), {"job_id": "7_0", "paths": paths})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> type[FakeExecutor]:
    FakeExecutor.sent = []
    monkeypatch.setattr(submitit, "SlurmExecutor", FakeExecutor)
    monkeypatch.setattr(slurm_jobs, "queued", set)
    monkeypatch.setattr(slurm_jobs, "_POLL_S", 0.0)
    monkeypatch.setattr(slurm_jobs, "_SQUEUE_S", -1.0)
    monkeypatch.setattr(slurm_jobs.shutil, "which", lambda name: name)
    return FakeExecutor


def test_what_jobs_wrote_is_shown_and_entered(
    workspace: Workspace, cluster: type[FakeExecutor], capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, lost = (job(workspace, model) for model in ("unet", "fpn", "linknet"))

    def work(run: Run) -> None:
        said = {"job": "7_0", "host": "node3", "step": 1, "steps": 1}
        if run.model == "unet":
            finish(run)
        elif run.model == "fpn":
            said["fault"] = "the loss became nan"
            write_run_json(run, status="failed")
        if run.model != "linknet":
            (run.folder / slurm_node.PROGRESS).write_text(json.dumps(said))

    cluster.does = work
    with pytest.raises(UserError, match="2 of 3 networks") as error:
        on_cluster(workspace, [good, bad, lost], CLUSTER)

    assert f"{bad.run.run}: the loss became nan" in error.value.message
    assert f"{lost.run.run}: its SLURM job 7_0 ended: see" in error.value.message
    assert workspace.run(good.run.run).status == "finished"
    assert workspace.run(bad.run.run).status == "failed"
    said = capsys.readouterr().err
    assert "unet: 1 epoch on node3" in said
    assert "unet: epoch 1/1  loss 0.500" in said


def test_ctrl_c_leaves_the_jobs_which_are_waited_for_again(
    workspace: Workspace, cluster: type[FakeExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(workspace)
    monkeypatch.setattr(slurm_jobs, "queued", lambda: {"7_0"})
    cluster.does = lambda _run: os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="harness runs sync") as stopped:
        on_cluster(workspace, [one], CLUSTER)
    assert stopped.value.exit_code == 130
    assert slurm_jobs.still_queued([one.run]) == {one.run.run: "7_0"}

    finish(one.run)
    on_cluster(workspace, [one], CLUSTER)
    assert len(cluster.sent) == 1
    assert workspace.run(one.run.run).status == "finished"


def test_a_run_that_is_removed_is_neither_waited_for_nor_trained(
    workspace: Workspace, cluster: type[FakeExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    removed, kept = job(workspace), job(workspace, "fpn")

    def remove() -> set[str]:
        workspace.remove_run(removed.run.run)
        shutil.rmtree(removed.run.folder, ignore_errors=True)
        finish(kept.run)
        return {"7_0"}

    monkeypatch.setattr(slurm_jobs, "queued", remove)
    cluster.does = lambda _run: None
    on_cluster(workspace, [removed, kept], CLUSTER)
    assert [run.run for run in workspace.runs(status="finished")] == [kept.run.run]

    def train_all(jobs: Iterator[Job], *_more: object) -> int:
        assert [job.run.run for job in jobs] == [kept.run.run]
        return 0

    monkeypatch.setattr("harness.training.local_jobs.train_all", train_all)
    side_by_side(workspace, [removed, kept], [], SETUP, 2, 2)


def test_a_queue_that_cannot_be_asked_ends_no_waiting(
    workspace: Workspace,
    cluster: type[FakeExecutor],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = job(workspace)
    cluster.does = lambda _run: None
    # Only what SLURM says twice in a row counts as the end.
    answers = iter([*[None] * 6, set(), None, {"7_0"}, set(), None, set()])

    def asked() -> set[str] | None:
        return next(answers)

    monkeypatch.setattr(slurm_jobs, "queued", asked)
    with pytest.raises(UserError, match="SLURM job 7_0 ended"):
        on_cluster(workspace, [one], CLUSTER)
    assert list(answers) == []
    assert "SLURM does not answer" in capsys.readouterr().err


def test_slurm_has_to_be_there_and_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no SLURM on this machine"):
        cluster_of("slurm", (), "auto", None, None)
    with pytest.raises(click.UsageError, match="--launcher slurm"):
        cluster_of("local", ("time=5",), "auto", None, None)
    assert cluster_of("local", (), "auto", 2, "mlflow") is None


def test_what_sbatch_refuses_is_passed_on(
    workspace: Workspace, cluster: type[FakeExecutor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_run: Run) -> None:
        raise submitit.core.utils.FailedJobError("sbatch: error: invalid partition: gpus")

    cluster.does = refuse
    with pytest.raises(UserError, match="invalid partition: gpus"):
        on_cluster(workspace, [job(workspace)], CLUSTER)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [("90", 90), ("1:30", 2), ("24:00:00", 1440), ("1-12", 2160), ("1-0:30", 1470), ("0", 0)],
)
def test_time_limits_are_those_of_sbatch(limit: str, expected: int) -> None:
    assert minutes(limit) == expected


@pytest.mark.parametrize("limit", ["", "a", "1:2:3:4", "1-", "-5"])
def test_another_time_limit_is_refused(limit: str) -> None:
    with pytest.raises(UserError, match="HH:MM:SS"):
        minutes(limit)


def test_options_of_sbatch_become_those_of_submitit() -> None:
    given = ["partition=gpu", "--gpus-per-node=1", "setup=module load cuda", "nice=5", "exclusive"]
    found = parse([*given, "time=2:00:00"])

    assert (found["partition"], found["gpus_per_node"], found["time"]) == ("gpu", 1, 120)
    assert found["setup"][1:] == ["module load cuda"]
    assert found["exclusive"] is True
    assert found["additional_parameters"] == {"requeue": True, "nice": "5"}
    assert parse([])["time"] == 240


def test_options_that_are_set_already_and_a_missing_submitit_are_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="--jobs says how many"):
        parse(["array=0-5"])
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"harness\[slurm\]"):
        parse([])
