"""``harness runs`` and its subcommands."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.runs.workspace import Workspace


@pytest.mark.parametrize("before", [True, False])
def test_the_workspace_stands_before_a_subcommand_or_after_it(
    workspace: Workspace, before: bool
) -> None:
    run = workspace.runs()[0].run
    of_it = ["--workspace", str(workspace.root)]
    show = ["show", run, "--format", "json"]

    result = CliRunner().invoke(cli, ["runs", *(of_it + show if before else show + of_it)])

    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["run"] == run


def test_a_no_removes_nothing_and_is_no_interruption(workspace: Workspace) -> None:
    run = workspace.runs()[0].run
    removal = ["runs", "--workspace", str(workspace.root), "rm", run]
    result = CliRunner().invoke(cli, removal, input="n\n")
    assert result.exit_code == 1
    assert "nothing was removed" in result.stderr
    assert workspace.run(run).folder.is_dir()


def test_the_option_after_the_subcommand_wins(workspace: Workspace) -> None:
    line = ["runs", "--workspace", "nowhere", "show", workspace.runs()[0].run]

    assert CliRunner().invoke(cli, line).exit_code == 1
    assert CliRunner().invoke(cli, [*line, "--workspace", str(workspace.root)]).exit_code == 0
