"""``harness runs`` and its subcommands."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.inference.clean_up import CleanUp
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


def test_what_is_left_of_a_removed_folder_is_named(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Workspace(tmp_path / "own")
    shutil.copytree(workspace.root, own.root)
    run = own.runs()[0]
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as of another user's files
    line = ["runs", "--workspace", str(own.root), "rm", "--yes", run.run]

    result = CliRunner().invoke(cli, line)

    assert result.exit_code == 0
    assert f"{run.folder} cannot be deleted whole" in " ".join(result.stderr.split())


def test_the_option_after_the_subcommand_wins(workspace: Workspace) -> None:
    line = ["runs", "--workspace", "nowhere", "show", workspace.runs()[0].run]

    assert CliRunner().invoke(cli, line).exit_code == 1
    assert CliRunner().invoke(cli, [*line, "--workspace", str(workspace.root)]).exit_code == 0


def test_a_command_to_go_on_with_has_the_settings_that_were_given(tmp_path: Path) -> None:
    folder = str(tmp_path / "of mine")
    frames = ["--train", folder, "--test", "a=A", "--test", "b=B"]

    listed = CliRunner().invoke(cli, ["runs", "--workspace", folder])
    synced = CliRunner().invoke(cli, ["runs", "--workspace", folder, "sync"])
    report = CliRunner().invoke(cli, ["report", "--workspace", folder, *frames, "--split", "val"])
    plain = CliRunner().invoke(cli, ["runs"], env={"HARNESS_WORKSPACE": folder})

    assert f"'harness train --workspace '{folder}''" in listed.stderr
    assert f"'harness train --workspace '{folder}''" in synced.stderr
    of_frames = f"--train '{folder}' --test a=A --test b=B --workspace '{folder}'"
    assert f"'harness train {of_frames}'" in report.stderr
    assert "Train with 'harness train'." in plain.stderr


def test_seeds_are_whole_numbers_beside_a_run_without_one(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.new_run("fpn", settings={}, versions={}, seed=3)
    workspace.new_run("fpn", settings={}, versions={})
    rows = ["runs", "--format", "csv", "--workspace", str(tmp_path)]
    lines = CliRunner().invoke(cli, rows).stdout.splitlines()
    column = lines[0].split(",").index("seed")
    assert sorted(line.split(",")[column] for line in lines[1:]) == ["", "3"]


def test_folds_and_left_out_centres_are_told_apart(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    plain = workspace.new_run("fpn", settings={}, versions={})
    rows = ["runs", "--workspace", str(tmp_path)]
    assert "Splits" not in CliRunner().invoke(cli, rows).stdout

    workspace.new_run("fpn", settings={"fold": "2/5"}, versions={})
    without = {"members": {name: {"leave_out": "C3"} for name in ("fpn", "unet")}}
    members = {"fpn": plain.run, "unet": plain.run}
    workspace.new_run("divergentnets", settings=without, members=members, versions={})
    lines = CliRunner().invoke(cli, rows).stdout.splitlines()

    shown = {words[0]: line for line in lines if (words := line.split())}
    assert shown[plain.run].rstrip().endswith("-")
    assert [line for line in lines if line.rstrip().endswith("fold 2/5")]
    assert [line for line in lines if line.rstrip().endswith("without C3")]


def test_a_tuned_run_shows_what_was_chosen(tmp_path: Path) -> None:
    tuned = {
        "run": "unet-1", "split": "val", "threshold": 0.35, "tta": True,
        "clean_up": asdict(CleanUp(fill=True)),
    }  # fmt: skip
    made = Workspace(tmp_path).new_run(
        "unet", settings={"members": {"unet": {}}, "tuned": tuned}, members={"unet": "unet-1"},
        versions={}, encoder_weights={},
    )  # fmt: skip

    shown = CliRunner().invoke(cli, ["runs", "show", made.run, "--workspace", str(tmp_path)])

    assert shown.exit_code == 0, shown.output
    for line in ("tuned: unet-1, on val", "threshold: 0.35", "clean-up: fill holes"):
        assert line in shown.stdout
