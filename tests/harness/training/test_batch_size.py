from __future__ import annotations

import pytest
import torch

from harness.config.training import TrainConfig, resolve
from harness.training.batch_size import LARGEST, largest_batch
from metrics.utils.errors import UserError

GPU = torch.device("cuda")


@pytest.mark.parametrize(
    ("holds", "expected"), [(8, 8), (9, 8), (64, 64), (100, 64), (5, 4), (2, 2), (10**6, LARGEST)]
)
def test_the_largest_that_fits_is_found(holds: int, expected: int) -> None:
    def fits(config: TrainConfig, _device: torch.device) -> bool:
        return config.batch_size <= holds

    assert largest_batch(resolve("unet", "quick"), device=GPU, fits=fits) == expected


def test_nothing_fits() -> None:
    with pytest.raises(UserError, match="smaller --size"):
        largest_batch(resolve("unet", "quick"), device=GPU, fits=lambda _c, _d: False)


def test_a_cpu_keeps_its_recipe() -> None:
    config = resolve("unet", "quick", batch_size=24)
    assert largest_batch(config, device=torch.device("cpu")) == 24


def test_trying_tells_memory_from_other_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.training import batch_size

    config = resolve("unet", "demo", size=32, batch_size=2)
    assert batch_size._fits(config, torch.device("cpu"))

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(batch_size.Trainer, "step", full)
    assert not batch_size._fits(config, torch.device("cpu"))
