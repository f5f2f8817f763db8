"""An option that a command could not honour is refused, not passed over without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.runs.workspace import Workspace

FUSION = ("tune", "divergentnets", "--split", "val", "--fusion", "weighted")
SCORE = ("score", "masks", "--truth", "truth")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data", "check", "frames", "--endocv", "other"), "not both"),
        (("data", "check", "frames", "--test", "a=other"), "not both"),
        (("evaluate", "--split", "test", "--table", "pranet", "--average", "frames"), "--average"),
        (("evaluate", "--split", "test", "--table", "frames", "--average", "sets"), "--average"),
        (("leaderboard", "--table", "ranks", "--sd", "sd_sets"), "leave out --sd"),
        ((*SCORE, "--table", "generalisation", "--average", "frames"), "leave out --average"),
        ((*SCORE, "--protocol", "pranet", "--team", "red"), "leave out --team"),
        (("train", "--resume", "unet-1", "--print-recipe"), "harness runs show RUN"),
        ((*FUSION, "--figure", "f1"), "--figure is of --steps"),
        ((*FUSION, "--only-certain"), "--only-certain is of --steps"),
        ((*FUSION, "--format", "json"), "--format is of --steps"),
        (("export", "fpn", "--format", "grand-challenge", "--overwrite"), "--format onnx"),
        (("predict", __file__, "--out", "masks", "--recursive"), "--recursive is for a folder"),
        (("demo", "--seed", str(2**32)), "4294967295"),
    ],
)
def test_it_is_wrong_usage(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, arguments)
    assert (result.exit_code, message in result.stderr) == (2, True), result.output


def test_the_format_of_the_list_is_not_that_of_a_subcommand(workspace: Workspace) -> None:
    of_it, run = ["--workspace", str(workspace.root)], workspace.runs()[0].run
    result = CliRunner().invoke(cli, ["runs", *of_it, "--format", "json", "show", run])
    assert (result.exit_code, result.stdout) == (2, "")
