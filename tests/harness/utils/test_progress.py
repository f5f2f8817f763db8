from __future__ import annotations

import pytest

from harness.utils.progress import Bar, duration


class Timed:
    """A bar, and seconds that pass before each step."""

    def __init__(self, total: int | None) -> None:
        self.seconds = 0.0
        self.bar = Bar("Work", total, clock=lambda: self.seconds)

    def step(self, seconds: float, steps: int = 1) -> None:
        self.seconds += seconds
        for _ in range(steps):
            self.bar.advance()


def test_the_time_left_follows_the_pace() -> None:
    work = Timed(100)
    for _ in range(6):
        work.step(2.0)
    assert work.bar.seconds_left == pytest.approx(188.0)
    work.bar.update(detail="loss 0.5")
    assert str(work.bar) == "Work: 6 of 100, 3:08 left, loss 0.5"


def test_the_warm_up_says_nothing_of_the_pace() -> None:
    work = Timed(100)
    work.step(600.0)
    for _ in range(10):
        work.step(1.0)
    assert work.bar.seconds_left == pytest.approx(89.0)


def test_there_is_no_estimate_in_the_first_seconds_nor_from_a_few_steps() -> None:
    quick, slow = Timed(1000), Timed(10)
    for _ in range(100):
        quick.step(0.1)
    for _ in range(3):
        slow.step(60.0)
    assert [work.bar.seconds_left for work in (quick, slow)] == [None, None]
    quick.step(2.0)
    slow.step(60.0)
    assert quick.bar.seconds_left == pytest.approx(118.0, abs=2.0)
    assert slow.bar.seconds_left == pytest.approx(360.0)


def test_frames_that_end_in_batches_are_counted_by_the_batch() -> None:
    work = Timed(168)
    for _ in range(4):
        work.step(16.0, steps=8)
    assert work.bar.seconds_left == pytest.approx((168 - 32) * 2)


def test_the_pace_is_that_of_the_last_part() -> None:
    work = Timed(1000)
    for _ in range(150):
        work.step(10.0)
    for _ in range(150):
        work.step(1.0)
    assert work.bar.seconds_left == pytest.approx(700.0)


def test_what_was_done_before_says_nothing_of_the_pace() -> None:
    work = Timed(None)
    work.bar.update(0, 520)
    work.seconds = 30.0
    work.bar.update(501, 520)
    for _ in range(5):
        work.step(4.0)
    assert work.bar.seconds_left == pytest.approx(56.0)


def test_without_a_total_only_the_steps_are_counted() -> None:
    work = Timed(None)
    for _ in range(20):
        work.step(2.0)
    assert work.bar.seconds_left is None
    assert str(work.bar) == "Work: 20"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_estimate_of_an_ensemble_is_near_the_truth_whenever_it_is_shown() -> None:
    """Batches of 8 frames in 40 s after a warm-up; results come one batch behind, then at once."""
    work, end, shown = Timed(168), 130.0 + 21 * 40.0, 0
    work.seconds = 130.0
    for _ in range(20):
        work.step(40.0, steps=8)
        if (left := work.bar.seconds_left) is not None:
            assert left == pytest.approx(end - work.seconds, abs=41.0)
            shown += 1
    assert shown == 17


def test_pauses_between_rounds_count_as_work() -> None:
    """Epochs of 100 steps of 3 s, and 60 s of validation after each."""
    work, epoch, shown = Timed(1000), 360.0, []
    for number in range(10):
        for step in range(100):
            work.step(3.0)
            if number > 1 and (left := work.bar.seconds_left):
                # Validation at the end takes no step.
                shown.append(left / (10 * epoch - 60.0 - work.seconds - 3.0 * (step == 99)))
        work.seconds += 60.0
        work.bar.end_round()
    assert len(shown) == 799
    assert 0.9 < min(shown[:-120]) < max(shown[:-120]) < 1.15


def test_steps_of_a_resumed_network_that_joins_say_nothing_of_the_pace() -> None:
    work = Timed(2000)
    for _ in range(10):
        work.step(2.0)
    work.bar.done_before(900)
    work.bar.done += 900
    for _ in range(10):
        work.step(2.0)
    assert work.bar.seconds_left == pytest.approx((2000 - 920) * 2.0)


def test_percent_are_said_as_such() -> None:
    bar = Bar("Training 2 networks", 100, percent=True)
    bar.update(11.6, detail="unet 40%")
    assert str(bar) == "Training 2 networks: 11%, unet 40%"
