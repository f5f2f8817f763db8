"""An evaluation's masks, table and summary take their place together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from harness.evaluation import evaluate_run as evaluations
from harness.evaluation.evaluate_run import cached_table, evaluate_run, evaluation_settings
from harness.inference.prediction import Inference
from harness.runs.network import Loaded
from harness.runs.run import MASKS, Run
from harness.runs.workspace import Workspace
from metrics.masks.classes import ONE

INFERENCE = Inference(device=torch.device("cpu"), batch_size=1)


class Columns(nn.Module):
    """Says that the first columns of every image are polyp."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, images: Tensor) -> Tensor:
        polyp = torch.zeros(len(images), 1, *images.shape[2:])
        polyp[..., : self.columns] = 1.0
        return torch.cat([1 - polyp, polyp], dim=1)


@pytest.fixture
def frames(tmp_path: Path) -> pd.DataFrame:
    """Three frames whose left half is polyp."""
    mask = np.zeros((32, 32), np.uint8)
    mask[:, :16] = 255
    rows = []
    for name in ("a", "b", "c"):
        image, truth = (tmp_path / f"{name}{end}.png" for end in ("", "_mask"))
        cv2.imwrite(str(image), np.zeros((32, 32, 3), np.uint8))
        cv2.imwrite(str(truth), mask)
        rows.append({
            **dict.fromkeys(("centre", "sequence", "test_set"), ""),
            "frame": name, "dataset": "d", "split": "val", "height": 32, "width": 32,
            "image": str(image), "mask": str(truth), "truth": "mask",
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def run(workspace: Workspace) -> Run:
    return workspace.new_run("columns", settings={}, versions={})


@pytest.fixture
def evaluate(
    workspace: Workspace, run: Run, frames: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pd.DataFrame]:
    """Evaluates the run with a network that takes the first columns for polyp."""

    def made(columns: int, **options: Any) -> pd.DataFrame:
        loaded = Loaded(run=run, network=Columns(columns), size=32, classes=ONE)
        monkeypatch.setattr(evaluations, "load", lambda _: loaded)
        tables = evaluate_run(workspace, run, frames, "val", inference=INFERENCE, **options)
        return tables[run.run]

    return made


def cached(workspace: Workspace, run: Run, frames: pd.DataFrame) -> pd.DataFrame | None:
    settings = evaluation_settings(INFERENCE.settings)
    return cached_table(workspace, run, frames, "val", settings)


def polyp_columns(run: Run) -> list[int]:
    """How many columns of each kept mask are polyp."""
    masks = [
        cv2.imread(str(path), 0) for path in sorted((run.evaluation("val") / MASKS).glob("*.png"))
    ]
    return [int((mask[0] > 0).sum()) for mask in masks]


def test_an_evaluation_is_found_again(
    workspace: Workspace, run: Run, frames: pd.DataFrame, evaluate: Callable[..., pd.DataFrame]
) -> None:
    assert cached(workspace, run, frames) is None
    table = evaluate(8)

    pd.testing.assert_frame_equal(cached(workspace, run, frames), table)
    assert cached(workspace, run, frames.head(2)) is None
    assert cached_table(workspace, run, frames, "val", {"tta": True}) is None
    earlier = {**evaluation_settings(INFERENCE.settings), "mask_rules": 1}
    assert cached_table(workspace, run, frames, "val", earlier) is None
    assert polyp_columns(run) == [8] * 3
    (frames_measured,) = workspace.evaluations("val")["frames"]
    assert frames_measured == 3


def test_one_that_is_interrupted_leaves_the_one_before(
    workspace: Workspace, run: Run, frames: pd.DataFrame, evaluate: Callable[..., pd.DataFrame]
) -> None:
    before = evaluate(8)
    seen: list[int] = []

    def interrupt() -> None:
        seen.append(1)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(16, progress=interrupt)

    assert polyp_columns(run) == [8] * 3
    pd.testing.assert_frame_equal(cached(workspace, run, frames), before)
    assert [path.name for path in run.evaluation("val").parent.glob("*[!k]")] == ["val"]


def test_one_that_replaces_another_replaces_all_of_it(
    workspace: Workspace, run: Run, frames: pd.DataFrame, evaluate: Callable[..., pd.DataFrame]
) -> None:
    evaluate(8)
    (run.evaluation("val") / MASKS / "of-another-set.png").touch()
    table = evaluate(16)

    assert polyp_columns(run) == [16] * 3
    pd.testing.assert_frame_equal(cached(workspace, run, frames), table)


def test_files_that_were_not_registered_are_not_taken(
    workspace: Workspace,
    run: Run,
    frames: pd.DataFrame,
    evaluate: Callable[..., pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    evaluate(8)
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "enter_evaluation", lambda **_: None)  # killed before it
        evaluate(16)

    assert cached(workspace, run, frames) is None
