"""Two classes through the command line: checked, trained, measured, shown, predicted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.config.write_settings import write_file
from harness.runs.workspace import Workspace

SIDE = 64
FRAMES = "round/EndoCV_DATA1"
POLYP, INSTRUMENT = 255, 128
RECIPE = (
    "--model", "unet", "--preset", "demo", "--size", "64", "--epochs", "2", "--batch-size", "4",
    "--precision", "fp32",
)  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with drawn frames of two classes, and settings that name them."""
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    centre, sequence = Path("data/data_C1"), Path("data/sequenceData/positive/seq1")
    for number in range(8):
        write(centre / f"images_C1/a{number}.png", centre / f"masks_C1/a{number}_mask.png", number)
    for number in range(20, 24):
        stem = f"b{number}"
        write(
            sequence / f"images_seq1/{stem}.png", sequence / f"masks_seq1/{stem}_mask.jpg", number
        )
    write(Path("round/EndoCV_DATA1/c0.png"), None, 40)
    values = {
        "endocv": "data",
        "test_frames": "round",
        "classes": {"polyp": POLYP, "instrument": INSTRUMENT},
    }
    write_file(Path("harness.toml"), values)
    return tmp_path


def write(image: Path, mask: Path | None, number: int) -> None:
    """A frame with a red disc (polyp) and a blue bar (instrument) over it."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(60, 100, (SIDE, SIDE, 3), dtype=np.uint8)
    truth = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(value) for value in generator.integers(16, 48, 2))
    for target, polyp, instrument in ((pixels, (20, 20, 230), (230, 20, 20)), (truth, 255, 128)):
        cv2.circle(target, (x, y), 12, polyp, -1)
        cv2.rectangle(target, (0, 64 - y), (x, 70 - y), instrument, -1)
    for path, content in ((image, pixels), (mask, truth)):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), content)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def succeeds(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_frames_are_counted_by_each_class(here: Path) -> None:
    for mask in here.glob("data/data_C1/masks_C1/*"):
        cv2.imwrite(str(mask), np.uint8(255) * (cv2.imread(str(mask), 0) == POLYP))

    found = json.loads(succeeds("data", "check", "--format", "json"))

    counted = {row["split"]: row for row in found["rows"] if row["source"] == "all"}
    names = ("frames", "with_polyp", "with_instrument", "without")
    assert [counted["train"][name] for name in names] == [8, 8, 0, 0]
    assert [counted["val"][name] for name in names] == [4, 4, 4, 0]
    (note,) = [note for note in found["notes"] if "instrument" in note]
    assert note.startswith("No frame of train holds a pixel of instrument")


@pytest.mark.slow
def test_two_classes_from_training_to_tables(here: Path) -> None:
    succeeds("data", "check")
    succeeds("train", *RECIPE, "--loss-class", "instrument", "--device", "cpu")
    (run,) = Workspace(here / "workspace").runs(status="finished")
    assert run.settings["classes"] == {
        "names": ["polyp", "instrument"],
        "values": [POLYP, INSTRUMENT],
        "chosen": "instrument",
    }

    long = json.loads(succeeds("evaluate", "--split", "val", "--format", "json"))["rows"]

    assert [row["class"] for row in long] == ["instrument", "polyp", "background", "all"]
    shown = succeeds("evaluate", "--split", "val")
    for class_ in ("instrument", "polyp", "background", "all classes (micro)"):
        assert f"val split, {class_} (paper protocol)" in shown
    assert "paper's Table" not in shown
    table = pd.read_parquet(run.evaluation("val") / "frames.parquet")
    assert table["class"].tolist() == ["instrument", "polyp", "background"] * 4
    # Each pixel is of one class, in the truth as in the prediction.
    sums = table.groupby("frame")[["tp", "fp", "fn"]].sum()
    assert (sums["tp"] + sums["fn"] == SIDE**2).all()
    assert (sums["tp"] + sums["fp"] == SIDE**2).all()
    # The best checkpoint goes by the chosen class, at network size, which is the frames' own.
    chosen = next(row for row in long if row["class"] == "instrument")
    assert chosen["iou"] == pytest.approx(run.row["best_iou"], abs=1e-3)
    for kind in ("more", "frames"):
        succeeds("evaluate", "--split", "val", "--table", kind, "--protocol", "official")
    assert call("evaluate", "--split", "val", "--table", "paper").exit_code == 1

    succeeds("report", "--split", "val")
    page = (here / "workspace/report-val.html").read_text()
    assert "Instrument class" in page
    assert "instrument 128" in page
    succeeds("predict", FRAMES, "--out", "masks")
    refused = call("predict", FRAMES, "--out", "risk", "--risk", "0.3")
    assert refused.exit_code == 1
    assert "--risk is for a single class" in refused.output
    values = np.unique(cv2.imread("masks/c0.png", cv2.IMREAD_UNCHANGED))
    assert set(values.tolist()) <= {0, POLYP, INSTRUMENT}
    told = succeeds("export", run.run, "--format", "onnx", "--out", "m.onnx", "--frames", FRAMES)
    described = json.loads(Path("m.json").read_text())
    assert described["classes"] == ["background", "polyp", "instrument"], told
    assert described["mask_values"] == {"polyp": POLYP, "instrument": INSTRUMENT}
    assert described["compared"]["other_differences"] == 0
    header = Path("masks/predictions.csv").read_text().splitlines()[0]
    assert header == "image,polyp_share,instrument_share,latency_ms"


def test_a_loss_class_that_is_none_is_refused_before_anything_is_entered(here: Path) -> None:
    result = call("train", *RECIPE, "--loss-class", "polip")
    assert result.exit_code == 1
    assert "no class 'polip'; did you mean 'polyp'" in result.output
    assert not (here / "workspace").exists()
