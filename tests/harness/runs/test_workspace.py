"""The register of runs and evaluations."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError

COLUMNS = {"settings": {"epochs": 2}, "versions": {"python": "3"}, "seed": 7}


def test_a_run_is_found_again_with_its_settings(tmp_path: Path) -> None:
    run = Workspace(tmp_path).new_run("unet++", **COLUMNS)

    again = Workspace(tmp_path).run(run.run)

    assert again.settings == {"epochs": 2}
    assert again.status == "running"
    assert again.folder.is_dir()
    assert again.members == {}


def test_runs_started_in_the_same_second_have_names_of_their_own(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: workspace.new_run("unet", **COLUMNS).run, range(16)))

    assert len(set(runs)) == 16
    assert {run.run for run in workspace.runs()} == set(runs)


def test_the_newest_finished_run_of_a_model_is_taken(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    first = workspace.new_run("unet", **COLUMNS)
    second = workspace.new_run("unet", **COLUMNS)
    third = workspace.new_run("unet", **COLUMNS)
    workspace.finish_run(first.run)
    workspace.finish_run(second.run)
    workspace.finish_run(third.run, "failed")

    newest = workspace.newest("unet")

    assert newest is not None
    assert newest.run == second.run
    assert workspace.newest("fpn") is None


def test_an_evaluation_replaces_the_one_before(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    row = {
        "run": "r",
        "model": "unet",
        "split": "val",
        "protocol": "official",
        "frames": 3,
        "settings": {},
        "summary": {},
    }
    workspace.enter_evaluation(**row, score=0.1)
    workspace.enter_evaluation(**row, score=0.2)
    workspace.enter_evaluation(**{**row, "split": "test"}, score=0.3)

    assert list(workspace.evaluations("val")["score"]) == [0.2]
    assert len(workspace.evaluations()) == 2


def test_an_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run

    with pytest.raises(UserError, match=f"Nearest: {run}"):
        workspace.run(run[:-1])


def test_a_removed_run_is_forgotten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run

    workspace.remove_run(run)

    assert workspace.runs() == []


def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run

    with pytest.raises(RuntimeError), workspace.connect() as register:  # noqa: PT012
        register.execute("DELETE FROM runs")
        raise RuntimeError

    assert workspace.run(run).run == run


def test_a_register_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "register.sqlite").write_bytes(b"no database at all, and long enough to tell")

    with pytest.raises(UserError, match="cannot use the register"):
        Workspace(tmp_path)


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match="cannot write"):
        Workspace(tmp_path / "file")


def test_the_register_is_in_wal_mode(tmp_path: Path) -> None:
    register = sqlite3.connect(Workspace(tmp_path).register)
    mode = register.execute("PRAGMA journal_mode").fetchone()[0]
    register.close()

    assert mode == "wal"
