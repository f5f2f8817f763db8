"""A network is trained and tested on any folders: checked, trained, measured, shown, predicted."""

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
from harness.config import settings
from harness.data.catalogue import catalogue, of_split
from harness.data.fingerprint import data_fingerprint
from harness.runs.workspace import Workspace

SIDE = 64


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with datasets of drawn frames, each in another layout."""
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        write(f"A/Images/a{number}.png", f"A/GT/a{number}.png", number)
    for number in range(3):
        write(f"B/images/{number}.tif", f"B/masks/p{number}.tif", 10 + number)
    for number in range(2):
        write(f"C/TestDataset/CVC-300/images/{number}.png",
              f"C/TestDataset/CVC-300/masks/{number}.png", 20 + number)  # fmt: skip
        write(f"C/TestDataset/Kvasir/images/{number}.png",
              f"C/TestDataset/Kvasir/masks/{number}.png", 30 + number)  # fmt: skip
    write("D/frames/caf\udce9.png", "D/labels/caf\udce9-label.png", 40)
    return tmp_path


def write(image: str, mask: str, number: int) -> None:
    """A frame of noise with a red disc, the polyp."""
    generator = np.random.default_rng(number)
    pixels = generator.integers(40, 140, (SIDE, SIDE, 3), dtype=np.uint8)
    truth = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(value) for value in generator.integers(16, 48, 2))
    cv2.circle(pixels, (x, y), 12, (20, 20, 230), -1)
    cv2.circle(truth, (x, y), 12, 255, -1)
    for path, content in ((Path(image), pixels), (Path(mask), truth)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, content)[1].tobytes())


def run(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == status, (words, result.output, result.stderr, result.exception)
    return result


def test_from_folders_to_figures(here: Path) -> None:
    run("init", "--train", "A", "--val", "B", "--test", "pranet=C")
    run("init", "--pair", "own", "D/frames", "D/labels", "--mask-name", "{stem}-label")
    checked = json.loads(run("data", "check", "--format", "json").stdout)
    assert not checked["faults"]
    assert {row["source"]: row["frames"] for row in checked["rows"] if row["split"] == "test"} == {
        "CVC-300": 2, "Kvasir": 2, "own": 1, "all": 5,
    }  # fmt: skip

    run("train", "--model", "fpn", "--preset", "demo", "--encoder", "tu-test_resnet",
        "--encoder-weights", "none", "--size", "32", "--epochs", "1", "--batch-size", "4",
        "--workers", "0")  # fmt: skip
    (trained,) = Workspace(here / "workspace").runs()
    assert trained.row["status"] == "finished"
    frames = catalogue(settings.load())
    train, val = (data_fingerprint(of_split(frames, split)) for split in ("train", "val"))
    assert trained.row["data"] == f"{train}+{val}"

    run("evaluate", "--split", "val")
    shown = run("evaluate", "--split", "test").stdout
    assert "the paper" not in shown
    places = json.loads(
        run("evaluate", "--split", "test", "--table", "places", "--format", "json").stdout
    )
    rows = pd.DataFrame(places["rows"]).set_index("place")
    assert rows.index.tolist() == [
        "CVC-300", "Kvasir", "own", "mean of the sets", "all frames",
    ]  # fmt: skip
    assert rows["n"].tolist() == [2, 2, 1, 5, 5]
    run("report", "--split", "test")

    run("predict", "D/frames", "--out", "masks")
    assert os.fsencode(next(Path("masks").glob("*.png")).name) == b"caf\xe9.png"
    assert pd.read_csv("masks/predictions.csv")["image"].tolist() == ["caf\\xe9.png"]

    # A run that cannot go on, since its frames have changed, stays as it was.
    write("A/Images/a0.png", "A/GT/a0.png", 50)
    said = run("train", "--resume", trained.run, "--epochs", "2", status=1).stderr
    assert "began on other training and validation frames" in said
    assert Workspace(here / "workspace").run(trained.run).row == trained.row


def test_flags_stand_in_for_settings(here: Path) -> None:
    said = run("train", "--model", "fpn", "--preset", "demo", "--train", "A", status=1).stderr
    assert "nothing says what to validate on" in said
    checked = run("data", "check", "--train", "A", "--val", "B", "--test", "x=C")
    assert "CVC-300" in checked.stdout
    nothing = run("train", "--model", "fpn", "--preset", "demo", status=1).stderr
    assert "Frames of your own: 'harness init --train DIR" in nothing


def test_a_folder_is_checked_without_settings(here: Path) -> None:
    checked = run("data", "check", "A")
    assert "Frames by split (own)" in checked.stdout
    assert "not used" not in checked.stderr
    for part in ("train", "val"):
        write(f"E/images/{part}/1.png", f"E/masks/{part}/1.png", ord(part[0]))
    Path("splits.toml").write_text('[test]\nframes = ["train/1"]\n')
    rows = json.loads(
        run("data", "check", "E", "--splits", "splits.toml", "--format", "json").stdout
    )["rows"]
    assert [(row["split"], row["frames"]) for row in rows] == [("test", 1), ("test", 1), ("", 1)]
