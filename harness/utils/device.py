"""The device a network runs on: its choice, memory, precision and threads.

torch is imported by the functions that need it, so that commands without a network start fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Literal

from metrics.utils import cgroups
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    import torch

Precision = Literal["auto", "fp32", "bf16"]

cores = cgroups.cores

_AMPERE = 8  # the first CUDA capability whose tensor cores multiply bf16
_BF16_OF_A_CPU = ("amx_bf16", "avx512_bf16")
_MOST_WORKERS: Final = 8
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4  # parameters of glibc's mallopt

CUDA_SWITCHES: Final = threading.RLock()
"""Held while switches of the whole process are set for CUDA, or a CUDA graph is recorded."""

# CUDA, MPS and NCCL say 'out of memory'; cuBLAS and cuDNN give a status; torch says the rest of
# a CPU. All but torch's own class for GPUs come as a plain RuntimeError.
_OUT_OF_MEMORY: Final = re.compile(
    r"out of memory|can't allocate memory|not enough memory|failed to map segment"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_\w*ALLOC\w*_FAILED",
    re.IGNORECASE,
)
# What cuBLAS and cuDNN say where they find no room for their handles, and in other cases too.
_PERHAPS_OUT_OF_MEMORY: Final = re.compile(
    r"(CUBLAS|CUDNN)_STATUS_(NOT_INITIALIZED|INTERNAL_ERROR)|unable to find an engine"
)


def choose(name: str = "auto") -> torch.device:
    """The device by name.

    Args:
        name: ``auto`` (the best there is), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        UserError: If the device is unknown or not on this machine.
    """
    import torch

    here = [f"cuda:{index}" for index in range(gpus())]
    here += ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    if name == "auto":
        return torch.device(here[0].partition(":")[0])
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"unknown device {name!r}; expected auto, cpu, cuda or mps") from error
    wanted = f"cuda:{device.index or 0}" if device.type == "cuda" else device.type
    if wanted not in here:
        raise UserError(
            f"no device {name!r} here; expected one of {', '.join(here)}. 'harness doctor' says "
            "more."
        )
    return device


def gpus() -> int:
    """The number of CUDA devices that torch can use; it counts them with too old a driver, too."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor on a device. Nothing waits for a copy to CUDA, which keeps pinned memory till then.

    MPS would read a tensor that is freed meanwhile (pytorch issue 189690).
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def make_current(device: torch.device) -> None:
    """Make a GPU that has a number the current device of this process; others change nothing.

    Some of torch's own parts ask for the current device alone: the thread that pins batches, the
    streams of the data loader, NCCL.
    """
    import torch

    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of its GPU did not suffice."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")  # not imported for a command that did not need it
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    kinds = (RuntimeError, ImportError)  # a library that finds no room is not imported
    return isinstance(error, kinds) and bool(_OUT_OF_MEMORY.search(str(error)))


def is_perhaps_out_of_memory(error: BaseException) -> bool:
    """Whether an error often, but not always, means that a GPU's memory is full."""
    return isinstance(error, RuntimeError) and bool(_PERHAPS_OUT_OF_MEMORY.search(str(error)))


def graph_fault(error: RuntimeError) -> str:
    """Why a CUDA graph could not be recorded; what torch says at its end often only follows."""
    first = error.__context__ if isinstance(error.__context__, RuntimeError) else error
    return str(first).partition("\n")[0]


def workers(device: torch.device, *, trainings: int = 1) -> int:
    """The number of data-loading processes for a training on ``device``.

    None on a CPU: they would take the cores that the network computes on, and every step waits
    for its slowest thread.

    ``trainings`` processes train on this machine at once and share its cores.
    """
    if device.type == "cpu":
        return 0
    return max(1, min(_MOST_WORKERS, cores() // trainings - 1))


def precision(name: Precision, device: torch.device) -> Precision:
    """Resolve ``auto`` for a device.

    ``auto`` is ``bf16`` where the device multiplies it natively (CUDA from Ampere on, a CPU with
    AMX or AVX512-BF16). Elsewhere it is emulated, which makes a step slower than ``fp32``.
    """
    import torch

    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device)[0] >= _AMPERE else "fp32"
    # An older torch does not know what a CPU has.
    features: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    native = device.type == "cpu" and any(features.get(name) for name in _BF16_OF_A_CPU)
    return "bf16" if native else "fp32"


def autocast(
    device: torch.device, name: Precision, *, cached: bool = True
) -> AbstractContextManager[object]:
    """Mixed precision for ``bf16``, nothing for ``fp32``.

    Args:
        device: Where the network runs.
        name: ``auto``, ``fp32`` or ``bf16``.
        cached: Whether converted weights are kept until the block ends. A CUDA graph must not
            find what was converted before it.
    """
    import torch

    if precision(name, device) == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=cached)


@contextlib.contextmanager
def exact_float32(device: torch.device, *, deterministic: bool = True) -> Iterator[None]:
    """Compute float32 in full on CUDA, where it would otherwise round inputs to 10 bits (TF32).

    The switches belong to the process, so one thread at a time is in such a block, and others wait
    for it: training holds it for one step or one validation, never for a whole epoch. Only torch's
    newer interface (``fp32_precision``) is used: it refuses to be mixed with the older one.

    Args:
        device: Where the network runs; elsewhere than on CUDA nothing changes.
        deterministic: Whether cuDNN takes only algorithms that give the same bits every time;
            training takes faster ones. It never tries them out by itself (``cudnn.benchmark``): on
            an H200 that took 32 s of the first epoch, for 3 % in those that followed.
    """
    import torch

    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    with CUDA_SWITCHES:
        rounding = cudnn.conv.fp32_precision, matmul.fp32_precision  # type: ignore[attr-defined]
        choice = cudnn.deterministic, cudnn.benchmark
        cudnn.conv.fp32_precision = matmul.fp32_precision = "ieee"  # type: ignore[attr-defined]
        cudnn.deterministic, cudnn.benchmark = deterministic, False
        try:
            yield
        finally:
            cudnn.conv.fp32_precision, matmul.fp32_precision = rounding  # type: ignore[attr-defined]
            cudnn.deterministic, cudnn.benchmark = choice


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Run the block with ``count`` threads in torch's operators."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def single_threads() -> ThreadPoolExecutor:
    """A pool of as many threads as torch uses now, in each of which its operators use one.

    torch keeps the number of threads of an operator per calling thread, so the caller's own number
    stays as it was.
    """
    import torch

    count = torch.get_num_threads()
    begun = threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # at this first call a new thread takes the process's number
        torch.set_num_threads(1)
        begun.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="network", initializer=begin)
    for _ in range(count):  # each call starts a thread, since the earlier ones wait
        pool.submit(threading.get_ident)
    begun.wait()
    torch.set_num_threads(count)  # for this thread and those that start later
    return pool


def free_memory() -> int:
    """Bytes of memory that this process may still take, of the machine's and its container's."""
    import psutil

    return int(min(psutil.virtual_memory().available, cgroups.free_memory()))


def keep_memory() -> None:
    """Keep glibc from giving every large block back to the kernel.

    Otherwise each step of a network on the CPU, and each decoded mask, is mapped and faulted in
    anew. Call it before large allocations; other C libraries are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_M_TOP_PAD, 256 * 2**20)
