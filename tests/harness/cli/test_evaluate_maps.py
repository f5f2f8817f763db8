"""``harness evaluate``: an ensemble and its members in one pass, maps, PraNet's table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.data.synthetic.dataset import write_dataset
from harness.evaluation import evaluate_run as evaluations
from harness.runs.workspace import Workspace
from metrics import registry
from metrics.registry import FrameMetric
from submissions.maps import score_maps

Evaluate = Callable[..., Result]


@pytest.fixture(scope="module")
def hyperkvasir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("drawn"), frames=40, height=64).hyperkvasir


@pytest.fixture(scope="module")
def own(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The FPN, the U-Net++ and their ensemble, not evaluated yet."""
    folder = tmp_path_factory.mktemp("own") / "workspace"
    shutil.copytree(workspace.root, folder)
    return Workspace(folder)


@pytest.fixture(scope="module")
def evaluate(own: Workspace, hyperkvasir: Path) -> Evaluate:
    def called(*arguments: str) -> Result:
        line = ["evaluate", "--split", "test", "--hyperkvasir", str(hyperkvasir), "--device", "cpu"]
        result = CliRunner().invoke(cli, [*line, "--workspace", str(own.root), *arguments])
        assert result.exit_code == 0, result.output
        return result

    return called


def folders(workspace: Workspace) -> dict[str, Path]:
    return {run.model: run.evaluation("test") for run in workspace.runs()}


def masks(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("masks/**/*.png")}


def table(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder / "frames.parquet")


def test_one_pass_serves_an_ensemble_its_members_and_pranets_table(
    own: Workspace, evaluate: Evaluate, hyperkvasir: Path, tmp_path: Path
) -> None:
    kept = ("--table", "pranet", "--probabilities", "--maps", "full", "--map-bits", "16")
    result = evaluate(*kept, "--format", "json")
    assert result.stderr.count("frames in the pass of divergentnets") == 2
    rows = {row["model"]: row for row in json.loads(result.stdout)["rows"]}
    assert set(rows) == {"fpn", "unet++", "divergentnets"}

    folder = folders(own)["fpn"]
    check_maps(folder, hyperkvasir, rows["fpn"], tmp_path)
    together = {model: (masks(folder), table(folder)) for model, folder in folders(own).items()}
    assert (table(folder)["latency_ms"] > 0).all()
    assert together["fpn"][0] != together["unet++"][0]

    for model in ("fpn", "divergentnets"):  # each by itself
        evaluate("--model", model, "--again")
        of_pass, counted = together[model]
        assert of_pass == masks(folders(own)[model])
        alone = table(folders(own)[model])
        pd.testing.assert_frame_equal(
            counted.drop(columns="latency_ms"), alone.drop(columns="latency_ms")
        )


def check_maps(folder: Path, hyperkvasir: Path, row: dict[str, float], tmp_path: Path) -> None:
    """The maps' files say what the masks and PraNet's table say."""
    described = json.loads((folder / "probabilities" / "maps.json").read_text())
    assert described == {
        "scale": {"0": 0.0, "65535": 1.0}, "bits": 16, "size": "full", "classes": ["polyp"],
    }  # fmt: skip
    for name in pd.read_parquet(folder / "maps.parquet")["frame"]:
        map_ = cv2.imread(str(folder / "probabilities" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(map_ > 32767, mask > 0)
        (true,) = hyperkvasir.glob(f"**/masks/{Path(name).name}.*")
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(true, (tmp_path / name).with_suffix(true.suffix))
    scored = score_maps(folder / "probabilities", tmp_path).by_set().iloc[0]
    # The files have 16 bits; PraNet rounds to 8.
    for figure in ("mdice", "wfm", "sm", "mem", "maxem", "mae"):
        assert row[figure] == pytest.approx(scored[figure], abs=0.01)
    assert row["dice_half"] == pytest.approx(scored["dice_half"])


def test_what_was_not_kept_is_made_when_it_is_asked_for(own: Workspace, evaluate: Evaluate) -> None:
    evaluate("--model", "fpn", "--again")
    folder = folders(own)["fpn"]
    assert not (folder / "probabilities").exists()
    assert "evaluated before" not in evaluate("--model", "fpn", "--probabilities").stderr
    assert "evaluated before" in evaluate("--model", "fpn", "--probabilities").stderr
    small = cv2.imread(str(next((folder / "probabilities").rglob("*.png"))), cv2.IMREAD_UNCHANGED)
    assert small.shape == (64, 64)
    assert small.dtype == np.uint8
    before = table(folder)
    assert "evaluated before" not in evaluate("--model", "fpn", "--threshold", "0.6").stderr
    found = [one[one["class"] == "polyp"] for one in (before, table(folder))]
    half, higher = ((one["tp"] + one["fp"]).sum() for one in found)
    assert 0 < higher < half


def test_what_was_kept_stays_where_more_is_asked_for(own: Workspace, evaluate: Evaluate) -> None:
    evaluate("--model", "unet++", "--again", "--probabilities", "--map-bits", "16")
    evaluate("--model", "unet++", "--table", "pranet")
    folder = folders(own)["unet++"]
    assert (folder / "maps.parquet").exists()
    described = json.loads((folder / "probabilities" / "maps.json").read_text())
    assert described["bits"] == 16
    assert len([*folder.glob("probabilities/**/*.png")]) == len(masks(folder))
    evaluate("--model", "unet++", "--probabilities", "--map-bits", "8")
    assert (folder / "maps.parquet").exists()
    assert "evaluated before" in evaluate("--model", "unet++", "--table", "pranet").stderr


def test_a_plug_in_may_ask_for_the_map(
    own: Workspace, evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    brier = FrameMetric(
        name="brier", title="Brier", takes_map=True, better="min",
        compute=lambda truth, _, map_: float(((map_ - truth) ** 2).mean()),
    )  # fmt: skip
    monkeypatch.setattr(registry, "frame_metrics", lambda: {"brier": brier})
    monkeypatch.setattr(evaluations, "frame_metrics", lambda: {"brier": brier})
    evaluate("--model", "fpn")
    found = table(folders(own)["fpn"])
    assert found.loc[found["class"] == "polyp", "brier"].between(0, 1).all()
