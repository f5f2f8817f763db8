"""Frame tables of several runs as one."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from harness.evaluation import tables
from harness.evaluation.evaluate_run import TABLE
from harness.runs.workspace import Run, Workspace


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
    assert tables.evaluated([run], "val") == []
    with pytest.raises(ValueError, match="was not evaluated on the val split"):
        tables.load([run], "val")


def test_tables_of_scored_packages(workspace: Workspace) -> None:
    score = {"package": "a/unet.zip", "package_sha256": "0123456789", "protocol": "official"}
    folder = workspace.root / "scores/unet-01234567/official"
    folder.mkdir(parents=True)
    (folder / "frames.csv").write_text("frame,centre,latency_ms\nS/1,,\nS/2,C1,2.5\n")

    found, missing = tables.load_scored(
        workspace, {"us unet": score, "fpn": {**score, "package": "fpn.zip"}}
    )

    assert missing == ["fpn"]
    assert found["us unet"]["centre"].tolist() == ["", "C1"]
    assert found["us unet"]["latency_ms"].isna().tolist() == [True, False]
