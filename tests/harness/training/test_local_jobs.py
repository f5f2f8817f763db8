"""Runs that train side by side in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch

from harness.config.recipe import resolve
from harness.config.training import TrainConfig
from harness.data.cache import FrameCache
from harness.data.layouts import list_frames, read_headers
from harness.runs.lock import lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training.distributed import ProcessGroup
from harness.training.history import Epoch
from harness.training.job import DeviceSlot, Job, WorkerCallbacks
from harness.training.local_jobs import _Worker, device_slots, start_server, train_all
from harness.training.queue import RunQueue
from harness.training.train_all import run_all
from harness.training.train_run import TrainingFrames, TrainingSetup

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

SIZE = 32
CPU = torch.device("cpu")
TWO = [DeviceSlot(device="cpu", threads=1)] * 2


class Heard:
    """What was told, and a way to answer the first step."""

    def __init__(self, signal_at_first_step: int = 0) -> None:
        self.epochs: list[tuple[str, int]] = []
        self.warned: list[str] = []
        self.ended: dict[str, str] = {}
        self.most_at_once = 0
        self._under_way: set[str] = set()
        self._signal = signal_at_first_step

    def begun(self, run: Run, device: str) -> None:
        assert device == "cpu"
        self._under_way.add(run.run)
        self.most_at_once = max(self.most_at_once, len(self._under_way))

    def step(self, run: Run, done: int, total: int) -> None:
        assert 0 < done <= total
        if self._signal:
            os.kill(os.getpid(), self._signal)
            self._signal = 0

    def epoch(self, run: Run, epoch: Epoch) -> None:
        self.epochs.append((run.run, epoch.epoch))

    def end(self, run: Run, fault: str) -> None:
        self._under_way.remove(run.run)
        self.ended[run.run] = fault

    def callbacks(self) -> WorkerCallbacks:
        return WorkerCallbacks(
            begun=self.begun,
            step=self.step,
            epoch=self.epoch,
            warned=lambda run, message: self.warned.append(f"{run.run}: {message}"),
            ended=self.end,
        )


SETUP = TrainingSetup(device=torch.device("cpu"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def frames(draw: Drawer, tmp_path: Path) -> TrainingFrames:
    found = read_headers(
        list_frames(draw.pairs("pairs", tuple(f"x{number}" for number in range(4))))
    )
    cache = FrameCache.build(found, SIZE, tmp_path / "cache")
    return TrainingFrames(train=cache, val=cache)


def job(
    workspace: Workspace, frames: TrainingFrames, *, epochs: int, encoder: str = "tu-test_resnet"
) -> Job:
    own: dict[str, Any] = {"encoder": encoder, "encoder_weights": "none"}
    config = resolve("fpn", "demo", epochs=epochs, size=SIZE, batch_size=2, **own)
    settings = config.to_dict()
    run = workspace.new_run("fpn", settings=settings, versions={}, data=frames.data)
    return Job(workspace=workspace.root, run=run, frames=frames, setup=SETUP)


@pytest.mark.slow
def test_one_that_fails_does_not_stop_the_others(
    workspace: Workspace, frames: TrainingFrames
) -> None:
    bad = job(workspace, frames, epochs=1, encoder="resnet19")
    good = job(workspace, frames, epochs=2)
    heard = Heard()

    assert train_all(iter([bad, good]), TWO, heard.callbacks()) == 0

    assert heard.most_at_once == 2
    assert heard.ended[good.run.run] == ""
    assert "resnet18" in heard.ended[bad.run.run]  # the nearest encoder that there is
    assert heard.epochs == [(good.run.run, 1), (good.run.run, 2)]
    assert workspace.sync_run(good.run.run).status == "finished"
    assert workspace.sync_run(bad.run.run).status != "finished"


def test_a_signal_stops_all_of_them_with_everything_written(
    workspace: Workspace, frames: TrainingFrames
) -> None:
    endless = [job(workspace, frames, epochs=100_000) for _ in range(2)]
    heard = Heard(signal_at_first_step=signal.SIGTERM)
    half = endless[0].run.folder / ".last.pt.0.partial"  # of a process that was killed
    half.touch()
    os.utime(half, (0, 0))
    if sys.platform == "linux":  # 'timeout' sends it to the whole process group
        start_server()
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGTERM)  # type: ignore[attr-defined]

    assert train_all(iter(endless), TWO[:1], heard.callbacks()) == signal.SIGTERM

    stopped = workspace.sync_run(endless[0].run.run)
    assert stopped.status == "interrupted"
    assert stopped.last.exists()
    assert not half.exists()
    assert f"--resume {stopped.run}" in heard.ended[stopped.run]
    assert endless[1].run.run not in heard.ended  # not begun any more


def test_what_could_not_note_its_end_is_interrupted_unless_another_process_trains_it(
    workspace: Workspace, frames: TrainingFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [job(workspace, frames, epochs=1).run for _ in range(3)]
    workspace.finish_run(runs[0].run)
    steps = [TrainConfig.from_dict(run.settings) for run in runs]
    tasks = RunQueue.new(workspace, steps)
    for position, run in enumerate(runs):
        tasks.begin(position, run.run)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.training.train_all._jobs", stop)
    with lock_run(runs[1]), pytest.raises(KeyboardInterrupt):
        run_all(workspace, tasks, pd.DataFrame(), SETUP, 2)
    ended = [workspace.run(run.run).status for run in runs]
    assert ended == ["finished", "running", "interrupted"]


def test_a_warning_is_passed_on(workspace: Workspace, frames: TrainingFrames) -> None:
    run = job(workspace, frames, epochs=1).run
    ours, theirs = multiprocessing.Pipe(duplex=False)
    worker = _Worker(run=run, slot=TWO[0], process=multiprocessing.Process(), pipe=ours)
    heard = Heard()

    theirs.send(("warned", "not recorded"))

    assert worker.listen(heard.callbacks())  # it goes on
    assert heard.warned == [f"{run.run}: not recorded"]


def test_places_share_the_cores_or_the_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.utils.device.cores", lambda: 8)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert device_slots(CPU, 3, 3) == [DeviceSlot(device="cpu", threads=2, trainings=3)] * 3
    assert [slot.threads for slot in device_slots(CPU, 1, 6)] == [1]
    assert [slot.device for slot in device_slots(torch.device("cuda"), 3, 3)] == [
        "cuda:0",
        "cuda:1",
        "cuda:0",
    ]
    assert [slot.device for slot in device_slots(torch.device("cuda:1"), 2, 2)] == [
        "cuda:1",
        "cuda:1",
    ]


def test_the_cores_are_shared_by_everything_that_trains_on_the_machine() -> None:
    alone, beside = TrainingSetup(device=CPU), TrainingSetup(device=CPU, side_by_side=3)
    four = ProcessGroup(rank=5, world_size=8, on_machine=4)

    assert (alone.trainings, beside.trainings) == (1, 3)
    assert TrainingSetup(device=CPU, group=four).trainings == 4
