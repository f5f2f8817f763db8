"""One step, one validation, the schedule, the running average."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig
from harness.training.trainer import Pace, Trainer

NORMALISATION = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


class Tiny(nn.Module):
    """Two channels from one convolution, with dropout to draw from the global generator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.BatchNorm2d(2))
        self.drop = nn.Dropout2d(0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.drop(self.layers(images))


def config(**values: object) -> TrainConfig:
    defaults = {"model": "unet", "size": 32, "epochs": 4, "encoder_weights": "none"}
    return TrainConfig.from_dict({**defaults, **values})


def trainer(**values: object) -> Trainer:
    return Trainer(
        config(**values), Tiny(), device=torch.device("cpu"), normalisation=NORMALISATION, steps=8
    )


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return images, (images[:, 0] > 127).to(torch.uint8)


def test_normalisation_is_on_the_scale_of_bytes() -> None:
    images = torch.full((1, 3, 2, 2), 255, dtype=torch.uint8)

    assert torch.allclose(trainer().normalise(images), torch.full((1, 3, 2, 2), 2.0))


def test_a_step_is_a_function_of_its_position() -> None:
    first, again, elsewhere = trainer(), trainer(), trainer()

    torch.rand(7)  # what was drawn before does not matter
    losses = [
        made.step(*batch(), epoch=epoch, index=0, passed=0).item()
        for made, epoch in ((first, 0), (again, 0), (elsewhere, 1))
    ]

    assert losses[0] == losses[1]
    assert losses[0] != losses[2]  # another epoch drops other channels


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_state_goes_on_bit_for_bit(average: float) -> None:
    unbroken, broken = trainer(ema_decay=average), trainer(average=average)
    for index in range(2):
        unbroken.step(*batch(index), epoch=0, index=index, passed=index)
        broken.step(*batch(index), epoch=0, index=index, passed=index)
    resumed = trainer(ema_decay=average)
    resumed.load_state_dict(broken.state_dict())

    for index in range(2, 4):
        unbroken.step(*batch(index), epoch=0, index=index, passed=index)
        resumed.step(*batch(index), epoch=0, index=index, passed=index)

    for one, two in ((unbroken.weights(), resumed.weights()),
                     (unbroken.network.state_dict(), resumed.network.state_dict())):  # fmt: skip
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_state_of_an_earlier_version_goes_on() -> None:
    made = says(1.0, ema_decay=0.9)
    optimiser = says(1.0).state_dict()["optimiser"]

    made.load_state_dict(
        {
            "network": {"value": torch.tensor(2.0)},
            "optimiser": optimiser,
            "average": {"value": torch.tensor(0.5)},
            "updates": 3,
        }
    )
    assert (made.weights()["value"].item(), made.state_dict()["updates"]) == (0.5, 3)
    made.average.update()  # type: ignore[union-attr]  # the fourth

    assert made.weights()["value"].item() == pytest.approx(2 + (0.5 - 2) * 5 / 14)


class Says(nn.Module):
    """Predicts what its one weight says for every pixel: positive is polyp."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, images: Tensor) -> Tensor:
        polyp = self.value.expand(len(images), 1, *images.shape[2:])
        return torch.cat([-polyp, polyp], dim=1)


def says(value: float, **values: object) -> Trainer:
    return Trainer(
        config(**values),
        Says(value),
        device=torch.device("cpu"),
        normalisation=NORMALISATION,
        steps=1,
    )


def test_validation_is_the_mean_over_frames() -> None:
    # Everything is called polyp. Frame 1 is half polyp: IoU 1/2, F1 2/3. Frame 2 is all polyp:
    # 1 and 1. Frame 3 has none: 0 and 0.
    masks = torch.zeros(3, 32, 32, dtype=torch.uint8)
    masks[0, :16] = 1
    masks[1] = 1
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)

    result = says(1.0).validate([(images[:2], masks[:2]), (images[2:], masks[2:])])

    assert result.frames == 3
    assert result.iou == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert result.f1 == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_nothing_predicted_where_nothing_is_counts_as_right() -> None:
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)

    result = says(-1.0).validate([(images, torch.zeros(2, 32, 32, dtype=torch.uint8))])

    assert (result.iou, result.f1) == (1.0, 1.0)


def test_validation_measures_the_average_and_leaves_the_network_as_it_was() -> None:
    made = says(-1.0, ema_decay=0.9)
    assert made.average is not None
    made.average.module.load_state_dict({"value": torch.tensor(1.0)})
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)

    result = made.validate([(images, torch.ones(1, 32, 32, dtype=torch.uint8))])

    assert result.iou == 1.0
    assert made.network.state_dict()["value"].item() == -1.0


def test_python_is_at_most_two_steps_ahead_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []

    class Event:
        made = 0

        def __init__(self, *, blocking: bool) -> None:
            assert blocking  # a core that spins is lost to the workers
            Event.made += 1
            self.number = Event.made

        def record(self, stream: str) -> None:
            assert stream == "stream of cuda:1"

        def synchronize(self) -> None:
            done.append(self.number)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    pace = Pace(torch.device("cuda:1"))
    waited = []
    for _ in range(4):
        pace.step()
        waited.append(list(done))

    assert waited == [[], [], [1], [1, 2]]
