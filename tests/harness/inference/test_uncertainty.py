"""Where the members of an ensemble disagree."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness.inference.engine import Engine
from harness.inference.prediction import Inference
from harness.inference.predictor import Predictor
from harness.inference.uncertainty import Uncertainty, measure, write_map
from metrics.masks.classes import Classes
from metrics.utils.errors import UserError
from models.divergentnets import DivergentNets

CPU = torch.device("cpu")


class Left(nn.Module):
    """Logits that make the first columns polyp, as surely as told."""

    def __init__(self, columns: int, sureness: float = 4.0) -> None:
        super().__init__()
        self.columns, self.sureness = columns, sureness

    def forward(self, images: Tensor) -> Tensor:
        polyp = torch.full((len(images), *images.shape[2:]), -self.sureness)
        polyp[..., : self.columns] = self.sureness
        return torch.stack([torch.zeros_like(polyp), polyp], dim=1)


@pytest.fixture
def ensemble() -> DivergentNets:
    return DivergentNets({"a": Left(16), "b": Left(16), "c": Left(8, sureness=2.0)})


@pytest.fixture
def frame(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), np.full((32, 32, 3), 128, np.uint8))
    return path


def test_the_members_come_behind_the_ensemble_which_stays_itself(ensemble: DivergentNets) -> None:
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        engine = Engine(ensemble, device=CPU, precision="fp32", batch_size=2, with_members=True)
        output = engine(images)
        assert torch.equal(output[:, :2], ensemble(images))
        each = [member(images) for member in ensemble.members]
    assert torch.equal(output[:, 2:], torch.cat(each, dim=1))


def test_a_prediction_says_where_they_disagree(ensemble: DivergentNets, frame: Path) -> None:
    how = Inference(device=CPU)
    (plain,) = Predictor(ensemble, size=32, inference=how).predict([frame])
    (told,) = Predictor(ensemble, size=32, inference=how, uncertainty=True).predict([frame])

    assert plain.uncertainty is None
    assert np.array_equal(plain.probabilities, told.probabilities)
    assert told.uncertainty is not None
    # Columns 0 to 15 of two members, 0 to 7 of the third: IoU 1, one half and one half; of 32
    # columns, 8 have two votes of three.
    assert told.uncertainty.disagreement == pytest.approx(1 - (1 + 0.5 + 0.5) / 3)
    assert told.uncertainty.vote_variance == pytest.approx(8 / 32 * 2 / 9)
    deviation = told.uncertainty.deviation
    sure, less = (1 / (1 + np.exp(-logit)) for logit in (4.0, 2.0))
    assert deviation[:, 3] == pytest.approx(np.std([sure, sure, less]), abs=1e-6)
    assert deviation[:, 12] == pytest.approx(np.std([sure, sure, 1 - less]), abs=1e-6)


class Half(nn.Module):
    """Logits of three classes of which none reaches one half, the last most probable on a side."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.zeros(len(images), 3, *images.shape[2:])
        logits[:, 2, :, : self.columns] = 0.5
        return logits


def test_of_several_classes_members_disagree_where_their_masks_do(frame: Path) -> None:
    classes = Classes.from_table({"instrument": 128, "polyp": 255}).choosing("polyp")
    ensemble = DivergentNets({"a": Half(16), "b": Half(8)})
    (told,) = Predictor(
        ensemble, size=32, inference=Inference(device=CPU), uncertainty=True, classes=classes
    ).predict([frame])
    assert told.uncertainty is not None
    assert told.uncertainty.disagreement == pytest.approx(0.5)
    assert told.uncertainty.vote_variance == pytest.approx(8 / 32 / 4)


def test_with_test_time_augmentation_each_member_is_averaged(frame: Path) -> None:
    ensemble = DivergentNets({"a": Left(32), "b": Left(0)})
    (told,) = Predictor(
        ensemble, size=32, inference=Inference(device=CPU, tta=True), uncertainty=True
    ).predict([frame])
    assert told.uncertainty is not None
    assert told.uncertainty.disagreement == 1
    assert told.uncertainty.deviation.max() < 0.5


def test_the_map_is_grey_from_agreement_to_the_largest_deviation(tmp_path: Path) -> None:
    maps = [np.array([[0, 1, 0.5]], np.float32), np.array([[0, 0, 0.5]], np.float32)]
    found = measure(maps, [one > 0.5 for one in maps])
    assert found.deviation.dtype == np.float32
    write_map(tmp_path / "maps/a.png", found)
    pixels = cv2.imread(str(tmp_path / "maps/a.png"), cv2.IMREAD_UNCHANGED)
    assert pixels.tolist() == [[0, 255, 0]]


def test_a_map_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    found = Uncertainty(deviation=np.zeros((1, 1), np.float32), disagreement=0, vote_variance=0)
    with pytest.raises(UserError, match="cannot write"):
        write_map(tmp_path / "taken/a.png", found)
