"""What is chosen for a device."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from harness.utils import device as devices
from metrics.utils.errors import UserError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"avx2": True}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_bf16": True}, "bf16"),
        ({"amx_bf16": True}, "bf16"),
    ],
)
def test_auto_is_bf16_where_the_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert devices.precision("auto", CPU) == expected
    with devices.autocast(CPU, "auto"):
        assert torch.is_autocast_enabled("cpu") == (expected == "bf16")


def test_a_torch_that_does_not_know_the_cpu_computes_in_fp32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert devices.precision("auto", CPU) == "fp32"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16")])
def test_auto_is_bf16_from_ampere_on(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    assert devices.precision("auto", CUDA) == expected


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_what_is_asked_for_is_done(name: devices.Precision) -> None:
    assert devices.precision(name, CPU) == name


def test_elsewhere_auto_is_fp32() -> None:
    assert devices.precision("auto", torch.device("mps")) == "fp32"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("ncclUnhandledCudaError: Cuda failure 2 'out of memory'"),
    ],
)
def test_full_memory_is_known_by_what_the_libraries_say(error: Exception) -> None:
    assert devices.is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("The size of tensor a (3) must match the size of tensor b (4)"),
        ValueError("out of memory"),
    ],
)
def test_other_errors_are_not_taken_for_full_memory(error: Exception) -> None:
    assert not devices.is_out_of_memory(error)
    assert not devices.is_perhaps_out_of_memory(error)


@pytest.mark.parametrize("status", ["CUDNN_STATUS_NOT_INITIALIZED", "CUBLAS_STATUS_INTERNAL_ERROR"])
def test_a_library_that_fails_for_several_reasons_is_no_proof_of_full_memory(status: str) -> None:
    error = RuntimeError(f"error: {status}")
    assert devices.is_perhaps_out_of_memory(error)
    assert not devices.is_out_of_memory(error)


@pytest.mark.parametrize(
    ("cores", "trainings", "expected"),
    [(16, 1, 8), (6, 1, 5), (16, 2, 7), (16, 4, 3), (16, 6, 1), (16, 32, 1), (1, 1, 1)],
)
def test_trainings_share_the_cores_for_their_workers(
    monkeypatch: pytest.MonkeyPatch, cores: int, trainings: int, expected: int
) -> None:
    monkeypatch.setattr("harness.utils.device.cores", lambda: cores)

    assert devices.workers(CUDA, trainings=trainings) == expected
    assert devices.workers(CPU, trainings=trainings) == 0


@pytest.mark.parametrize("usable", [True, False])
def test_a_gpu_that_torch_counts_but_cannot_use_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    """NVML counts GPUs whose driver is too old for torch's CUDA, too."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    assert devices.choose().type == ("cuda" if usable else "cpu")
    if usable:
        assert devices.choose("cuda:1") == torch.device("cuda", 1)
    else:
        with pytest.raises(UserError, match="no device 'cuda:1' here; expected one of cpu"):
            devices.choose("cuda:1")


def test_a_copy_to_mps_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would read a tensor that is freed meanwhile, in place of keeping it."""
    asked: dict[torch.device, bool] = {}

    def to(tensor: torch.Tensor, device: torch.device, *, non_blocking: bool) -> torch.Tensor:
        asked[device] = non_blocking
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    for device in (CPU, CUDA, torch.device("mps")):
        devices.moved(torch.zeros(1), device)

    assert [device.type for device, is_async in asked.items() if is_async] == ["cuda"]


def test_only_a_gpu_with_a_number_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", made.append)

    for name in ("cpu", "mps", "cuda", "cuda:1"):
        devices.make_current(torch.device(name))

    assert made == [torch.device("cuda:1")]


def switches() -> tuple[str, str, bool, bool]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark


def test_exact_float32_switches_tf32_off_and_on_again() -> None:
    before = switches()
    assert before[0] == "tf32"  # as torch has it

    with devices.exact_float32(CUDA):
        assert switches() == ("ieee", "ieee", True, False)
        with devices.exact_float32(CUDA):  # as an engine that is built within
            pass
        assert switches()[0] == "ieee"
    with devices.exact_float32(CUDA, deterministic=False):  # as training takes it
        assert switches() == ("ieee", "ieee", False, False)
    with pytest.raises(ZeroDivisionError), devices.exact_float32(CUDA):
        raise ZeroDivisionError
    with devices.exact_float32(CPU):
        assert switches() == before

    assert switches() == before
    assert torch.backends.cudnn.allow_tf32  # the older switch still answers
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_thread_waits_for_the_other_that_has_tf32_off() -> None:
    entered, leave = threading.Event(), threading.Event()
    seen: list[tuple[str, str, bool, bool]] = []
    before = switches()

    def first() -> None:
        with devices.exact_float32(CUDA):
            entered.set()
            leave.wait(10)

    def second() -> None:
        with devices.exact_float32(CUDA):
            seen.append(switches())

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first)
        entered.wait(10)
        two = pool.submit(second)
        assert seen == []
        leave.set()
        one.result(), two.result()

    assert seen == [("ieee", "ieee", True, False)]
    assert switches() == before
