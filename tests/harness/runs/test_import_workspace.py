"""Two workspaces become one: everything is taken over once, and contradictions are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import click.testing
import pytest

from harness.cli.runs import command
from harness.runs.import_workspace import import_workspace
from harness.runs.lock import lock_run
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError
from submissions.database import Register, insert

NOTHING = {"runs": 0, "evaluations": 0, "submissions": 0, "scores": 0}
PACKAGE = Path("submissions/round-1/unet.zip")


def fill(workspace: Workspace, model: str, sha: str) -> Run:
    """A finished run with weights, an evaluation, a submission of it and the score of that."""
    run = workspace.new_run(model, settings={"model": model}, versions={}, seed=3)
    run.best.write_bytes(model.encode())
    workspace.finish_run(run.run)
    table = run.evaluation("val") / "frames.parquet"
    table.parent.mkdir(parents=True)
    table.write_text(f"counts of {model}")
    workspace.enter_evaluation(
        run=run.run, model=model, split="val", protocol="paper", frames=2, score=0.5, checkpoint="",
        data="", settings={}, summary={"ms": 1.5},
    )  # fmt: skip
    package = workspace.root / PACKAGE.with_stem(model)
    package.parent.mkdir(parents=True, exist_ok=True)
    package.write_text(sha)
    with Register(workspace.root).write() as connection:
        number = insert(connection, "submissions", {
            "round": "1", "day": "2026-07-26", "created": f"2026-07-26T10:00:00 {model}",
            "model": model, "run": run.run, "package": str(package), "package_sha256": sha,
            "checkpoint_sha256": "", "frames": 2, "settings": {},
        })  # fmt: skip
        insert(connection, "scores", {
            "submission": number, "round": "1", "team": "", "model": model, "created": "2026",
            "package": str(package), "package_sha256": sha, "protocol": "official",
            "truth_sha256": "t", "test_set": "all", "n": 2, "score": 0.25, "settings": {},
        })  # fmt: skip
    folder = workspace.score_folder(package, sha, "official")
    folder.mkdir(parents=True)
    (folder / "frames.parquet").write_text(f"scores of {model}")
    return workspace.run(run.run)


@pytest.fixture
def ours(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "ours")
    fill(workspace, "unet", "aaaaaaaaaa")
    return workspace


@pytest.fixture
def theirs(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path / "theirs")
    fill(workspace, "fpn", "bbbbbbbbbb")
    return workspace


def files(root: Path) -> dict[str, bytes]:
    """The contents of a workspace's files, but for the register."""
    found = (path for path in root.rglob("*") if path.is_file() and path.parent != root)
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def test_everything_is_taken_over_once(ours: Workspace, theirs: Workspace) -> None:
    before = files(theirs.root)

    assert import_workspace(ours, theirs.root) == dict.fromkeys(NOTHING, 1)

    assert files(theirs.root) == before
    (fpn,) = (run for run in ours.runs() if run.model == "fpn")
    assert fpn.row == theirs.runs()[0].row
    assert fpn.best.read_bytes() == b"fpn"
    assert (fpn.evaluation("val") / "frames.parquet").read_text() == "counts of fpn"
    assert set(ours.evaluations()["run"]) == {run.run for run in ours.runs()}
    with Register(ours.root).read() as connection:
        joined = connection.execute(
            "SELECT s.package, c.package, s.number, c.model FROM scores AS c"
            " JOIN submissions AS s ON c.submission = s.number ORDER BY s.number"
        ).fetchall()
    package = ours.root / PACKAGE.with_stem("fpn")
    assert [tuple(row) for row in joined][1] == (str(package), str(package), 2, "fpn")
    assert package.read_text() == "bbbbbbbbbb"
    assert (ours.score_folder(package, "bbbbbbbbbb", "official") / "frames.parquet").exists()

    whole = files(ours.root)
    assert import_workspace(ours, theirs.root) == NOTHING
    assert files(ours.root) == whole


def test_a_workspace_is_taken_into_a_new_one(tmp_path: Path, theirs: Workspace) -> None:
    new = Workspace(tmp_path / "new")
    assert import_workspace(new, theirs.root) == dict.fromkeys(NOTHING, 1)
    assert [run.run for run in new.runs()] == [run.run for run in theirs.runs()]


def test_an_import_that_was_killed_is_repeated(ours: Workspace, theirs: Workspace) -> None:
    (run,) = theirs.runs()
    shutil.copytree(run.folder, ours.root / "runs" / run.run)  # copied, and not yet entered
    assert import_workspace(ours, theirs.root)["runs"] == 1


def test_what_contradicts_is_named_and_nothing_is_written(
    ours: Workspace, theirs: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_workspace(ours, theirs.root)
    (run,) = theirs.runs()
    fill(theirs, "unet++", "cccccccccc")
    theirs.update_run(run.run, best_iou=0.75)
    run.best.write_bytes(b"weights that were trained on")
    with Register(theirs.root).write() as connection:
        connection.execute("UPDATE scores SET score = 0.5 WHERE package_sha256 = 'bbbbbbbbbb'")
        connection.execute("UPDATE evaluations SET score = 0.25 WHERE run = ?", [run.run])
    before = files(ours.root)
    monkeypatch.chdir(tmp_path)

    result = click.testing.CliRunner().invoke(command, ["--workspace", "ours", "import", "theirs"])

    assert result.exit_code == 1
    for named in (f"run {run.run}: other best_iou", "best.safetensors", "run.json",
                  f"evaluation {run.run} val paper: other score", "score bbbbbbbbbb"):  # fmt: skip
        assert named in result.output
    assert "unet++" not in result.output
    assert files(ours.root) == before


def test_what_is_no_other_workspace_is_refused(ours: Workspace, theirs: Workspace) -> None:
    with pytest.raises(UserError, match="no workspace"):
        import_workspace(ours, ours.root / "runs")
    with pytest.raises(UserError, match="would be written to"):
        import_workspace(ours, ours.root)
    theirs.update_run(theirs.runs()[0].run, status="running")
    with lock_run(theirs.runs()[0]), pytest.raises(UserError, match="is being trained"):
        import_workspace(ours, theirs.root)
