"""Learning-rate schedules."""

from __future__ import annotations

import pytest

from harness.config.training import TrainConfig
from harness.training.schedules import learning_rate
from metrics.utils.errors import UserError


def config(**values: object) -> TrainConfig:
    return TrainConfig.from_dict({"model": "unet", **values})


def test_the_papers_schedule_drops_to_a_tenth_after_fifty_epochs() -> None:
    paper = TrainConfig(model="unet")

    rates = [learning_rate(paper, epoch=e, passed=0, steps=1) for e in (0, 49, 50, 199)]

    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_one_cycle_rises_for_a_quarter_and_falls_to_a_thousandth() -> None:
    cycle = config(schedule="one-cycle", learning_rate=1.0)

    rates = [learning_rate(cycle, epoch=0, passed=p, steps=100) for p in range(101)]

    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[25] == pytest.approx(1.0)
    assert rates[100] == pytest.approx(0.001)
    assert rates[:26] == sorted(rates[:26])
    assert rates[25:] == sorted(rates[25:], reverse=True)


def test_cosine_falls_from_the_peak_to_zero() -> None:
    cosine = config(schedule="cosine", learning_rate=1.0)

    rates = [learning_rate(cosine, epoch=0, passed=p, steps=100) for p in range(101)]

    assert (rates[0], rates[50], rates[100]) == pytest.approx((1.0, 0.5, 0.0))
    assert rates == sorted(rates, reverse=True)


def test_an_unknown_schedule_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'one-cycle'"):
        learning_rate(config(schedule="onecycle"), epoch=0, passed=0, steps=1)
