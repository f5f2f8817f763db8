"""Training one network in several processes, as torchrun starts them.

The batch of the recipe is divided among the processes. Each computes the loss of the whole batch
and differentiates it by its own share; the gradients are added up. On GPUs batch norm measures the
whole batch as well (torch's ``SyncBatchNorm``), so that the number of processes changes nothing but
the speed, the rounding and the draws of dropout. torch has no such batch norm for a CPU: there each
process's measures its own share of the batch.
"""

from __future__ import annotations

import datetime as dt
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from harness.utils import device as devices
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

Value = TypeVar("Value")

# Steps and validations take less. NCCL does not notice that a process is gone, so this is also how
# long a step may hang before it is given up.
_STEP_LIMIT: Final = dt.timedelta(minutes=30)
# The main process may decode frames for hours while the others wait for its next run, over gloo,
# where they notice at once if it dies.
_RUN_LIMIT: Final = dt.timedelta(hours=12)
# By default NCCL's watchdog aborts the process when a step times out. 2 has it abort the step only:
# the next call of NCCL then raises an error, and a message can be given.
_NCCL_ERRORS: Final = ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2")


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """The processes of a training; by default a single one.

    Attributes:
        rank: Which of them this is. The main process, 0, is the only one that writes and reports.
        world_size: How many there are.
        on_machine: How many of them share this machine's cores.
        restarts: How often torchrun started these processes again, after it lost one.
        waiting: The torch process group in which the others wait for the main process's next run;
            ``None`` for the default one.
    """

    rank: int = 0
    world_size: int = 1
    on_machine: int = 1
    restarts: int = 0
    waiting: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def is_single(self) -> bool:
        """Whether there is no other process."""
        return self.world_size == 1

    def share(self, value: Value | None = None) -> Value | None:
        """Give the main process's value to every process."""
        if self.is_single:
            return value
        values = [value]
        cpu = torch.device("cpu")
        dist.broadcast_object_list(values, src=0, group=self.waiting, device=cpu)
        return values[0]

    def gather(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """All parts in their order, of which each process holds every ``world_size``-th.

        The first of this process's ``parts`` is number ``rank`` of all. They come back on the CPU;
        in a single process as they are.
        """
        if self.is_single:
            return list(parts)
        gathered: list[list[Tensor]] = [[] for _ in range(self.world_size)]
        dist.all_gather_object(gathered, [part.cpu() for part in parts])
        count = sum(len(part) for part in gathered)
        return [gathered[at % self.world_size][at // self.world_size] for at in range(count)]

    def whole_batch(self, logits: Tensor, masks: Tensor, frames: int) -> tuple[Tensor, Tensor]:
        """Logits and masks of the whole batch, of which each process computed a share.

        The others' logits are constants here, so that backward through a function of the result
        gives this process's part of the gradient; all parts together are the whole.

        Logits (N, C, H, W) and masks (N, H, W) are of frames ``rank``, ``rank + world_size``, ...
        of a batch of ``frames``.
        """
        if self.is_single:
            return logits, masks
        counts = [len(range(rank, frames, self.world_size)) for rank in range(self.world_size)]
        all_logits = self._gather_padded(logits.detach(), counts)
        all_masks = self._gather_padded(masks, counts)
        all_logits[self.rank] = logits  # in place of their copy, through which nothing flows back
        return torch.cat(all_logits), torch.cat(all_masks)

    def _gather_padded(self, values: Tensor, counts: Sequence[int]) -> list[Tensor]:
        # The backends gather tensors of one shape only.
        padded = values.new_zeros((max(counts), *values.shape[1:]))
        padded[: len(values)] = values
        gathered = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(gathered, padded)
        return [part[:count] for part, count in zip(gathered, counts, strict=True)]

    def prepare(self, network: nn.Module) -> nn.Module:
        """A network whose batch norms measure the whole batch, where its device can do so."""
        norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        if self.is_single or not norms:
            return network
        if next(network.parameters()).is_cuda:
            from timm.layers.norm_act import convert_sync_batchnorm

            # Unlike torch's own it keeps the activation that some of timm's norms carry.
            converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
            return converted
        if self.is_main:
            warnings.warn(
                "on a CPU the batch norm of each process measures its own share of the batch, so "
                "the weights depend on the number of processes; on GPUs it measures the whole.",
                stacklevel=2,
            )
        return network

    def copy_buffers(self, network: nn.Module) -> None:
        """Give every process the main one's buffers, such as batch norm's running means."""
        if not self.is_single:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)

    def wrap(self, network: nn.Module, device: torch.device, *, unused: bool = False) -> nn.Module:
        """What training goes through: it averages the gradients while backward still runs.

        Every process starts from the main one's weights. ``unused`` says that some of the
        network's weights take no part in its output, and get no gradient.
        """
        if self.is_single:
            return network
        return DistributedDataParallel(
            network,
            device_ids=[device] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            find_unused_parameters=unused,
        )

    def only_main_reports(self, error: click.ClickException) -> BaseException:
        """What to raise for an error of all processes: only the main one's has a message."""
        return error if self.is_main else SystemExit(error.exit_code)


SINGLE: Final = ProcessGroup()
"""A process that trains by itself."""


class Agreement:
    """The largest number that any process passed, known one call later.

    The reduction runs beside the next step, so that no step waits for it.
    """

    def __init__(self, group: ProcessGroup) -> None:
        self._group = group
        self._number = torch.zeros(1, dtype=torch.int64)
        self._work: Any = None

    def __call__(self, number: int) -> int:
        """Pass a number, get the largest of the call before; a single process gets its own back."""
        if self._group.is_single:
            return number
        agreed = self.settle()
        self._number = torch.tensor([number])  # written to until it is settled
        self._work = dist.all_reduce(self._number, dist.ReduceOp.MAX, async_op=True)
        return agreed

    def settle(self) -> int:
        """Wait for the last call's reduction, and return its result."""
        if self._work is not None:
            self._work.wait()
            self._work = None
        return int(self._number)


def launched() -> bool:
    """Whether torchrun, or something like it, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ


@contextmanager
def join(device: torch.device) -> Iterator[tuple[ProcessGroup, torch.device]]:
    """The group of processes that torchrun started this one in, and this process's device.

    Of several GPUs each process gets its own.

    Raises:
        UserError: If there are more processes than GPUs.
    """
    if not launched():
        yield ProcessGroup(restarts=_restarts()), device  # torchrun may start a single one, too
        return
    group, device = connect(device)
    try:
        yield group, device
        if group.is_main:
            group.share(None)
    except (Interrupted, SystemExit):
        dist.destroy_process_group()
        raise
    except BaseException:
        # On GPUs destroy_process_group() blocks on pending NCCL work of the other processes.
        if device.type == "cpu":
            dist.destroy_process_group()
        raise
    dist.destroy_process_group()


def connect(device: torch.device) -> tuple[ProcessGroup, torch.device]:
    """Connect to the other processes of a group; of several GPUs this process gets its own.

    Raises:
        UserError: If there are more processes than GPUs.
    """
    on_machine = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    torch.set_num_threads(max(1, devices.cores() // on_machine))
    if device.type == "cuda":
        device = _own_gpu(int(os.environ.get("LOCAL_RANK", "0")))
        os.environ.setdefault(*_NCCL_ERRORS)
        # With its device named, NCCL connects at once and on no other.
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=_STEP_LIMIT, device_id=device)
    else:
        dist.init_process_group("gloo", timeout=_STEP_LIMIT)
    waiting: Any = dist.new_group(backend="gloo", timeout=_RUN_LIMIT)
    # Each machine's torchrun counts the processes that it lost itself.
    restarts = torch.tensor(_restarts())
    dist.all_reduce(restarts, dist.ReduceOp.MAX, group=waiting)
    group = ProcessGroup(
        rank=dist.get_rank(),
        world_size=dist.get_world_size(),
        on_machine=on_machine,
        restarts=int(restarts),
        waiting=waiting,
    )
    return group, device


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch_time() -> dt.datetime:
    """When torchrun, the parent of this process, began; it outlives what it restarts."""
    import psutil

    return dt.datetime.fromtimestamp(psutil.Process(os.getppid()).create_time(), dt.UTC)


def is_lost_peer(error: RuntimeError) -> bool:
    """Whether an error says that another process cannot be reached any more.

    NCCL's come as a class of their own, gloo's as a plain RuntimeError.
    """
    message = str(error).lower()
    return isinstance(error, dist.DistError) or "gloo" in message or "nccl" in message


def _own_gpu(local: int) -> torch.device:
    count = torch.cuda.device_count()
    if local >= count:
        raise UserError(
            f"process {local + 1} of this machine has no GPU: there are {count}. Start "
            f"'torchrun --nproc-per-node {count}', or add --device cpu."
        )
    own = torch.device("cuda", local)
    devices.make_current(own)
    return own
