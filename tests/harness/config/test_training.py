"""The recipe of a run."""

from __future__ import annotations

import json

import pytest

from harness.config.training import PRESETS, TrainConfig, resolve
from metrics.utils.errors import FaultsError, UserError


def test_the_paper_preset_is_the_papers_recipe() -> None:
    config = resolve("unet++", "paper")

    assert config.encoder == "se_resnext50_32x4d"
    assert config.encoder_weights == "imagenet"
    assert (config.size, config.epochs, config.batch_size) == (256, 200, 8)
    assert (config.optimiser, config.learning_rate, config.drop_after) == ("adam", 1e-4, 50)
    assert (config.schedule, config.loss) == ("step", "single-channel-dice")
    assert (config.augmentation, config.average) == ("paper", 0.0)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_recipe_survives_json(preset: str) -> None:
    config = resolve("trinet", preset, nodes=("unet", "fpn", "deeplabv3"))

    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_overrides_win_and_none_leaves_the_preset() -> None:
    config = resolve("unet", "quick", epochs=3, seed=None)

    assert (config.epochs, config.seed, config.size) == (3, 0, 64)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(FaultsError) as error:
        TrainConfig(model="unet", epochs=0, size=100, batch_size=-1, learning_rate=0.0)

    assert {fault.path for fault in error.value.faults} == {
        "--epochs",
        "--size",
        "--batch-size",
        "--learning-rate",
    }


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="paper, quick"):
        resolve("unet", "fast")


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'epochs'"):
        TrainConfig.from_dict({"model": "unet", "epoch": 3})
