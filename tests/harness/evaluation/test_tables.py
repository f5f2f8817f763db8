"""Frame tables of several runs as one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.evaluation import tables
from harness.evaluation.stored import CURRENT, SUMMARY, TABLE
from harness.runs.run import Run
from harness.runs.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def evaluated(workspace: Workspace, model: str, f1: float) -> Run:
    run = workspace.new_run(model, settings={}, versions={})
    folder = run.evaluation("val")
    folder.mkdir(parents=True)
    pd.DataFrame({"frame": ["C1/1"], "f1": [f1]}).to_parquet(folder / TABLE)
    return run


def test_tables_get_the_name_of_their_model(workspace: Workspace) -> None:
    runs = [evaluated(workspace, "unet", 0.5), evaluated(workspace, "fpn", 0.6)]
    table = tables.load(runs, "val")
    assert table.to_dict("list") == {
        "frame": ["C1/1", "C1/1"], "f1": [0.5, 0.6], "model": ["unet", "fpn"],
    }  # fmt: skip


def test_two_runs_of_a_model_get_their_own_names(workspace: Workspace) -> None:
    runs = [evaluated(workspace, "unet", 0.5), evaluated(workspace, "unet", 0.6)]
    assert tables.load(runs, "val")["model"].tolist() == [run.run for run in runs]


def test_a_run_without_an_evaluation(workspace: Workspace) -> None:
    run = workspace.new_run("unet", settings={}, versions={})
    assert tables.evaluated(workspace, [run], "val") == []
    with pytest.raises(ValueError, match="was not evaluated on the val split"):
        tables.load([run], "val")


def test_an_evaluation_counts_with_the_files_and_the_weights_of_its_row(
    workspace: Workspace,
) -> None:
    run = evaluated(workspace, "unet", 0.5)
    workspace.update_run(run.run, checkpoint="old")
    (run.evaluation("val") / SUMMARY).write_text('{"summary": {"polyp": 1}}')
    row = {"run": run.run, "model": "unet", "split": "val", "protocol": "paper", "frames": 1,
           "data": "d", "settings": CURRENT, "checkpoint": "old"}  # fmt: skip

    def found() -> list[str]:
        return [one.run for one in tables.evaluated(workspace, workspace.runs(), "val")]

    assert found() == []  # killed before it was registered
    workspace.enter_evaluation(**row, summary={"polyp": 2})
    assert found() == []  # another evaluation's files
    workspace.enter_evaluation(**row, summary={"polyp": 1})
    assert found() == [run.run]
    workspace.enter_evaluation(**row | {"settings": {"table": 1}}, summary={"polyp": 1})
    assert found() == []  # from before masks were read strictly
    workspace.enter_evaluation(**row, summary={"polyp": 1})
    workspace.update_run(run.run, checkpoint="trained on")
    assert found() == []


@pytest.fixture
def scored(workspace: Workspace) -> dict[str, object]:
    """A row of the register of a score whose frame table is there."""
    folder = workspace.root / "scores/unet-01234567/official"
    folder.mkdir(parents=True)
    (folder / "frames.csv").write_text(
        "frame,test_set,class,tp,fp,fn,tn,centre,latency_ms,hd95_px\n"
        "S/1,S,polyp,3,1,0,6,,,\nT/2,T,polyp,2,0,0,8,C1,2.5,1.5\n"
    )
    figures = {"f1": 6 / 7, "f2": 15 / 16, "ppv": 3 / 4, "recall": 1}
    return {
        "package": "a/unet.zip", "package_sha256": "0123456789", "protocol": "official", "n": 2,
        "score": (1 + sum(figures.values()) / 4) / 2,
    }  # fmt: skip


def test_tables_of_scored_packages(workspace: Workspace, scored: dict[str, object]) -> None:
    found, missing = tables.load_scored(
        workspace, {"us unet": scored, "fpn": {**scored, "package": "fpn.zip"}}
    )

    assert missing == ["fpn"]
    assert found["us unet"]["centre"].tolist() == ["", "C1"]
    assert found["us unet"]["latency_ms"].isna().tolist() == [True, False]
    assert found["us unet"]["hd95_px"].isna().tolist() == [True, False]


def test_a_score_that_is_undefined_is_the_tables(
    workspace: Workspace, scored: dict[str, object]
) -> None:
    file = workspace.root / "scores/unet-01234567/official/frames.csv"
    file.parent.with_name("strict").mkdir()
    text = file.read_text().replace("polyp,3,1,0,6", "polyp,0,0,0,10")
    (file.parent.with_name("strict") / file.name).write_text(text)
    strict = scored | {"protocol": "strict", "average": "sets"}

    found, missing = tables.load_scored(
        workspace, {"void": strict | {"score": None}, "other": strict}
    )

    assert (list(found), missing) == (["void"], ["other"])


@pytest.mark.parametrize("other", [{"score": 0.5}, {"n": 3}])
def test_the_table_of_another_truth_counts_as_missing(
    workspace: Workspace, scored: dict[str, object], other: dict[str, object]
) -> None:
    _, missing = tables.load_scored(workspace, {"unet": scored | other})
    assert missing == ["unet"]


def test_a_package_is_found_in_a_workspace_that_was_renamed(tmp_path: Path) -> None:
    row = {"round": "2", "package": "old/submissions/round-2/a.zip"}
    assert tables.with_package(tmp_path, row) == row
    package = tmp_path / "submissions" / "round-2" / "a.zip"
    package.parent.mkdir(parents=True)
    package.touch()
    assert tables.with_package(tmp_path, row)["package"] == str(package)
