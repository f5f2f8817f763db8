from __future__ import annotations

from pathlib import Path

import click
import click.testing
import pytest

from harness.cli import cli
from harness.cli.options import device_option, format_option, setting_option, with_settings
from harness.config.settings import Settings


def run(command: click.Command, *arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, list(arguments), catch_exceptions=False)


def test_flags_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_HYPERKVASIR", str(tmp_path / "env"))
    seen = []

    @click.command()
    @with_settings("endocv", "hyperkvasir", "test_frames", "workspace")
    @click.option("--other", type=int)
    def command(settings: Settings, other: int) -> None:
        seen.append((settings, other))

    assert run(command, "--endocv", "data", "--other", "3").exit_code == 0
    expected = Settings(
        endocv=tmp_path / "data", hyperkvasir=tmp_path / "env", workspace=tmp_path / "workspace"
    )
    assert seen == [(expected, 3)]


def test_only_the_settings_named_are_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness.toml").write_text('endocv = "data"\n')

    @click.command()
    @with_settings("workspace", "splits")
    def command(settings: Settings) -> None:
        click.echo(f"{settings.endocv} {settings.splits}")

    assert run(command, "--splits", "s.toml").stdout == f"{tmp_path}/data {tmp_path}/s.toml\n"
    assert run(command, "--endocv", "x").exit_code == 2
    help_text = run(command, "--help").stdout
    assert help_text.index("--workspace") < help_text.index("--splits")
    assert "HARNESS_WORKSPACE" in help_text


def test_formats_and_devices() -> None:
    @click.command()
    @format_option("table", "json")
    @device_option()
    @setting_option("rounds", env=False)
    def command(format_: str, device: str, rounds: Path | None) -> None:
        click.echo(f"{format_} {device} {rounds}")

    assert run(command).stdout == "table auto None\n"
    assert run(command, "--format", "json", "--device", "cpu").stdout == "json cpu None\n"
    assert run(command, "--format", "csv").exit_code == 2


@pytest.mark.parametrize("name", ["data", "runs"])
def test_the_help_of_a_group_cuts_no_subcommand_short(name: str) -> None:
    text = run(cli, name, "--help").stdout
    listed = text.partition("Commands:")[2].partition("Examples:")[0]
    assert len(listed.split("\n")) > 3
    assert "..." not in listed


@pytest.mark.parametrize(
    ("command", "example"),
    [("data cache", "harness data cache --size 256"), ("runs sync", "harness runs sync")],
)
def test_a_subcommand_ends_in_its_own_examples_alone(command: str, example: str) -> None:
    text = run(cli, *command.split(), "--help").stdout
    assert text.partition("Examples:")[2].split("\n")[1:] == [f"    {example}", ""]


def test_a_help_has_its_options_under_headings_and_the_settings_last() -> None:
    text = run(cli, "train", "--help").stdout
    headings = [line for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        "Options:",
        "The recipe:",
        "How it runs:",
        "Settings, by default those of harness.toml:",
    ]
    for heading, option in zip(
        headings, ["--model", "--preset", "--device", "--endocv"], strict=True
    ):
        assert text.partition(heading)[2].split()[0] == option


def test_numbers_of_a_help_are_short_and_the_range_of_seeds_is_left_out() -> None:
    text = run(cli, "compare", "--help").stdout
    assert "--resamples N" in text
    assert "INTEGER" not in text
    assert "[default: 0]" in " ".join(text.split())
    assert "4294967295" not in text
    assert run(cli, "compare", "a", "b", "--seed", "-1").exit_code == 2
