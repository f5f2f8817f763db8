"""The recipe of a run."""

from __future__ import annotations

import json

import pytest

from harness.config.training import TrainConfig
from metrics.utils.errors import FaultsError


def test_the_defaults_are_the_papers_recipe() -> None:
    config = TrainConfig(model="unet++")

    assert config.encoder == "se_resnext50_32x4d"
    assert config.encoder_weights == "imagenet"
    assert (config.size, config.epochs, config.batch_size) == (256, 200, 8)
    assert (config.optimiser, config.learning_rate, config.drop_after) == ("adam", 1e-4, 50)
    assert (config.schedule, config.loss) == ("step", "single-channel-dice")
    assert (config.augmentation, config.ema_decay, config.precision) == ("paper", 0.0, "fp32")


def test_all_faults_are_said_at_once() -> None:
    values = {
        "epochs": 0, "size": 100, "batch_size": -1, "learning_rate": 0.0, "weight_decay": "2",
        "compile": "yes", "precision": "fp16", "nodes": ["unet"], "workers": -1, "epoch": 3,
    }  # fmt: skip
    with pytest.raises(FaultsError) as error:
        TrainConfig.from_dict({"model": "unet", **values}, path="mine.toml")

    assert sorted(fault.message for fault in error.value.faults) == [
        "batch_size: expected a whole number, 1 or more, got -1",
        "compile: expected true or false, got 'yes'",
        "epochs: expected a whole number, 1 or more, got 0",
        "learning_rate: expected a number above 0, got 0.0",
        'nodes: expected three names of models, such as ["unet", "fpn", "unet"], got [\'unet\']',
        "precision: expected auto, fp32 or bf16, got 'fp16'",
        "size: expected a multiple of 32, since the encoders halve it five times, got 100",
        "unknown key 'epoch'; did you mean 'epochs'?",
        "weight_decay: expected a number, 0 or more, got '2'",
        "workers: expected a whole number, 0 or more, got -1",
    ]
    assert {fault.path for fault in error.value.faults} == {"mine.toml"}


def test_settings_of_an_earlier_version_are_understood() -> None:
    settings = json.loads(
        '{"model": "unet", "average": 0.98, "nodes": [], "workers": null, "classes": '
        '{"names": ["polyp"], "values": [], "chosen": "polyp"}}'
    )
    assert TrainConfig.from_dict(settings) == TrainConfig(model="unet", ema_decay=0.98)
