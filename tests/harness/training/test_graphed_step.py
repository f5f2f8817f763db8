"""When steps are recorded and replayed, and what a recording does, without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.training.graphed_step import WARM_UP, CudaRecorder, GraphedSteps, Step
from tests.harness.training.test_trainer import batch, trainer

CPU = torch.device("cpu")


def images(frames: int) -> Tensor:
    return torch.full((frames, 3, 2, 2), frames, dtype=torch.uint8)


def masks(frames: int) -> Tensor:
    return torch.zeros((frames, 2, 2), dtype=torch.uint8)


def step(batch: Tensor, _masks: Tensor) -> Tensor:
    return batch.float().mean()


class Log:
    """Notes what is asked of it, and computes like a GPU's recorder: on inputs of its own."""

    def __init__(self, refuse: bool = False) -> None:
        self.broken = False
        self.done: list[str] = []
        self.refuse = refuse

    def take(self, step: Step, images: Tensor, masks: Tensor) -> Tensor:
        self.done.append(f"take {len(images)}")
        return step(images, masks)

    def record(self, step: Step, images: Tensor, masks: Tensor) -> Step:
        self.done.append(f"record {len(images)}")
        if self.refuse:
            raise RuntimeError("operation not permitted\nwhen stream is capturing")
        inputs = torch.empty_like(images), torch.empty_like(masks)

        def replay(*given: Tensor) -> Tensor:
            self.done.append(f"replay {len(given[0])}")
            for place, value in zip(inputs, given, strict=True):
                place.copy_(value)
            return step(*inputs).clone()

        return replay


def test_a_shape_is_recorded_once_it_has_come_often() -> None:
    log = Log()
    steps = GraphedSteps(log)

    losses = [steps(step, images(n), masks(n)).item() for n in [8, 7, *[8] * (WARM_UP + 1), 7]]

    # The last batch of an epoch has a shape of its own, and may come once an epoch.
    taken = ["take 8", "take 7", *["take 8"] * (WARM_UP - 1)]
    assert log.done == [*taken, "record 8", "replay 8", "replay 8", "take 7"]
    assert losses == [8, 7, *[8] * (WARM_UP + 1), 7]


def test_shapes_have_recordings_of_their_own() -> None:
    log = Log()
    steps = GraphedSteps(log)

    for n in [8] * WARM_UP + [7] * WARM_UP:
        steps(step, images(n), masks(n))
    log.done.clear()
    losses = [steps(step, images(n), masks(n)).item() for n in (8, 7, 8)]

    assert log.done == ["record 8", "replay 8", "record 7", "replay 7", "replay 8"]
    assert losses == [8, 7, 8]


def test_what_cannot_be_recorded_goes_on_without_and_is_said_once() -> None:
    log = Log(refuse=True)
    steps = GraphedSteps(log)
    for _ in range(WARM_UP):
        steps(step, images(8), masks(8))

    with pytest.warns(UserWarning, match=r"\(operation not permitted\).*--no-cuda-graphs"):
        assert steps(step, images(8), masks(8)).item() == 8
    for n in [8] * 3 + [7] * (WARM_UP + 2):  # no second word, which would fail here
        assert steps(step, images(n), masks(n)).item() == n

    assert [word for word in log.done if word.startswith("record")] == ["record 8"]


def test_what_was_recorded_can_be_forgotten() -> None:
    log = Log()
    steps = GraphedSteps(log)
    for _ in range(WARM_UP + 1):
        steps(step, images(8), masks(8))
    log.done.clear()

    steps.forget()
    for _ in range(WARM_UP + 1):
        steps(step, images(8), masks(8))

    assert log.done == [*["take 8"] * WARM_UP, "record 8", "replay 8"]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_recorded_steps_train_the_same_weights(average: float) -> None:
    """Dropout, learning rate and average are those of each step's own position."""
    plain = trainer(ema_decay=average, schedule="one-cycle")
    graphed = trainer(ema_decay=average, schedule="one-cycle")
    log = Log()
    graphed._graphed = GraphedSteps(log)

    losses = [
        [made.step(*batch(index), epoch=0, index=index, passed=index).item() for index in range(8)]
        for made in (plain, graphed)
    ]

    assert log.done.count("replay 2") == 8 - WARM_UP
    assert losses[0] == losses[1]
    for ours, theirs in ((graphed.weights(), plain.weights()),
                         (graphed.network.state_dict(), plain.network.state_dict())):  # fmt: skip
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_validation_is_replayed_with_the_weights_of_its_time() -> None:
    plain, graphed = trainer(), trainer()
    log = Log()
    graphed._graphed_validation = GraphedSteps(log)
    batches = [batch(seed) for seed in range(WARM_UP + 2)]

    found = []
    for made in (plain, graphed):
        before = made.overlaps(batches)
        made.step(*batch(), epoch=0, index=0, passed=0)
        found.append((before, made.overlaps(batches)))

    assert log.done.count("replay 2") == 2 + WARM_UP + 2
    assert [torch.equal(*pair) for pair in zip(*found, strict=True)] == [True, True]
    assert not torch.equal(*found[0])


def test_a_state_that_is_loaded_ends_the_recordings() -> None:
    made = trainer()
    log = Log()
    made._graphed = GraphedSteps(log)
    for index in range(WARM_UP + 1):
        made.step(*batch(index), epoch=0, index=index, passed=index)

    made.load_state_dict(made.state_dict())
    log.done.clear()
    made.step(*batch(), epoch=0, index=0, passed=0)

    assert log.done == ["take 2"]


class FakeCuda:
    """Stands for ``torch.cuda``: a graph here runs its work again when it is replayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events: list[Any] = []
        self.graphs = 0
        self.fails: RuntimeError | None = None
        self.generators: list[str] = []
        monkeypatch.setattr(torch.cuda, "default_generators", [self])
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
        monkeypatch.setattr(torch.cuda, "Stream", self.new_stream)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", self.new_graph)
        for name in ("current_stream", "stream", "device", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))

    class Streamed:
        def __init__(self, name: str, events: list[Any]) -> None:
            self.name, self._events = name, events

        def wait_stream(self, other: FakeCuda.Streamed) -> None:
            self._events.append(f"{self.name} waits for {other.name}")

    def new_stream(self, device: torch.device) -> Streamed:
        assert device == CPU
        return self.Streamed("own", self.events)

    def current_stream(self, device: torch.device) -> Streamed:
        assert device == CPU
        return self.Streamed("current", self.events)

    @contextmanager
    def stream(self, stream: Streamed) -> Iterator[None]:
        self.events.append(f"on {stream.name}")
        yield
        self.events.append(f"off {stream.name}")

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        assert device == CPU
        yield

    def new_graph(self) -> Any:
        self.graphs += 1
        number, events = self.graphs, self.events

        class Graph:
            def pool(self) -> str:
                return "pool"

            def replay(self) -> None:
                events.append(f"replay {number}")

        return Graph()

    @contextmanager
    def graph(self, _graph: Any, **options: Any) -> Iterator[None]:
        self.events.append((options["pool"], options["stream"].name, options["capture_error_mode"]))
        try:
            yield
        finally:
            if self.fails is not None:
                raise self.fails

    def clone_state(self) -> str:
        return "anew"

    def graphsafe_set_state(self, state: str) -> None:
        self.generators.append(state)


def test_steps_are_recorded_on_a_stream_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = FakeCuda(monkeypatch)
    recorder = CudaRecorder(CPU)
    seen: list[Tensor] = []
    loss = torch.tensor(0.0)

    def noted(images: Tensor, _masks: Tensor) -> Tensor:
        cuda.events.append("step")
        seen.append(images)
        return loss

    own = ["own waits for current", "on own", "step", "off own", "current waits for own"]
    recorder.take(noted, images(8), masks(8))
    assert cuda.events == own
    cuda.events.clear()
    given = images(8).contiguous(memory_format=torch.channels_last)
    replay = recorder.record(noted, given, masks(8))
    options = (None, "own", "thread_local")
    assert cuda.events == [*own[:2], options, *own[2:]]
    assert seen[-1].is_contiguous(memory_format=torch.channels_last)
    recorder.record(noted, images(7), masks(7))
    assert ("pool", "own", "thread_local") in cuda.events  # the second shares the first's memory

    cuda.events.clear()
    loss.fill_(0.5)
    got = replay(given, masks(8))
    loss.fill_(0.25)  # as the next replay does

    assert cuda.events == ["replay 1"]
    assert torch.equal(seen[1], given)  # where the recorded step reads
    assert got.item() == 0.5


def test_recordings_that_are_gone_leave_no_memory_to_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = FakeCuda(monkeypatch)
    recorder = CudaRecorder(CPU)
    held = [recorder.record(step, images(8), masks(8))]
    held.clear()
    cuda.events.clear()

    recorder.record(step, images(8), masks(8))

    assert (None, "own", "thread_local") in cuda.events


@pytest.mark.parametrize("full", [False, True])
def test_after_a_recording_that_cuda_ended_steps_draw_and_none_is_replayed(
    monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    cuda = FakeCuda(monkeypatch)
    recorder = CudaRecorder(CPU)

    def item(images: Tensor, _masks: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")

    cuda.fails = RuntimeError("CUDA error: operation failed due to a previous error")
    if full:  # torch's allocator says so without an error of CUDA
        cuda.fails = torch.OutOfMemoryError("CUDA out of memory.")
    steps = GraphedSteps(recorder)
    steps._taken[images(8).shape] = WARM_UP
    with pytest.raises(RuntimeError, match="not permitted"), pytest.warns() as said:
        steps(item, images(8), masks(8))

    (warned,) = said
    assert "(CUDA error: operation not permitted when stream is capturing)" in str(warned.message)
    assert recorder.broken is not full
    assert cuda.generators == ["anew"] * (not full)
