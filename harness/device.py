"""The device a network runs on, and what pays there."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch

from metrics.errors import UserError

# glibc's mallopt parameters (malloc.h).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


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


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Mixed precision for ``bf16``, nothing for ``fp32``."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def keep_memory() -> None:
    """Stop glibc from handing every large block back to the kernel.

    Without it each step of a network on the CPU maps and faults in its activations anew. Must be
    called before large allocations; does nothing on other C libraries.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, 256 * 2**20)


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
