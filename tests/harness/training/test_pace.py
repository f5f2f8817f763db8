"""Steps are queued at most two ahead."""

from __future__ import annotations

import pytest
import torch

from harness.training.pace import Pace


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
