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
    assert "do not support dilated mode" in result.stderr


def test_the_encoders_are_listed() -> None:
    result = run("--encoders", "--format", "csv")

    assert "se_resnext50_32x4d,imagenet" in result.stdout.splitlines()


def test_an_unknown_encoder_is_refused() -> None:
    result = run("--encoder", "resnet19")

    assert result.exit_code == 1
    assert "did you mean resnet18" in result.output


def test_the_two_options_exclude_each_other() -> None:
    assert run("--encoder", "resnet18", "--encoders").exit_code == 2
