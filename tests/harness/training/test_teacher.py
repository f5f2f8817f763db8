"""A network that learns from another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training.queue import EnsembleStep
from harness.training.teacher import Teacher, blend, load_teacher, with_teachers
from harness.training.trainer import Trainer
from metrics.utils.errors import UserError

CPU = torch.device("cpu")


class Bright(nn.Module):
    """Says polyp where an image is bright; its batch norm would move in training."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        polyp = (self.norm(images / 255).mean(1, keepdim=True)).clamp(0, 1)
        return torch.cat([1 - polyp, polyp], dim=1)


def trained(workspace: Workspace, model: str, **values: Any) -> Run:
    settings = TrainConfig(model=model, **values).to_dict()
    run = workspace.new_run(model, settings=settings, versions={}, checkpoint=f"sha of {model}")
    workspace.finish_run(run.run)
    return workspace.run(run.run)


def student(**values: Any) -> TrainConfig:
    return TrainConfig.from_dict({"model": "unet", "size": 32, "epochs": 2, **values})


def test_the_teacher_has_its_share_of_what_is_learned() -> None:
    masks = torch.tensor([[[0, 1]]])
    taught = torch.tensor([[0.25, 0.5], [0.75, 0.5]]).view(1, 2, 1, 2)

    assert torch.equal(blend(masks, taught, 1), taught)
    assert blend(masks, taught, 0)[0, 1, 0].tolist() == [0, 1]
    assert blend(masks, taught, 0.5)[0, 1, 0].tolist() == [0.375, 0.75]
    assert (blend(masks, taught, 0.5).sum(1) == 1).all()


def test_a_teacher_of_another_size_is_asked_at_its_own() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    images[..., :16] = 255

    taught = Teacher(Bright(), 64, CPU)(images)

    assert taught.shape == (2, 2, 32, 32)
    assert (taught[:, 1, :, :14] > 0.9).all()
    assert (taught[:, 1, :, 18:] < 0.1).all()


def test_a_network_learns_what_the_teacher_says_and_not_only_the_masks() -> None:
    teacher = Teacher(Bright(), 32, CPU)
    before = {key: t.clone() for key, t in teacher.network.state_dict().items()}
    torch.manual_seed(0)
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    empty = torch.zeros(2, 32, 32, dtype=torch.uint8)
    polyp = []
    for taught in (None, teacher):
        torch.manual_seed(0)
        trainer = Trainer(
            student(learning_rate=0.05, teacher_weight=1.0, loss="dice+ce"),
            nn.Conv2d(3, 2, 1),
            device=CPU,
            normalisation=((0.5,) * 3, (0.25,) * 3),
            steps=20,
            teacher=taught,
        )
        for index in range(20):
            trainer.step(images, empty, epoch=0, index=index, passed=index)
        polyp.append(trainer.probabilities(images)[:, 1])

    expected = teacher(images)[:, 1]
    assert (polyp[1] - expected).abs().mean() < (polyp[0] - expected).abs().mean()
    after = teacher.network.state_dict()
    assert all(torch.equal(before[key], t) for key, t in after.items())


def test_the_teacher_computes_in_the_precision_of_the_training() -> None:
    heard = []

    class Listening(Bright):
        def forward(self, images: Tensor) -> Tensor:
            heard.append(torch.is_autocast_enabled("cpu"))
            return super().forward(images).bfloat16()

    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    teacher = Teacher(Listening(), 32, CPU)
    heard.clear()
    for precision in ("fp32", "bf16"):
        trainer = Trainer(
            student(loss="dice+ce", precision=precision),
            nn.Conv2d(3, 2, 1),
            device=CPU,
            normalisation=((0.5,) * 3, (0.25,) * 3),
            steps=1,
            teacher=teacher,
        )
        trainer.step(images, images[:, 0], epoch=0, index=0, passed=0)

    assert heard == [False, True]
    assert teacher(images).dtype == torch.float32


def test_the_teacher_is_rewritten_for_prediction_and_says_the_same() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Softmax(dim=1))
    network[0].weight.data /= 255
    network[1].running_mean += torch.tensor([0.5, -0.5])
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)

    teacher = Teacher(network, 32, CPU)

    assert not any(isinstance(module, nn.BatchNorm2d) for module in teacher.network.modules())
    with torch.no_grad():
        assert torch.allclose(teacher(images), network(images.float()), atol=1e-5)


def test_a_teacher_that_cannot_be_rewritten_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    class Twice(nn.Module):
        """Uses the output of its convolution beside the norm's, which nothing tells beforehand."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)
            self.norm.running_mean += torch.tensor([1.0, -1.0])

        def forward(self, images: Tensor) -> Tensor:
            found = self.conv(images / 255)
            return (self.norm(found) + found).softmax(dim=1)

    torch.manual_seed(0)
    network = Twice()
    images = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)

    teacher = Teacher(network, 32, CPU)

    assert "the teacher runs as it was trained, which is slower" in capsys.readouterr().err
    with torch.no_grad():
        assert torch.equal(teacher(images), network(images.float()))


def test_a_model_stands_for_its_newest_run_of_the_same_splits(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    plain, fold = trained(workspace, "fpn"), trained(workspace, "fpn", fold="1/2")
    steps = [student(teacher="fpn"), student(teacher="fpn", fold="1/2"), EnsembleStep(), student()]

    found = with_teachers(workspace, steps)

    assert [getattr(one, "teacher", None) for one in found] == [plain.run, fold.run, None, ""]
    assert getattr(found[0], "teacher_sha256", "") == "sha of fpn"


def test_a_teacher_that_may_have_seen_the_validation_frames_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    fold = trained(workspace, "fpn", fold="1/2")

    with pytest.raises(UserError, match="trained on other splits"):
        with_teachers(workspace, [student(teacher=fold.run)])

    run = trained(workspace, "unet")
    tuned = {"split": "val", "fusion": {"kind": "weighted", "frames": ["a"]}}
    workspace.update_run(run.run, settings={**run.settings, "tuned": tuned})
    with pytest.raises(UserError, match="was fitted on frames of val"):
        with_teachers(workspace, [student(teacher=run.run)])


def test_a_teacher_whose_weights_have_changed_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    run = trained(workspace, "fpn")
    config = student(teacher=run.run, teacher_sha256="sha of another")

    with pytest.raises(UserError, match=r"weights of the teacher .* have changed"):
        load_teacher(workspace, config, CPU)
    assert load_teacher(workspace, student(), CPU) is None
