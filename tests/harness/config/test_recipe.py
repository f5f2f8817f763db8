"""Recipes from presets and from what a user changes in them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from harness.config.recipe import parse_settings, preset_names, read_preset, resolve, to_toml
from harness.config.training import TrainConfig
from metrics.masks.classes import Classes
from metrics.utils.errors import FaultsError, UserError

NODES = ("unet", "fpn", "deeplabv3")


def test_the_paper_preset_is_the_default_recipe_in_the_precision_of_the_device() -> None:
    expected = dataclasses.replace(TrainConfig(model="fpn"), precision="auto")
    assert resolve("fpn", "paper") == expected


@pytest.mark.parametrize("preset", ["demo", "paper", "quick", "strong"])
def test_a_recipe_survives_json_and_toml(preset: str, tmp_path: Path) -> None:
    config = resolve("trinet", preset, nodes=NODES, encoder_weights='a "file".pth', seed=7)
    file = tmp_path / "mine.toml"
    file.write_text(to_toml(config))

    assert preset in preset_names()
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert resolve("trinet", str(file)) == config
    assert config.preset == preset


def test_changes_win_and_none_leaves_the_preset() -> None:
    config = resolve("unet", "quick", epochs=3, seed=None)

    assert (config.epochs, config.seed, config.size) == (3, 0, 128)


def test_a_file_of_ones_own_is_named_in_the_run(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("epochs = 3\nlearning_rate = 1\n")

    config = resolve("unet", str(file))

    assert (config.preset, config.epochs, config.learning_rate) == ("mine", 3, 1.0)


def test_all_faults_of_a_file_are_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('epoch = 3\nsize = "big"\n')

    with pytest.raises(FaultsError) as error:
        resolve("unet", str(file), epochs=2)

    assert [str(fault) for fault in error.value.faults] == [
        f"{file}: size: expected a multiple of 32, since the encoders halve it five times, "
        "got 'big'",
        f"{file}: unknown key 'epoch'; did you mean 'epochs'?",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [("quik", "did you mean 'quick'"), ("x", "expected demo, paper, quick, strong")],
)
def test_an_unknown_preset_names_those_there_are(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_preset(name)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Is a directory"):
        read_preset(str(tmp_path))
    (tmp_path / "mine.toml").write_text("epochs: 3")
    with pytest.raises(UserError, match="is not TOML"):
        read_preset(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("name", ["model", "leave_out", "fold", "classes"])
def test_what_is_no_part_of_a_recipe_is_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'{name} = "C3"')
    with pytest.raises(FaultsError, match=f"{name} is no part of a recipe"):
        read_preset(str(file))
    with pytest.raises(FaultsError, match=f"{name} is no part of a recipe"):
        parse_settings([f"{name}=C3"])


def test_the_preset_is_not_changed_by_set() -> None:
    with pytest.raises(FaultsError, match="preset is no part of a recipe; it is set by --preset"):
        parse_settings(["preset=quick"])


def test_values_of_set_are_toml_or_text() -> None:
    pairs = ["epochs=3", "learning_rate = 1e-3", "compile=true", "loss=dice+ce", "encoder='a=b'"]
    assert parse_settings([*pairs, 'nodes=["unet", "fpn", "unet"]']) == {
        "epochs": 3,
        "learning_rate": 1e-3,
        "compile": True,
        "loss": "dice+ce",
        "encoder": "a=b",
        "nodes": ["unet", "fpn", "unet"],
    }
    with pytest.raises(FaultsError, match="expected key=value, got 'epochs'"):
        parse_settings(["epochs"])


def test_an_unknown_key_is_answered_by_those_that_may_be_set() -> None:
    with pytest.raises(FaultsError, match=r"unknown key 'x'; expected nodes, encoder, ") as error:
        resolve("unet", "demo", x=3)
    assert "teacher_weight" in str(error.value)
    assert not any(f" {name}," in str(error.value) for name in ("model", "preset", "fold", "init"))


def test_classes_are_kept() -> None:
    classes = Classes(names=("polyp", "tool"), values=(255, 128), chosen="tool")
    assert resolve("unet", "demo", classes=classes).classes == classes
