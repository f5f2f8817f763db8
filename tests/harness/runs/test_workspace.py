"""The register of runs and evaluations."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.runs.run import write_run_json
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError, write_json
from submissions.database import Register

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


KILLED = """
import os, sys
from pathlib import Path
from harness.runs.workspace import Workspace
def write(folder):
    (folder / "best.safetensors").write_bytes(b"half")
    os.kill(os.getpid(), 9)
Workspace(Path(sys.argv[1])).new_finished_run("unet", write, settings={}, versions={})
"""


def test_a_run_is_finished_once_its_files_are_there(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)

    def write(folder: Path) -> dict[str, str]:
        (folder / "best.safetensors").write_bytes(b"whole")
        assert workspace.runs() == []
        return {"checkpoint": "digest"}

    def full(folder: Path) -> dict[str, str]:
        (folder / "best.safetensors").write_bytes(b"half")
        raise OSError("disk full")

    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    with pytest.raises(OSError, match="disk full"):
        workspace.new_finished_run("unet", full, **COLUMNS)
    run = workspace.new_finished_run("unet", write, **COLUMNS)

    assert [one.run for one in workspace.runs()] == [run.run]
    assert (run.status, run.row["checkpoint"]) == ("finished", "digest")
    assert run.row["finished"] is not None
    assert len(list((tmp_path / "runs").iterdir())) == 2  # the killed process's folder is left


def test_an_evaluation_replaces_the_one_before(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run
    row = {
        "run": run,
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

    workspace.remove_run(run)  # while an evaluation of it is at work
    with pytest.raises(UserError, match=f"{run} was removed meanwhile"):
        workspace.enter_evaluation(**row, score=0.4)
    assert workspace.evaluations().empty


def test_an_unknown_run_names_the_nearest(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run

    with pytest.raises(UserError, match=f"Nearest: {run}"):
        workspace.run(run[:-1])
    with pytest.raises(UserError, match=f"Nearest: {run}"):
        workspace.run("unet")


def test_a_removed_run_is_forgotten(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS).run

    workspace.remove_run(run)

    assert workspace.runs() == []


def test_nothing_is_made_before_something_is_written(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")

    assert workspace.runs() == []
    assert workspace.evaluations().empty
    assert "score" in workspace.evaluations()
    assert not workspace.root.exists()


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    workspace = Workspace(tmp_path / "file")

    with pytest.raises(UserError, match="cannot write"):
        workspace.check_writable()
    with pytest.raises(UserError, match="Not a directory"):
        workspace.runs()


def test_a_score_lies_under_its_package_and_protocol(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    package, sha256 = "round/unet.zip", "0123456789abcdef"

    inside = workspace.score_folder(package, sha256, "official")
    elsewhere = workspace.score_folder(package, sha256, "strict", top=Path("out"))

    assert inside == tmp_path / "scores" / "unet-01234567" / "official"
    assert elsewhere == Path("out/unet-01234567/strict")


def test_what_a_job_wrote_in_its_folder_is_entered(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS)
    other = workspace.new_run("fpn", **COLUMNS)

    write_run_json(run, status="finished", best_iou=0.5, settings={"epochs": 3}, note="kept")

    assert workspace.run(run.run).status == "running"  # a job writes no register
    assert [one.run for one in workspace.sync()] == [run.run]
    entered = workspace.run(run.run)
    assert (entered.status, entered.row["best_iou"], entered.row["seed"]) == ("finished", 0.5, 7)
    assert entered.settings == run.reread().settings == {"epochs": 3}
    assert workspace.run(other.run).row == other.row
    assert workspace.sync() == []


def test_a_lost_register_is_made_again_from_the_folders(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    lost = [workspace.new_run(model, **COLUMNS).run for model in ("unet", "fpn")]
    rows = [workspace.run(run).row for run in lost]
    for file in tmp_path.glob("register.sqlite*"):
        file.unlink()

    assert sorted(run.run for run in workspace.sync()) == sorted(lost)
    assert [workspace.run(run).row for run in lost] == rows


def test_a_description_by_an_earlier_version_changes_no_row(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS)
    written_once = {**run.row, "status": "finished"}  # and the run was lengthened afterwards
    write_json(run.folder / "run.json", written_once)

    assert workspace.sync() == []
    assert workspace.run(run.run).status == "running"
    assert run.reread() is run


def test_a_removed_run_does_not_come_back(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS)

    workspace.remove_run(run.run)

    assert workspace.sync() == []


def test_a_description_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS)
    (run.folder / "run.json").write_text("{")

    with pytest.raises(UserError, match=r"run\.json cannot be read"):
        workspace.sync()


def test_a_run_that_cannot_be_forgotten_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path)
    run = workspace.new_run("unet", **COLUMNS)
    before = (run.folder / "run.json").read_bytes()

    def fill(_register: Register) -> None:
        raise UnwritableError("the disk is full")

    monkeypatch.setattr(Register, "write", fill)
    with pytest.raises(UnwritableError):
        workspace.remove_run(run.run)
    assert (run.folder / "run.json").read_bytes() == before
    line = ["runs", "--workspace", str(tmp_path), "rm", "--yes", run.run]
    assert f"delete {run.folder} yourself" in CliRunner().invoke(cli, line).stderr
    monkeypatch.undo()
    shutil.rmtree(run.folder)
    assert CliRunner().invoke(cli, line).exit_code == 0
    assert workspace.runs() == []


def test_a_name_that_is_no_text_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run"):
        Workspace(tmp_path).run("\udcff")
