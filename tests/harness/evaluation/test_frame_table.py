"""Predictions against the truth: the frame table."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from harness.data.frames import truth_of
from harness.evaluation.frame_table import evaluate_frames, recount
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from metrics.masks.classes import Classes
from metrics.utils.errors import UserError

HEIGHT, WIDTH = 32, 64
CPU = torch.device("cpu")


class LeftHalf(nn.Module):
    """Says that the left half of every image is polyp."""

    def forward(self, images: Tensor) -> Tensor:
        polyp = torch.zeros(len(images), 1, *images.shape[2:])
        polyp[..., : images.shape[3] // 2] = 1.0
        return torch.cat([1 - polyp, polyp], dim=1)


def predictor() -> Predictor:
    return Predictor(LeftHalf(), size=32, inference=Inference(device=CPU, batch_size=2))


def row(folder: Path, name: str, mask: np.ndarray | None) -> dict[str, object]:
    image = folder / f"{name}.png"
    cv2.imwrite(str(image), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    mask_path = ""
    if mask is not None:
        mask_path = str(folder / f"{name}_mask.png")
        cv2.imwrite(mask_path, mask)
    return {
        "frame": f"seq1/{name}",
        "dataset": "endocv2021",
        "centre": "",
        "sequence": "seq1",
        "test_set": "",
        "split": "val",
        "image": str(image),
        "mask": mask_path,
        "truth": "empty" if mask is None else "mask",
        "height": HEIGHT,
        "width": WIDTH,
    }


def columns(start: int, stop: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, start:stop] = 255
    return mask


def test_counts_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    # The prediction is columns 0..31. Truth of a: columns 16..47, so 16 in both, 16 only in
    # either, 16 in neither, 32 rows each. Truth of b: none, so 32 columns are false.
    frames = pd.DataFrame([row(tmp_path, "a", columns(16, 48)), row(tmp_path, "b", None)])
    seen: list[int] = []

    (table,) = evaluate_frames(predictor(), frames, folders=[tmp_path], done=lambda: seen.append(1))

    counts = table.set_index(["frame", "class"])[["tp", "fp", "fn", "tn"]]
    assert counts.loc[("seq1/a", "polyp")].tolist() == [512, 512, 512, 512]
    assert counts.loc[("seq1/b", "polyp")].tolist() == [0, 1024, 0, 1024]
    assert counts.loc[("seq1/b", "background")].tolist() == [1024, 0, 1024, 0]
    assert (table["split"] == "val").all()
    assert (table["latency_ms"] > 0).all()
    assert len(seen) == 2


def test_the_masks_are_kept_as_they_were_counted(tmp_path: Path) -> None:
    frames = pd.DataFrame([row(tmp_path, "a", columns(16, 48))])

    evaluate_frames(predictor(), frames, folders=[tmp_path])

    kept = cv2.imread(str(tmp_path / "masks/seq1/a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(kept, columns(0, 32))


def test_truth_is_binarised_above_127(tmp_path: Path) -> None:
    mask = columns(0, 8)
    mask[:, 8] = 127
    mask[:, 9] = 128

    truth = truth_of(row(tmp_path, "a", mask))

    assert truth.sum() == 9 * HEIGHT


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    frame = row(tmp_path, "a", np.zeros((HEIGHT, WIDTH + 1), np.uint8))

    with pytest.raises(UserError, match=r"a_mask.png: expected 64 x 32 pixels, the size"):
        truth_of(frame)


def test_masks_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    (tmp_path / "masks").write_text("")
    frames = pd.DataFrame([row(tmp_path, "a", None)])

    with pytest.raises(UserError, match="cannot write"):
        evaluate_frames(predictor(), frames, folders=[tmp_path])


class Quarters(nn.Module):
    """Says polyp of the first quarter of the columns, instrument of the second."""

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.zeros(len(images), 3, *images.shape[2:])
        quarter = images.shape[3] // 4
        maps[:, 1, :, :quarter] = maps[:, 2, :, quarter : 2 * quarter] = 1.0
        maps[:, 0, :, 2 * quarter :] = 1.0
        return maps


def test_every_class_has_its_counts_and_its_value(tmp_path: Path) -> None:
    # Truth: polyp in columns 8..23, instrument in 24..31. Prediction: polyp in 0..15, instrument
    # in 16..31. So polyp: 8 columns in both, 8 only in either; instrument: 8 in both, 8 only
    # predicted; background: 32 in both, 8 only in the truth.
    classes = Classes.from_table({"polyp": 255, "instrument": 100}).choosing("instrument")
    mask = columns(8, 24)
    mask[:, 24:32] = 100
    frames = pd.DataFrame([row(tmp_path, "a", mask), row(tmp_path, "b", None)])
    made = Predictor(Quarters(), size=64, inference=Inference(device=CPU), classes=classes)

    (table,) = evaluate_frames(made, frames, folders=[tmp_path])

    assert table["class"].tolist() == ["instrument", "polyp", "background"] * 2
    counts = table.set_index(["frame", "class"])[["tp", "fp", "fn", "tn"]] // HEIGHT
    assert counts.loc[("seq1/a", "polyp")].tolist() == [8, 8, 8, 40]
    assert counts.loc[("seq1/a", "instrument")].tolist() == [8, 8, 0, 48]
    assert counts.loc[("seq1/a", "background")].tolist() == [32, 0, 8, 24]
    assert counts.loc[("seq1/b", "background")].tolist() == [32, 0, 32, 0]
    kept = cv2.imread(str(tmp_path / "masks/seq1/a.png"), cv2.IMREAD_UNCHANGED)
    assert kept[0].tolist() == [255] * 16 + [100] * 16 + [0] * 32
    again = recount(
        frames,
        masks=tmp_path / "masks",
        decoding="official",
        latencies_ms={"seq1/a": 1.0, "seq1/b": 1.0},
        classes=classes,
    )
    shared = ["frame", "class", "tp", "fp", "fn", "tn"]
    pd.testing.assert_frame_equal(again[shared], table[shared])
