"""What is chosen for a device."""

from __future__ import annotations

import pytest
import torch

from harness.utils import device as devices

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
