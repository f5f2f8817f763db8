"""The single-channel Dice loss, against sums worked out by hand."""

from __future__ import annotations

import pytest
import torch

import models
from models import losses

SURE = 40.0  # logits this far apart give probabilities of 0 and 1 in float32


def logits_of(prediction: list[list[int]]) -> torch.Tensor:
    polyp = (torch.tensor(prediction, dtype=torch.float32) * 2 - 1) * SURE
    return torch.stack([-polyp, polyp])[None]


def test_a_hand_worked_batch() -> None:
    # Prediction has 3 polyp pixels, truth 2, both share 1: (2 x 1 + 1) / (3 + 2 + 1) = 1/2.
    logits = logits_of([[1, 1, 0], [1, 0, 0]])
    masks = torch.tensor([[[1, 0, 1], [0, 0, 0]]], dtype=torch.uint8)

    assert losses.SingleChannelDiceLoss()(logits, masks).item() == pytest.approx(0.5)


def test_sums_run_over_the_batch_before_the_division() -> None:
    # Frame 1: both 4, shared 4. Frame 2: prediction 0, truth 0. Together (8 + 1) / (8 + 1) = 1,
    # and with frame 2 wrong on 3 pixels (8 + 1) / (8 + 3 + 1) = 3/4.
    right, empty = logits_of([[1, 1], [1, 1]]), logits_of([[0, 0], [0, 0]])
    wrong = logits_of([[1, 1], [1, 0]])
    masks = torch.tensor([[[1, 1], [1, 1]], [[0, 0], [0, 0]]])
    loss = losses.SingleChannelDiceLoss()

    assert loss(torch.cat([right, empty]), masks).item() == pytest.approx(0.0)
    assert loss(torch.cat([right, wrong]), masks).item() == pytest.approx(0.25)


def test_a_batch_without_polyps_still_has_a_gradient() -> None:
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)

    losses.SingleChannelDiceLoss()(logits, torch.zeros(1, 4, 4)).backward()

    assert logits.grad is not None
    assert (logits.grad[:, 1] > 0).all()


def test_the_background_does_not_count() -> None:
    logits = torch.randn(2, 2, 8, 8)
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[:, :3] = 1
    third = torch.cat([logits, torch.full((2, 1, 8, 8), -1e9)], dim=1)

    polyp = losses.SingleChannelDiceLoss()

    assert polyp(logits, masks).item() == pytest.approx(polyp(third, masks).item())


def test_reduced_precision_is_computed_in_float32() -> None:
    logits = torch.randn(1, 2, 256, 256).bfloat16()
    masks = (torch.rand(1, 256, 256) > 0.5).to(torch.uint8)
    loss = losses.SingleChannelDiceLoss()(logits, masks)

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(
        losses.SingleChannelDiceLoss()(logits.float(), masks).item(), abs=1e-7
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.long, torch.bool])
def test_masks_of_any_whole_type(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 2, 8, 8)
    masks = torch.rand(2, 8, 8) > 0.5

    for name in losses.LOSSES:
        loss = losses.create(name)
        assert loss(logits, masks.to(dtype)).item() == pytest.approx(
            loss(logits, masks.long()).item()
        )


def test_probabilities_between_count_by_their_size() -> None:
    # Logits of 0 and 0 give 1/2 everywhere. Four pixels, one of them polyp:
    # 1 - (2 x 1/2 + 1) / (4 x 1/2 + 1 + 1) = 1 - 2/4.
    loss = losses.SingleChannelDiceLoss()
    masks = torch.tensor([[[1, 0], [0, 0]]])

    assert loss(torch.zeros(1, 2, 2, 2), masks).item() == pytest.approx(0.5)


def test_the_smoothing_is_in_numerator_and_denominator() -> None:
    # All wrong: prediction 4, truth 0, with smooth 2: 1 - (0 + 2) / (4 + 0 + 2) = 2/3.
    loss = losses.SingleChannelDiceLoss(smooth=2)

    assert loss(logits_of([[1, 1], [1, 1]]), torch.zeros(1, 2, 2)).item() == pytest.approx(2 / 3)


def test_another_channel_can_count() -> None:
    # The background: prediction 1, truth 3, shared 1: 1 - (2 + 1) / (1 + 3 + 1) = 2/5.
    loss = losses.create("single-channel-dice", channel=0)

    value = loss(logits_of([[1, 1], [1, 0]]), torch.tensor([[[1, 0], [0, 0]]])).item()

    assert value == pytest.approx(0.4)


@pytest.mark.parametrize("name", list(losses.LOSSES))
def test_the_gradient_is_that_of_the_formula(name: str) -> None:
    logits = torch.randn(2, 2, 3, 3, requires_grad=True)
    masks = torch.randint(0, 2, (2, 3, 3))
    loss = losses.create(name)
    loss(logits, masks).backward()
    assert logits.grad is not None
    step = torch.zeros_like(logits)
    step[0, 1, 1, 1] = 1e-2

    with torch.no_grad():
        slope = (loss(logits + step, masks) - loss(logits - step, masks)) / 2e-2

    assert slope.item() == pytest.approx(logits.grad[0, 1, 1, 1].item(), abs=1e-4)


@pytest.mark.parametrize("name", list(losses.LOSSES))
def test_no_value_is_asked_of_the_device(name: str) -> None:
    # A tensor without values cannot answer, so a loss that asked for one would fail.
    logits = torch.empty(2, 2, 8, 8, device="meta")
    masks = torch.empty(2, 8, 8, dtype=torch.uint8, device="meta")

    assert losses.create(name)(logits, masks).device.type == "meta"


@pytest.mark.parametrize("name", list(losses.LOSSES))
def test_shares_of_the_classes_can_be_learned(name: str) -> None:
    logits, masks = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    shares = torch.nn.functional.one_hot(masks, 3).movedim(-1, 1).float()
    loss = losses.create(name)

    assert loss(logits, shares).item() == pytest.approx(loss(logits, masks).item())


def test_an_uncertain_share_asks_for_an_uncertain_network() -> None:
    # Of the Dice loss alone this does not hold: its least value is not at the shares themselves.
    uncertain = torch.full((1, 2, 4, 4), 0.5)
    undecided, decided = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    decided[:, 1, :2], decided[:, 0, 2:] = SURE, SURE

    loss = losses.create("dice+ce")

    assert loss(undecided, uncertain) < loss(decided, uncertain)


def test_the_combined_loss_is_the_sum_of_its_parts() -> None:
    logits, masks = torch.randn(2, 2, 8, 8), torch.randint(0, 2, (2, 8, 8))
    parts = losses.SingleChannelDiceLoss()(logits, masks) + torch.nn.functional.cross_entropy(
        logits, masks, weight=torch.tensor([1.0, 2.0])
    )

    assert losses.create("dice+ce")(logits, masks).item() == pytest.approx(parts.item())


def test_an_unknown_loss_suggests_the_nearest() -> None:
    with pytest.raises(models.ModelError, match="did you mean 'dice\\+ce'"):
        losses.create("dice-ce")
