"""Two processes that train one network do what one process does."""

from __future__ import annotations

import datetime
import functools
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import Tensor, nn

from harness.config.training import TrainConfig
from harness.data.synthetic.dataset import Synthetic, write_dataset
from harness.runs.workspace import Workspace
from harness.training.distributed import SINGLE, Agreement, ProcessGroup, connect, is_lost_peer
from harness.training.local_jobs import start_server
from harness.training.trainer import Trainer
from metrics.utils.errors import UserError

RANKS = 2
SIZE = 32
FRAMES = 5  # so that the shares differ
NORMALISATION = ((0.5,) * 3, (0.25,) * 3)


class Convolutions(nn.Module):
    """A network without batch norm, or with one; of float64, since rounding flips ReLUs."""

    def __init__(self, *, norm: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4) if norm else nn.GroupNorm(2, 4),
            nn.ReLU(),
            nn.Conv2d(4, 2, 3, padding=1),
        )
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.layers(images.double())
        return output


def batch(frames: int = FRAMES, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (frames, 3, SIZE, SIZE)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return images, (images[:, 0] > 127).to(torch.uint8)


def trainer(
    group: ProcessGroup, *, norm: bool = False, network: nn.Module | None = None, **values: Any
) -> Trainer:
    # Each process starts from weights of its own; the main process's are taken.
    torch.manual_seed(group.rank)
    return Trainer(
        TrainConfig(model="unet", size=SIZE, **values),
        network or Convolutions(norm=norm),
        device=torch.device("cpu"),
        normalisation=NORMALISATION,
        steps=2,
        group=group,
    )


def step(group: ProcessGroup, loss: str) -> dict[str, Any]:
    """The loss and the gradients of one step of this process's share, and what came of it."""
    made = trainer(group, loss=loss, ema_decay=0.5)
    images, masks = batch()
    kept: dict[str, Tensor] = {}
    made.optimiser.register_step_pre_hook(
        lambda *_: kept.update(
            {n: p.grad.clone() for n, p in made.network.named_parameters() if p.grad is not None}
        )
    )
    mine = slice(group.rank, None, group.world_size)
    value = made.step(images[mine], masks[mine], epoch=0, index=0, passed=0, frames=FRAMES)
    return {"loss": value.item(), "gradients": kept, "weights": dict(made.weights())}


def counts(group: ProcessGroup, **values: Any) -> Tensor:
    """Pixel counts of validation frames after a step, from which batch norm's buffers differ."""
    made = trainer(group, norm=True, **values)
    images, masks = batch(4)
    mine = slice(group.rank, None, group.world_size)
    made.step(images[mine], masks[mine], epoch=0, index=0, passed=0, frames=4)
    return made.overlaps([batch(3, 1)])


def warned(group: ProcessGroup) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer(group, norm=True)
    return [str(warning.message) for warning in caught]


class Unused(Convolutions):
    """A network with weights that take no part in its output."""

    def __init__(self) -> None:
        super().__init__(norm=False)
        self.head = nn.Linear(2, 2)


def unused(group: ProcessGroup) -> list[float]:
    """The losses of steps of a network with unused weights."""
    torch.manual_seed(group.rank)
    made = trainer(group, network=Unused())
    images, masks = batch()
    mine = slice(group.rank, None, group.world_size)
    steps = [
        made.step(images[mine], masks[mine], epoch=0, index=at, passed=at, frames=FRAMES)
        for at in range(2)
    ]
    return [loss.item() for loss in steps]


def validate(group: ProcessGroup) -> dict[str, Any]:
    made = trainer(group)
    # Three batches of three frames, and a short one.
    batches = [*(batch(3, seed) for seed in range(3)), batch(2, 9)]
    mine = batches[group.rank :: group.world_size]
    result = made.validate(mine)
    return {
        "counts": made.overlaps(mine),
        "iou": result.iou,
        "f1": result.f1,
        "frames": result.frames,
    }


def agree(group: ProcessGroup) -> list[int]:
    """Only the second process brings a number, in its second call."""
    agreement = Agreement(group)
    brought = [0, 15, 0] if group.rank else [0, 0, 0]
    return [*(agreement(number) for number in brought), agreement.settle()]


def share(group: ProcessGroup) -> Any:
    return group.share({"run": "unet-1"} if group.is_main else None)


def lose(group: ProcessGroup) -> bool:
    """Whether the process that stays learns of the other's end from the steps' agreement."""
    agreement = Agreement(group)
    try:
        agreement(0)
        agreement(0)
        agreement.settle()
    except RuntimeError as error:
        return is_lost_peer(error)
    return False


WORK: dict[str, Callable[[ProcessGroup], Any]] = {
    "single-channel-dice": functools.partial(step, loss="single-channel-dice"),
    "dice+ce": functools.partial(step, loss="dice+ce"),
    "validate": validate,
    "counts": counts,
    "counts of an average": functools.partial(counts, ema_decay=0.5),
    "unused": unused,
    "warned": warned,
    "agree": agree,
    "share": share,
}


def _work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=RANKS
    )
    group = ProcessGroup(rank=rank, world_size=RANKS)
    results = {name: work(group) for name, work in WORK.items()}
    if not group.is_main:
        torch.save(results, folder / f"{rank}.pt")
        os._exit(0)  # without a word, as a process that is killed
    results["lost"] = lose(group)
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes got from all the work; started once, since that takes seconds."""
    folder = tmp_path_factory.mktemp("team")
    start_server()  # which loads torch once for both
    processes.start_processes(_work, (folder,), nprocs=RANKS, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt") for rank in range(RANKS)]


@pytest.mark.parametrize("loss", ["single-channel-dice", "dice+ce"])
def test_a_step_is_that_of_the_whole_batch(results: list[dict[str, Any]], loss: str) -> None:
    first, second = (result[loss] for result in results)
    alone = step(SINGLE, loss)

    assert first["loss"] == second["loss"] == pytest.approx(alone["loss"], abs=1e-6)
    assert first["gradients"].keys() == alone["gradients"].keys()
    for name, expected in alone["gradients"].items():
        assert torch.equal(first["gradients"][name], second["gradients"][name]), name
        torch.testing.assert_close(first["gradients"][name], expected, atol=1e-6, rtol=0)
    for name in alone["weights"]:
        assert torch.equal(first["weights"][name], second["weights"][name]), name


def test_weights_that_are_not_used_keep_no_step_back(results: list[dict[str, Any]]) -> None:
    assert results[0]["unused"] == results[1]["unused"] == pytest.approx(unused(SINGLE))


@pytest.mark.parametrize("work", ["counts", "counts of an average"])
def test_every_process_validates_the_main_ones_buffers(
    results: list[dict[str, Any]], work: str
) -> None:
    counted = results[0][work]
    assert torch.equal(counted, results[1][work])
    # Both processes were given the same batch, so each frame was counted twice.
    assert torch.equal(counted[:, :3], counted[:, 3:])


def test_batch_norm_on_a_cpu_is_warned_of_by_the_main_process(
    results: list[dict[str, Any]],
) -> None:
    first, second = (result["warned"] for result in results)
    assert len(first) == 1
    assert "its own share of the batch" in first[0]
    assert second == []


def test_validation_counts_are_those_of_one_process(results: list[dict[str, Any]]) -> None:
    alone = validate(SINGLE)

    for result in results:
        counted = result["validate"]
        assert torch.equal(counted["counts"], alone["counts"])
        assert all(counted[name] == alone[name] for name in ("iou", "f1", "frames"))


def test_a_signal_to_one_process_is_known_to_all_one_step_later(
    results: list[dict[str, Any]],
) -> None:
    assert [result["agree"] for result in results] == [[0, 0, 15, 0]] * RANKS


def test_the_main_processs_value_is_everyones(results: list[dict[str, Any]]) -> None:
    assert [result["share"] for result in results] == [{"run": "unet-1"}] * RANKS


def test_a_process_that_is_gone_is_known_at_the_next_step(results: list[dict[str, Any]]) -> None:
    assert results[0]["lost"]


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (dist.DistBackendError("NCCL communicator was aborted on rank 1"), True),
        (RuntimeError("NCCL error: remote process exited or there was a network error"), True),
        (RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_errors_of_the_connection_are_known(error: RuntimeError, lost: bool) -> None:
    assert is_lost_peer(error) == lost


def test_processes_on_gpus_meet_each_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    current: list[torch.device] = []
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2")  # so that it is put back
    monkeypatch.delenv("TORCH_NCCL_ASYNC_ERROR_HANDLING")
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.append(device))
    monkeypatch.setattr(dist, "init_process_group", lambda *a, **kw: asked.append((*a, kw)))
    monkeypatch.setattr(dist, "new_group", lambda **kw: kw["timeout"])
    monkeypatch.setattr(dist, "all_reduce", lambda *_, **__: None)
    monkeypatch.setattr(dist, "get_rank", lambda: 3)
    monkeypatch.setattr(dist, "get_world_size", lambda: 4)

    group, device = connect(torch.device("cuda"))

    own = torch.device("cuda", 1)
    minutes = datetime.timedelta(minutes=30)
    assert asked == [("cpu:gloo,cuda:nccl", {"timeout": minutes, "device_id": own})]
    assert (device, current) == (own, [own])
    assert (group.rank, group.world_size, group.on_machine) == (3, 4, 2)
    assert group.waiting == datetime.timedelta(hours=12)  # decoding may take the leader that long
    assert os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] == "2"


def test_a_process_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    with pytest.raises(UserError, match="process 2 of this machine has no GPU: there are 1"):
        connect(torch.device("cuda"))


def test_batch_norms_on_gpus_become_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", property(lambda _: True), raising=False)

    network = ProcessGroup(world_size=2).prepare(Convolutions(norm=True))

    assert any(isinstance(module, nn.SyncBatchNorm) for module in network.modules())
    assert network.state_dict().keys() == Convolutions(norm=True).state_dict().keys()


def torchrun(
    drawn: Synthetic,
    workspace: Path,
    *arguments: str,
    launch: Sequence[str] = ("--nproc-per-node", str(RANKS)),
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "torch.distributed.run", *launch]
    command += ["-m", "harness", "train", *arguments, "--endocv", str(drawn.endocv)]
    return subprocess.Popen(
        [*command, "--workspace", str(workspace), "--device", "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        cwd=workspace,
        # The agents' own store may give a process the address of one that was there before it.
        env={**os.environ, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"},
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_torchrun_is_stopped_and_goes_on(tmp_path: Path, number: int) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=64)
    recipe = ("--preset", "demo", "--model", "unet", "--epochs", "3", "--size", "32")
    process = torchrun(drawn, tmp_path, *recipe)
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if "epoch 1/3" in line:
            break
    process.send_signal(number)
    _, rest = process.communicate()
    said += rest

    workspace = Workspace(tmp_path)
    (run,) = workspace.runs()
    assert run.status == "interrupted"
    assert said.count(f"Go on with: harness train --resume {run.run}") == 1  # the leader says it
    resumed = torchrun(drawn, tmp_path, "--resume")
    _, said = resumed.communicate()

    assert resumed.returncode == 0, said
    (run,) = workspace.runs()
    assert (run.status, run.row["epochs"]) == ("finished", 3)
    assert len((run.folder / "history.csv").read_text().splitlines()) == 4


def on_two_nodes(port: int, *, restarts: int = 0) -> list[str]:
    """What starts one of two agents, each of which stands for a machine with one process."""
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"localhost:{port}"]
    nodes = ["--nnodes", "2", "--nproc-per-node", "1", "--local-addr", "127.0.0.1"]
    return [*nodes, *meeting, "--max-restarts", str(restarts)]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return int(found.getsockname()[1])


def workers(agents: Sequence[subprocess.Popen[str]]) -> dict[int, psutil.Process]:
    """The processes that train, by rank."""
    children = [child for agent in agents for child in psutil.Process(agent.pid).children()]
    ranks = {child: child.environ().get("RANK") for child in children}
    return {int(rank): child for child, rank in ranks.items() if rank is not None}


@pytest.mark.slow
def test_two_nodes_train_and_go_on_by_themselves_after_a_kill(tmp_path: Path) -> None:
    drawn = write_dataset(tmp_path / "drawn", frames=60, height=64)
    recipe = ["--preset", "demo", "--model", "unet", "--epochs", "2", "--size", "32"]
    recipe += ["--save-every", "0", "--workers", "0"]
    results = {}
    for killed in (None, 0):  # no process, the main one
        folder = tmp_path / str(killed)
        folder.mkdir()
        launch = on_two_nodes(free_port(), restarts=2)
        agents = [torchrun(drawn, folder, *recipe, launch=launch) for _ in range(2)]
        while killed is not None and not list(folder.glob("runs/*/last.pt")):
            assert all(agent.poll() is None for agent in agents)
            time.sleep(0.05)
        if killed is not None:
            workers(agents)[killed].kill()
        said = [agent.communicate()[1] for agent in agents]
        assert [agent.returncode for agent in agents] == [0, 0], said
        (run,) = Workspace(folder).runs()
        results[killed] = (run.status, run.row["epochs"], run.row["checkpoint"])
        assert not list((folder / "plans").iterdir())
    assert results[None][:2] == ("finished", 2)
    assert results[0] == results[None]
