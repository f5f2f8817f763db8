"""Turns on a device, here a CPU; those on a GPU are covered by tests/gpu."""

from __future__ import annotations

import torch

from harness.inference.turns import Turns


def test_tensors_become_arrays_of_their_own_dtype() -> None:
    tensors = [torch.rand(2, 3), torch.tensor([[True, False]]), torch.zeros(2, 0, 4)]

    arrays, others = Turns(torch.device("cpu")).take(lambda: tensors)

    assert others == 0
    for tensor, array in zip(tensors, arrays, strict=True):
        assert torch.equal(torch.from_numpy(array), tensor)
