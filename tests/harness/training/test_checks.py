"""What a recipe needs to be trained."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
import torch

import models
from harness.config.training import TrainConfig
from harness.data.loader import batches, order
from harness.runs.network import build
from harness.training.checks import batch_fault, check_batches, check_names, check_networks
from harness.training.distributed import SINGLE, ProcessGroup
from harness.training.queue import EnsembleStep
from metrics.utils.errors import FaultsError, UserError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def config(model: str = "unet", **values: Any) -> TrainConfig:
    recipe = {"encoder": "resnet18", "encoder_weights": "none", "size": 64, **values}
    return TrainConfig.from_dict({"model": model, **recipe})


def test_all_unknown_names_are_said_with_the_nearest() -> None:
    check_names(config(schedule="cosine", loss="dice+ce", optimiser="adamw", augmentation="light"))

    with pytest.raises(FaultsError) as error:
        check_names(config(schedule="cosin", loss="dice", optimiser="adan", augmentation="lite"))

    assert [fault.message for fault in error.value.faults] == [
        "unknown schedule 'cosin'; did you mean 'cosine'?",
        "unknown loss 'dice'; did you mean 'dice+ce'?",
        "unknown optimiser 'adan'; did you mean 'adam'?",
        "unknown augmentation 'lite'; did you mean 'light'?",
    ]


@pytest.mark.parametrize(
    ("values", "frames", "advice"),
    [
        ({"model": "deeplabv3", "batch_size": 1}, 9, "Take --batch-size 3."),  # 2, 2, 2, 2, 1 by 2
        ({"model": "deeplabv3+", "batch_size": 2}, 5, "Take --batch-size 3."),
        ({"model": "deeplabv3", "batch_size": 8}, 1, "Take more frames or another model."),
        ({"model": "unet", "size": 32, "batch_size": 2}, 5, "Take --batch-size 3."),
        ({"model": "deeplabv3", "batch_size": 2}, 4, ""),
        ({"model": "deeplabv3", "batch_size": 8}, 9, ""),  # 5 and 4
        ({"model": "unet", "batch_size": 1}, 5, ""),
        ({"model": "trinet", "nodes": ["unet", "fpn", "deeplabv3"], "batch_size": 1}, 2,
         "Take --batch-size 2."),
    ],
)  # fmt: skip
def test_batches_that_batch_norm_cannot_train_on_are_found(
    values: dict[str, Any], frames: int, advice: str
) -> None:
    fault = batch_fault(config(**values), frames, device=CPU, group=SINGLE)

    assert fault.endswith(advice)
    assert bool(fault) == bool(advice)
    if "batch-size" in advice:
        better = {**values, "batch_size": int(advice.removesuffix(".").split()[-1])}
        assert not batch_fault(config(**better), frames, device=CPU, group=SINGLE)
        smallest = min(map(len, batches(order(0, 0, frames), better["batch_size"])))
        assert smallest >= 2


@pytest.mark.parametrize(
    ("values", "fails"),
    [
        ({"model": "deeplabv3"}, True),
        ({"model": "deeplabv3+"}, True),
        ({"model": "unet", "size": 32}, True),
        ({"model": "unet", "encoder": "timm-skresnet18"}, True),
        ({"model": "trinet", "nodes": ["unet", "unet", "deeplabv3+"]}, True),
        ({"model": "unet"}, False),
        ({"model": "unet++"}, False),
        ({"model": "fpn"}, False),
    ],
)
def test_the_check_says_what_torch_says(values: dict[str, Any], fails: bool) -> None:
    recipe = config(**values)
    images = torch.zeros(1, 3, recipe.size, recipe.size)
    network = build(recipe).train()

    if fails:
        with pytest.raises(ValueError, match="Expected more than 1 value per channel"):
            network(images)
    else:
        network(images)
    assert bool(batch_fault(recipe, 1, device=CPU, group=SINGLE)) == fails


def test_processes_on_a_cpu_need_enough_in_each_share_and_on_gpus_in_all() -> None:
    two = ProcessGroup(world_size=2)
    recipe = config("deeplabv3", batch_size=3)

    assert "by 2 processes" in batch_fault(recipe, 6, device=CPU, group=two)
    assert batch_fault(recipe, 6, device=CUDA, group=two) == ""
    assert batch_fault(config(batch_size=1), 4, device=CUDA, group=two).endswith("--batch-size 2.")


def test_every_model_and_variant_is_checked_before_the_first_is_trained() -> None:
    frames = pd.DataFrame({"split": ["train"] * 5 + ["val"], "centre": "C1"})
    steps = [config("deeplabv3", batch_size=2), config("unet"), config("deeplabv3+", batch_size=2)]

    with pytest.raises(FaultsError) as error:
        check_batches([*steps, EnsembleStep()], frames, device=CPU, group=SINGLE)

    assert [fault.message.split()[0] for fault in error.value.faults] == ["deeplabv3", "deeplabv3+"]


def test_several_processes_train_no_network_with_a_teacher() -> None:
    taught = config(teacher="unet-20260726-101500")
    with pytest.raises(UserError, match="trains in one process"):
        check_batches([taught], pd.DataFrame(), device=CPU, group=ProcessGroup(world_size=2))


def test_networks_are_tried_at_their_output_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(models, "try_out", lambda _name, **how: tried.append(how["output_stride"]))
    check_networks([config("trinet", output_stride=16), config("trinet")])
    assert tried == [16, None]


def test_all_networks_that_do_not_take_their_encoder_are_said() -> None:
    pairs = [("deeplabv3", "vgg11"), ("unet", "vgg11"), ("unet++", "mit_b0")]
    with pytest.raises(FaultsError) as error:
        check_networks([config(model, encoder=encoder) for model, encoder in pairs])
    assert [fault.message.split(":")[0] for fault in error.value.faults] == [
        "deeplabv3 cannot be built on the encoder vgg11",
        "unet++ cannot be built on the encoder mit_b0",
    ]
