"""A run from its first step to its registered best checkpoint, broken off and resumed."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training import loop as fitting
from harness.training.distributed import ProcessGroup
from harness.training.lengthen import lengthen, lengthened
from harness.training.loop import Callbacks, Epoch, TrainingLoop
from harness.training.trainer import Trainer, Validation
from harness.utils import device as devices
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError
from metrics.utils.files import file_sha256

STEPS = 3
CONFIG = {
    "model": "unet",
    "encoder_weights": "none",
    "size": 64,
    "epochs": 4,
    "average": 0.5,
    "schedule": "one-cycle",
    "learning_rate": 0.05,
}


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2))

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.dropout(self.layers(images), 0.2, self.training)


class RandomBatches:
    """Batches that are a function of their position, and learnable: bright is polyp."""

    steps = STEPS

    def __init__(self, spoil: tuple[int, int] | None = None) -> None:
        self.spoil = spoil

    def train(self, epoch: int, *, start: int) -> Iterator[tuple[Tensor, Tensor, Sequence[str]]]:
        for step in range(start, STEPS):
            images, masks = pair(100 * epoch + step)
            if (epoch, step) == self.spoil:
                raise OSError(5, "Input/output error", "frame.jpg")
            yield images, masks, [f"frame-{epoch}-{step}"]

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield pair(9999)


def pair(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (2, 3, 8, 8), generator=generator).float()
    images = nn.functional.interpolate(coarse, (64, 64)).to(torch.uint8)
    return images, (images[:, 0] > 127).to(torch.uint8)


def begin(workspace: Workspace) -> Run:
    return workspace.new_run("unet", settings=CONFIG, versions={}, seed=0)


def make(
    workspace: Workspace,
    run: Run,
    *,
    callbacks: Callbacks | None = None,
    batches: RandomBatches | None = None,
    change: Callable[[nn.Module], None] = lambda _: None,
    save_every_s: float = fitting.SAVE_EVERY_S,
) -> TrainingLoop:
    config = TrainConfig.from_dict(CONFIG)
    network = Tiny()
    change(network)
    trainer = Trainer(
        config,
        network,
        device=torch.device("cpu"),
        normalisation=((0.5,) * 3, (0.25,) * 3),
        steps=STEPS * config.epochs,
    )
    return TrainingLoop(
        run,
        config,
        trainer=trainer,
        batches=batches or RandomBatches(),
        callbacks=callbacks or Callbacks(),
        save_every_s=save_every_s,
    )


def kill_after(steps: int, number: int = signal.SIGTERM) -> Callbacks:
    def step(done: int, _total: int) -> None:
        if done == steps:
            os.kill(os.getpid(), number)

    return Callbacks(step=step)


def test_a_run_goes_on_with_as_many_threads_as_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.utils.device.cores", lambda: 4)
    workspace = Workspace(tmp_path)
    run = begin(workspace)
    seen: list[int] = []
    with devices.threads(2), pytest.raises(Interrupted):
        make(workspace, run, callbacks=kill_after(2))()

    with devices.threads(1):
        make(
            workspace,
            run,
            callbacks=Callbacks(step=lambda *_: seen.append(torch.get_num_threads())),
        )()
        assert torch.get_num_threads() == 1

    assert set(seen) == {2}


def test_a_run_ends_registered_with_its_best_weights(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = begin(workspace)
    told: list[Epoch] = []

    make(workspace, run, callbacks=Callbacks(epoch=told.append))()

    run = workspace.sync_run(run.run)
    assert (run.status, run.row["epochs"]) == ("finished", 4)
    best = max(told, key=lambda epoch: epoch.iou)
    assert run.row["best_epoch"] == best.epoch
    assert run.row["best_iou"] == best.iou
    assert set(safetensors.torch.load_file(run.best)) == set(Tiny().state_dict())
    assert run.last.exists()  # for --resume RUN --epochs MORE
    with (run.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == pytest.approx([epoch.loss for epoch in told])


def test_a_kill_as_the_state_is_written_leaves_the_digest_of_the_best_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    run = begin(Workspace(tmp_path))
    monkeypatch.setattr("harness.runs.checkpoints.save_state", killed)
    # The state is due after each epoch; after each step it is not.
    monkeypatch.setattr(TrainingLoop, "_is_due", lambda loop: loop.step == 0)

    with pytest.raises(KeyboardInterrupt):
        make(Workspace(tmp_path), run)()

    assert run.reread().row["checkpoint"] == file_sha256(run.best)
    assert run.reread().status == "interrupted"


@pytest.mark.parametrize("steps", [1, STEPS, 2 * STEPS + 1, 4 * STEPS - 1])
def test_a_stopped_run_goes_on_to_the_same_result(tmp_path: Path, steps: int) -> None:
    whole, broken = Workspace(tmp_path / "whole"), Workspace(tmp_path / "broken")
    unbroken, run = begin(whole), begin(broken)
    reference = make(whole, unbroken)
    reference()

    with pytest.raises(Interrupted, match=f"--resume {run.run}") as stop:
        make(broken, run, callbacks=kill_after(steps))()
    assert stop.value.exit_code == 143
    assert broken.sync_run(run.run).status == "interrupted"
    resumed = make(broken, run)
    assert (resumed.epoch * STEPS + resumed.step) == steps
    resumed()

    ours, theirs = resumed.trainer.network.state_dict(), reference.trainer.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert run.best.read_bytes() == unbroken.best.read_bytes()
    figures = [[(e.loss, e.iou, e.f1, e.best) for e in f.history] for f in (resumed, reference)]
    assert figures[0] == figures[1]


class StuckBatches(RandomBatches):
    """The third batch, or the second one of the validation, never comes before a signal."""

    def __init__(self, part: str) -> None:
        super().__init__()
        self.part = part

    def train(self, epoch: int, *, start: int) -> Iterator[tuple[Tensor, Tensor, Sequence[str]]]:
        for step, batch in enumerate(super().train(epoch, start=start), start):
            if self.part == "training" and step == 2:
                threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
                time.sleep(20)
            yield batch

    def validation(self) -> Iterator[tuple[Tensor, Tensor]]:
        yield from super().validation()
        if self.part == "validation":
            os.kill(os.getpid(), signal.SIGINT)
            yield pair(9999)
            raise AssertionError("validated to the end")


@pytest.mark.parametrize(("part", "steps"), [("training", 2), ("validation", STEPS)])
def test_a_signal_ends_a_wait_and_the_run_goes_on_to_the_same_result(
    tmp_path: Path, part: str, steps: int
) -> None:
    workspace = Workspace(tmp_path)
    unbroken, run = begin(workspace), begin(workspace)
    make(workspace, unbroken)()

    with pytest.raises(Interrupted, match=f"--resume {run.run}") as stop:
        make(workspace, run, batches=StuckBatches(part))()
    resumed = make(workspace, run)

    assert stop.value.exit_code == 130
    assert (resumed.epoch, resumed.step) == (0, steps)
    resumed()
    assert run.best.read_bytes() == unbroken.best.read_bytes()


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    with pytest.raises(Interrupted) as stop:
        make(workspace, begin(workspace), callbacks=kill_after(2, signal.SIGINT))()

    assert stop.value.exit_code == 130


@pytest.mark.parametrize(("save_every_s", "kept"), [(0.0, (2, 1)), (1e9, (0, 0))])
def test_a_state_is_saved_when_it_is_due(
    tmp_path: Path, save_every_s: float, kept: tuple[int, int]
) -> None:
    workspace = Workspace(tmp_path)
    run = begin(workspace)

    with pytest.raises(OSError, match=r"frame\.jpg"):
        make(workspace, run, batches=RandomBatches(spoil=(2, 1)), save_every_s=save_every_s)()

    assert workspace.sync_run(run.run).status == "failed"
    again = make(workspace, run)
    assert (again.epoch, again.step) == kept


@pytest.mark.parametrize("rank", [0, 1])
def test_every_process_of_a_team_waits_for_its_device_as_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("harness.training.loop.time.monotonic", lambda: float(next(clock)))
    workspace = Workspace(tmp_path)
    made = make(workspace, begin(workspace), save_every_s=20.0)
    made.group = ProcessGroup(rank=rank, world_size=2)
    settled: list[int] = []
    settle = made._settle

    def counted(pending: list[Tensor], ids: list[Sequence[str]]) -> None:
        settled.append(len(pending))
        settle(pending, ids)

    monkeypatch.setattr(made, "_settle", counted)
    made()

    # Once an epoch, and where a state is due: about every 20 ticks of a clock that is asked three
    # times a step.
    assert settled == [3, 2, 1, 3, 3]


def test_a_full_disk_loses_nothing(
    tmp_path: Path, no_room: Callable[[int], AbstractContextManager[None]]
) -> None:
    whole, broken = Workspace(tmp_path / "whole"), Workspace(tmp_path / "broken")
    unbroken = begin(whole)
    make(whole, unbroken)()
    run = begin(broken)

    with ExitStack() as until_room_is_made:

        def fill(done: int, _total: int) -> None:
            if done == STEPS + 2:
                until_room_is_made.enter_context(no_room(1000))

        with pytest.raises(UserError, match=f"cannot write in .*--resume {run.run}"):
            make(broken, run, callbacks=Callbacks(step=fill), save_every_s=0)()

    assert broken.sync_run(run.run).status == "failed"  # so small a file has room
    again = make(broken, run)
    assert (again.epoch, again.step) == (1, 1)
    again()
    assert run.best.read_bytes() == unbroken.best.read_bytes()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("Tried to allocate 2.00 GiB"), "memory of cpu does not hold unet"),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), "memory of cpu does not hold unet at a batch"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED\nand more"), "how it may show"),
    ],
)
def test_memory_that_is_full_says_what_takes_less(
    tmp_path: Path, error: Exception, said: str
) -> None:
    def full(network: nn.Module) -> None:
        def fail(_images: Tensor) -> Tensor:
            raise error

        network.forward = fail

    workspace = Workspace(tmp_path)
    run = begin(workspace)
    with pytest.raises(UserError, match=f"{said}.*--batch-size 4, .* or fewer --jobs; "):
        make(workspace, run, change=full)()
    assert workspace.sync_run(run.run).status == "failed"


def test_advice_for_full_memory_is_of_the_batch_and_the_device(tmp_path: Path) -> None:
    training = make(Workspace(tmp_path), begin(Workspace(tmp_path)))
    training.config = dataclasses.replace(training.config, batch_size=3)
    assert training._smaller().startswith("Take a smaller --size or fewer --jobs; ")
    training.trainer.device = torch.device("cuda")
    assert "fewer --jobs or --no-cuda-graphs; " in training._smaller()


def test_an_error_of_our_own_is_passed_on_as_it_is(tmp_path: Path) -> None:
    def wrong(network: nn.Module) -> None:
        def fail(_images: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match")

        network.forward = fail

    workspace = Workspace(tmp_path)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        make(workspace, begin(workspace), change=wrong)()


def test_a_loss_that_is_no_number_names_its_frames(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = begin(workspace)

    def poison(network: nn.Module) -> None:
        nn.init.constant_(next(network.parameters()), float("nan"))

    with pytest.raises(UserError, match=r"nan in epoch 1, step 1.*frame-0-0") as error:
        make(workspace, run, change=poison)()

    assert "--learning-rate" in error.value.message
    assert workspace.sync_run(run.run).status == "failed"
    assert not run.best.exists()


def test_training_ends_once_it_is_out_of_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    run = begin(workspace)
    training = make(workspace, run)
    training.config = dataclasses.replace(training.config, patience=1, epochs=50)
    same = Validation(iou=0.5, f1=0.6, frames=2)
    monkeypatch.setattr(training.trainer, "validate", lambda _: same)

    training()

    ended = workspace.sync_run(run.run)
    assert (ended.status, ended.row["best_epoch"], ended.row["epochs"]) == ("finished", 1, 2)


def test_a_lengthened_run_reaches_the_weights_of_a_longer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = []
    for first in (2, 4):
        workspace = Workspace(tmp_path / str(first))
        monkeypatch.setitem(CONFIG, "schedule", "step")
        monkeypatch.setitem(CONFIG, "epochs", first)
        run = begin(workspace)
        make(workspace, run)()
        if first == 2:
            run = workspace.sync_run(run.run)
            run = lengthen(workspace, run, lengthened(run, 4, None))
            assert (run.status, run.settings["epochs"]) == ("interrupted", 4)
            monkeypatch.setitem(CONFIG, "epochs", 4)
            make(workspace, run)()
        assert workspace.sync_run(run.run).row["epochs"] == 4
        weights.append(torch.load(run.last, weights_only=True)["trainer"]["network"])

    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The schedule one-cycle: stretched over 9 epochs, of which epoch 1 is next"),
        ({"schedule": "step", "grow_from": 32}, "The growth of images from 32 pixels: stretched"),
        ({"schedule": "step"}, ""),
    ],
)
def test_what_more_epochs_stretch_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], said: str
) -> None:
    workspace = Workspace(tmp_path)
    settings = TrainConfig.from_dict({**CONFIG, **changes}).to_dict()
    run = workspace.new_run("unet", settings=settings, versions={}, seed=0)
    run.last.touch()
    lengthen(workspace, run, lengthened(run, 9, None))
    warned = " ".join(capsys.readouterr().err.split())
    assert said in warned
    assert bool(said) == bool(warned)


def test_what_cannot_be_lengthened_is_said(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = begin(workspace)
    with pytest.raises(UserError, match="--init"):
        lengthened(run, 9, None)
    make(workspace, run)()
    with pytest.raises(UserError, match="trained 4 epochs already"):
        lengthened(workspace.sync_run(run.run), 3, None)
