"""True masks that would be misread stop a command before it computes anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.config.write_settings import write_file
from harness.runs.workspace import Workspace

SIDE = 64
RED, GREEN = (0, 0, 255), (0, 255, 0)  # BGR
CENTRE = Path("data/data_C1")
SEQUENCE = Path("data/sequenceData/positive/seq1")
TRAIN = ("train", "--model", "unet", "--preset", "demo", "--size", "64", "--epochs", "1",
         "--batch-size", "4", "--precision", "fp32", "--device", "cpu")  # fmt: skip
Pixels = npt.NDArray[np.uint8]


def disc(number: int) -> Pixels:
    drawn = np.zeros((SIDE, SIDE), np.uint8)
    return np.asarray(cv2.circle(drawn, (24 + number, 40 - number), 12, (255,), -1), np.uint8)


def two_colours(number: int) -> Pixels:
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[disc(number) > 0] = RED
    pixels[50:60, 4:20] = GREEN
    return pixels


def write_all(mask: Callable[[int], Pixels], suffix: str = ".png") -> None:
    """Eight training frames and two of validation."""
    for number in range(10):
        folder, name = (CENTRE, "C1") if number < 8 else (SEQUENCE, "seq1")
        image = folder / f"images_{name}" / f"a{number}.png"
        noise = np.random.default_rng(number).integers(60, 100, (SIDE, SIDE, 3), dtype=np.uint8)
        noise[disc(number) > 0] = (20, 20, 230)
        write(image, noise)
        write(folder / f"masks_{name}" / f"a{number}_mask{suffix}", mask(number))


def write(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("HARNESS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_file(Path("harness.toml"), {"endocv": "data"})
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def succeeds(*arguments: str) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_training_stops_at_all_masks_of_both_splits_that_would_be_misread(here: Path) -> None:
    write_all(lambda number: np.asarray(disc(number) // 255, np.uint8))
    for command in (TRAIN, ("data", "check")):
        result = call(*command)
        assert result.exit_code == 1
        told = " ".join(result.output.split())
        assert all(f"a{number}_mask.png" in told for number in range(10)), told
        assert "the values 0 and 1 alone" in told
    assert not Workspace(here / "workspace").runs()


def test_training_without_a_polyp_is_refused(here: Path) -> None:
    write_all(lambda number: disc(number) if number >= 8 else np.zeros((SIDE, SIDE), np.uint8))
    result = call(*TRAIN)
    assert result.exit_code == 1
    assert "none of the 8 masks of the training split holds a pixel of polyp" in result.output
    assert not Workspace(here / "workspace").runs()
    assert "No frame of train holds a pixel of polyp" in " ".join(succeeds("data", "check").split())


def test_evaluation_stops_at_misread_masks_and_warns_of_a_split_without_polyps(here: Path) -> None:
    write_all(lambda number: disc(number) if number < 8 else np.zeros((SIDE, SIDE), np.uint8))
    assert "None of the 2 masks of the validation split" in " ".join(succeeds(*TRAIN).split())
    told = " ".join(succeeds("evaluate", "--split", "val").split())
    assert "the truth of val holds no pixel of polyp" in told
    for number in (8, 9):
        cut_out = np.dstack([np.full((SIDE, SIDE, 3), 255, np.uint8), disc(number)])
        write(SEQUENCE / f"masks_seq1/a{number}_mask.png", cut_out)
    result = call("evaluate", "--split", "val")
    assert result.exit_code == 1
    assert result.output.count("alpha channel that is not opaque") == 2


def test_classes_may_be_colours(here: Path) -> None:
    write_all(two_colours, ".jpg")
    result = call("data", "check")
    assert result.exit_code == 1
    assert "init --class NAME=#RRGGBB" in " ".join(result.output.split())
    succeeds("init", "--class", "neoplastic=#ff0000", "--class", "other=#00ff00")
    succeeds("data", "check")
    succeeds(*TRAIN)
    assert "other" in succeeds("evaluate", "--split", "val")
    succeeds("predict", str(CENTRE / "images_C1"), "--out", "masks")
    written = cv2.imread("masks/a0.png", cv2.IMREAD_UNCHANGED)
    found = {tuple(colour) for colour in written.reshape(-1, 3).tolist()}
    assert found <= {(0, 0, 0), RED, GREEN}
