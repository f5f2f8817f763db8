"""A fusion finds the member that is right, and begins as the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.evaluation.tuning import fit_fusion
from harness.evaluation.tuning.fit_fusion import Part, fit
from harness.evaluation.tuning.member_maps import Truths
from harness.inference.engine import Engine
from metrics.masks.classes import Classes
from models import ModelError, fusion
from models.divergentnets import DivergentNets


@pytest.mark.parametrize("kind", fusion.FUSIONS)
def test_a_fusion_begins_as_the_mean_of_the_members(kind: str) -> None:
    maps = torch.rand(2, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0)).softmax(2)

    fused = fusion.create(kind, members=3, classes=2)(maps)

    assert torch.allclose(fused, maps.mean(1), atol=1e-5)


@pytest.mark.parametrize("kind", fusion.FUSIONS)
def test_a_fusion_learns_whom_to_trust_and_does_so_alike_each_time(
    kind: str,
    masks: NDArray[np.bool_],
    truths: Truths,
    maps_of: Callable[..., dict[str, NDArray[np.float32]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit_fusion, "OPTIMISER_STEPS", 60)
    maps = maps_of(wrong=(0.0, 1.0), right=(0.8, 0.1))
    part = Part(maps=[maps["wrong"], maps["right"]], truths=truths)

    fitted, again = fit(kind, [part]), fit(kind, [part])

    weights = fitted.state_dict()
    assert all(torch.equal(weights[key], one) for key, one in again.state_dict().items())
    both = torch.from_numpy(np.stack([part.maps[0], part.maps[1]], axis=1))
    with torch.inference_mode():
        fused = fitted(torch.cat([1 - both, both], dim=2))[:, 1] > 0.5
    assert (fused.numpy() == masks).mean() > 0.95
    assert ((both.mean(1)[:, 0] > 0.5).numpy() == masks).mean() < 0.9  # which the mean does not


@pytest.mark.parametrize("kind", fusion.FUSIONS)
def test_a_fusion_of_several_classes_learns_from_all_of_them(
    kind: str, masks: NDArray[np.bool_], truths: Truths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit_fusion, "OPTIMISER_STEPS", 60)
    classes = Classes.from_table({"polyp": 255, "instrument": 128})
    drawn = np.stack([masks, np.roll(masks, 8, axis=1) & ~masks], axis=1)  # (N, 2, S, S)
    several = replace(truths, masks=[np.packbits(one) for one in drawn], classes=classes)
    right = np.where(drawn, np.float32(0.8), np.float32(0.05))
    part = Part(maps=[right[:, ::-1].copy(), right], truths=several)

    fitted = fit(kind, [part])

    both = torch.from_numpy(np.stack(part.maps, axis=1))
    with torch.inference_mode():
        fused = fitted(torch.cat([1 - both.sum(dim=2, keepdim=True), both], dim=2)).argmax(dim=1)
    labels = drawn[:, 0] + 2 * drawn[:, 1]
    assert (fused.numpy() == labels).mean() > 0.95
    assert (both.mean(dim=1)[:, 1] > both.mean(dim=1)[:, 0]).sum() == 0  # the mean's are equal


def test_the_engine_fuses_as_the_network_does_whatever_the_batch() -> None:
    torch.manual_seed(0)
    members = {"a": torch.nn.Conv2d(3, 2, 1), "b": torch.nn.Conv2d(3, 2, 1)}
    learned = fusion.create("network", members=2, classes=2)
    torch.nn.init.normal_(learned.layers[-1].weight)  # type: ignore[index, union-attr, arg-type]
    network = DivergentNets(members, fusion=learned).eval()
    engine = Engine(network, device=torch.device("cpu"), precision="fp32", batch_size=3)
    images = torch.rand(3, 3, 64, 64) * 255

    fused = engine(images)

    with torch.inference_mode():
        assert torch.allclose(fused, network(images), atol=1e-5)
    assert torch.equal(engine(images[1:2]), fused[1:2])


def test_an_unknown_fusion_is_refused() -> None:
    with pytest.raises(ModelError, match="did you mean 'weighted'"):
        fusion.create("weights", members=2, classes=2)
