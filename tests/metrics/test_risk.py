"""Conformal risk control: the share of missed polyp stays below the risk."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.risk import conformal_place, left_out_losses, missed_shares

STEPS = np.arange(255)


def missed(rng: np.random.Generator, sequences: int) -> np.ndarray:
    """Each sequence's share of missed pixels by threshold, growing from 0 to 1."""
    place, width = rng.normal(120, 40, (sequences, 1)), rng.uniform(5, 30, (sequences, 1))
    return np.clip((STEPS - place) / width + 0.5, 0, 1)


def test_losses_are_of_sequences_with_a_polyp() -> None:
    polyp = np.zeros((4, 256), int)
    polyp[0, [3, 250]] = 1, 1
    polyp[1, 250] = 5  # the same sequence: half of one frame is missed and nothing of the other
    polyp[3, 3] = 2
    losses = missed_shares(polyp, np.array([0, 0, 1, 2]))
    assert losses.shape == (2, 255)
    assert losses[:, 2].tolist() == [0, 0]
    assert losses[:, 3].tolist() == [0.25, 1]
    assert losses[:, 250].tolist() == [1, 1]


def test_too_few_sequences_keep_no_risk() -> None:
    losses = np.zeros((8, 255))
    assert conformal_place(losses, 0.1) is None
    assert conformal_place(np.zeros((9, 255)), 0.1) == 254
    assert conformal_place(np.zeros((0, 255)), 0.1) is None
    assert np.isnan(left_out_losses(np.zeros((9, 255)), 0.1)).all()


def test_left_out_sequences_miss_what_was_asked_for() -> None:
    losses = missed(np.random.default_rng(1), 400)
    left_out = left_out_losses(losses, 0.1)
    assert left_out.mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sequences", [30, 100])
def test_risk_of_new_sequences_in_1000_trials(sequences: int) -> None:
    """The mean loss of a further sequence is at most the risk, and not far below it."""
    rng, risk = np.random.default_rng(7), 0.1
    new = []
    for _ in range(1000):
        losses = missed(rng, sequences + 1)
        place = conformal_place(losses[:-1], risk)
        new.append(0.0 if place is None else losses[-1, place])
    error = 3 * np.std(new) / np.sqrt(1000)
    assert risk - 2 / (sequences + 1) - error <= np.mean(new) <= risk + error


@pytest.mark.slow
def test_coverage_of_new_sequences_in_1000_trials() -> None:
    """With a loss of 0 or 1 the risk is one minus the coverage, which is to be 95 %."""
    rng, covered = np.random.default_rng(8), 0
    for _ in range(1000):
        losses = (missed(rng, 100) > 0.3).astype(float)
        place = conformal_place(losses[:-1], 0.05)
        assert place is not None
        covered += losses[-1, place] == 0
    assert 930 <= covered <= 970


@pytest.mark.slow
def test_frames_in_place_of_sequences_would_break_the_promise() -> None:
    """Frames of a few long videos taken for independent ones miss more than the risk."""
    rng, risk = np.random.default_rng(9), 0.1
    of_frames, of_sequences = [], []
    for _ in range(1000):
        losses = missed(rng, 13)
        frames = np.repeat(losses[:-1], rng.integers(20, 60, 12), axis=0)
        for found, place in (
            (of_frames, conformal_place(frames, risk)),
            (of_sequences, conformal_place(losses[:-1], risk)),
        ):
            found.append(0.0 if place is None else losses[-1, place])
    assert np.mean(of_sequences) <= risk
    assert np.mean(of_frames) > np.mean(of_sequences) + 0.03
