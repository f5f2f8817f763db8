"""The device a network runs on, and what pays there."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import torch

from harness.config.training import Precision
from metrics.utils.errors import UserError

_AMPERE = 8  # the first CUDA capability whose tensor cores multiply bf16
_BF16_OF_A_CPU = ("amx_bf16", "avx512_bf16")


def choose(name: str = "auto") -> torch.device:
    """The device by name.

    Args:
        name: ``auto`` (the best there is), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UserError: If the device is unknown or not on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device {name!r}; expected auto, cpu, cuda or mps") from error
    there = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(device.type, False):
        raise UserError(
            f"no device {name!r} here; expected one of {', '.join(available())}. "
            "'harness doctor' says more."
        )
    return device


def available() -> list[str]:
    """Names of the devices of this machine, the best first."""
    names = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def workers(device: torch.device) -> int:
    """How many processes that augment pay beside a training on ``device``.

    On a CPU none: they would take the cores that the network computes on, and every step waits
    for its slowest thread.
    """
    return 0 if device.type == "cpu" else max(1, min(8, cores() - 1))


def precision(name: Precision, device: torch.device) -> Precision:
    """The precision that a name means on a device: ``auto`` becomes one of the other two.

    ``auto`` is ``bf16`` where the device multiplies it natively (CUDA from Ampere on, a CPU with
    AMX or AVX512-BF16). Elsewhere it is emulated, which makes a step slower than ``fp32``.

    Args:
        name: ``auto``, ``fp32`` or ``bf16``.
        device: Where the network runs.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= _AMPERE else "fp32"
    return "bf16" if device.type == "cpu" and _cpu_has(*_BF16_OF_A_CPU) else "fp32"


def _cpu_has(*features: str) -> bool:
    """Whether the CPU has any of the features, by their names in torch; an older torch says no."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(feature) for feature in features)


def autocast(device: torch.device, name: Precision) -> AbstractContextManager[object]:
    """Mixed precision for ``bf16``, nothing for ``fp32``."""
    if precision(name, device) == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with ``count`` threads in torch's operators."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def single_threads() -> ThreadPoolExecutor:
    """As many threads as torch's operators may take now, in each of which they take only that one.

    The number that an operator may take belongs to the thread that calls it, so the caller's own
    stays as it was.
    """
    count = torch.get_num_threads()
    begun = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread takes the number for all at its first question
        torch.set_num_threads(1)
        begun.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="network", initializer=begin)
    for _ in range(count):  # each starts a thread, since those before it still wait
        pool.submit(threading.get_ident)
    begun.wait()
    torch.set_num_threads(count)  # for threads that come later, and for this one
    return pool


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
