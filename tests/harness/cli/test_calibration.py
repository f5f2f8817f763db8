"""``evaluate --table calibration``, and what ``predict`` makes of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result

from harness.cli import cli, predict
from harness.data.synthetic.dataset import Synthetic, write_dataset
from harness.evaluation import risk as risk_module
from harness.inference.clean_up import CleanUp
from harness.inference.prediction import Inference
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.masks.classes import ONE


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    return write_dataset(tmp_path_factory.mktemp("drawn"), frames=60, height=64)


@pytest.fixture(scope="module")
def own(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("own") / "workspace"
    shutil.copytree(workspace.root, folder)
    return Workspace(folder)


def call(own: Workspace, *arguments: object) -> Result:
    line = [*map(str, arguments), "--workspace", str(own.root), "--device", "cpu"]
    return CliRunner().invoke(cli, line)


def test_calibration_is_fitted_on_validation_and_used_by_predict(
    own: Workspace, drawn: Synthetic, tmp_path: Path
) -> None:
    source, out = drawn.test_frames / "EndoCV_DATA1", tmp_path / "out"
    model = ("--model", "fpn")
    refused = call(own, "predict", source, "--out", out, *model, "--risk", "0.3")
    assert refused.exit_code == 1
    assert "harness evaluate --split val --table calibration" in refused.stderr
    maps = ("--probabilities", "--map-bits", "16")
    refused = call(own, "predict", source, "--out", out, *model, *maps, "--calibrated")
    assert refused.exit_code == 1
    assert "no temperature was fitted" in refused.stderr

    folders = ("--endocv", drawn.endocv, "--hyperkvasir", drawn.hyperkvasir)
    table = ("--table", "calibration", "--format", "json")
    result = call(own, "evaluate", "--split", "val", *folders, *model, *table)
    assert result.exit_code == 0, result.output
    figures, risks = (view["rows"] for view in json.loads(result.stdout))
    (run,) = (run for run in own.runs() if run.model == "fpn")
    kept = json.loads((run.folder / "calibration.json").read_text())
    temperature = figures[0]["temperature"]
    assert kept["temperature"] == temperature
    assert figures[0]["brier_t"] <= figures[0]["brier"]

    plain = call(own, "predict", source, "--out", tmp_path / "plain", *model, *maps)
    assert plain.exit_code == 0, plain.output
    risk = next(row for row in risks if row["risk"] == 0.2)
    result = call(
        own, "predict", source, "--out", out, *model, *maps, "--calibrated", "--risk", "0.2"
    )
    assert result.exit_code == 0, result.output
    assert f"polyp above {risk['threshold']:.4f}" in result.stderr
    name = pd.read_csv(out / "predictions.csv")["image"].str.replace(".jpg", ".png").iloc[0]
    said, calibrated = (
        cv2.imread(str(folder / "probabilities" / name), cv2.IMREAD_UNCHANGED) / 65535
        for folder in (tmp_path / "plain", out)
    )
    power = said ** (1 / temperature), (1 - said) ** (1 / temperature)
    assert calibrated == pytest.approx(power[0] / sum(power), abs=1e-3)
    assert (
        json.loads((out / "probabilities" / "maps.json").read_text())["temperature"] == temperature
    )
    masks = [cv2.imread(str(one / name), 0) > 0 for one in (tmp_path / "plain", out)]
    assert np.all(masks[1] >= masks[0]) == (risk["threshold"] <= 0.5)

    for words in (("--calibrated",), ("--risk", "0.2", "--threshold", "0.4")):
        assert call(own, "predict", source, "--out", out, *model, *words).exit_code == 2
    halves = call(own, "predict", source, "--out", out, *model, "--risk", "0.225")
    assert "expected to miss at most 22.5% of it" in halves.stderr
    few = call(own, "predict", source, "--out", out, *model, "--risk", "0.001")
    assert few.exit_code == 1
    assert "at least 999 sequences" in few.stderr


def test_risk_takes_a_tuned_run_and_drops_none_of_its_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(risk_module, "risk_threshold", lambda *_: (0.2, 9))
    tuned = {"threshold": 0.3, "tta": False, "clean_up": asdict(CleanUp(smallest=0.1, fill=True))}
    run = Run(
        run="fpn-tuned", model="fpn", status="finished", folder=tmp_path,
        settings={"tuned": tuned}, members={}, row={},
    )  # fmt: skip
    loaded: Any = SimpleNamespace(run=run, classes=ONE)

    how = predict._inference(
        Workspace(tmp_path), loaded, Inference(device=torch.device("cpu")), 0.1
    )

    assert (how.threshold, how.clean_up) == (0.2, CleanUp(fill=True))
    assert "no regions are dropped" in capsys.readouterr().err
