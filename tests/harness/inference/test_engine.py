"""The bits of a probability depend on the frame and the network, and on nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

import models
from harness.inference import engine as engines
from harness.inference.engine import Engine, current_device
from harness.utils import device as devices
from models.divergentnets import DivergentNets

CPU = torch.device("cpu")
SECOND = torch.device("cuda", 1)
MEMBERS = ("unet++", "fpn", "deeplabv3")


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """torch's operators use so many threads within the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def ensemble() -> nn.Module:
    torch.manual_seed(0)
    members = {
        name: models.create(name, encoder="tu-test_resnet", encoder_weights=None).eval()
        for name in MEMBERS
    }
    return DivergentNets(members).eval()


@pytest.fixture(scope="module")
def frames() -> Tensor:
    return torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255


@pytest.fixture(scope="module")
def reference(ensemble: nn.Module, frames: Tensor) -> Tensor:
    """One frame at a time, on one thread."""
    with on_threads(1):
        made = engine(ensemble)
        return torch.cat([made(frame[None]) for frame in frames])


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    with on_threads(1):
        yield


def engine(network: nn.Module, precision: str = "fp32") -> Engine:
    return Engine(network, device=CPU, precision=precision, batch_size=4)


def test_the_mean_of_the_members(ensemble: nn.Module, frames: Tensor) -> None:
    with torch.inference_mode():
        expected = ensemble(frames)

    assert torch.allclose(engine(ensemble)(frames), expected, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_no_bit_depends_on_batch_threads_or_order(
    ensemble: nn.Module, frames: Tensor, reference: Tensor, threads: int, batch: int
) -> None:
    with on_threads(threads):
        made = engine(ensemble)
        output = torch.cat([made(part) for part in frames[:3].flip(0).split(batch)]).flip(0)

    assert torch.equal(output, reference[:3])
    assert reference.std() > 1e-3


def test_the_callers_threads_stay_as_they_were() -> None:
    with on_threads(3):
        pool = devices.single_threads()
        inside = list(pool.map(lambda _: torch.get_num_threads(), range(6)))
        assert torch.get_num_threads() == 3
    assert inside == [1] * 6


def test_bf16_is_near_and_leaves_the_network_as_it_was(
    ensemble: nn.Module, frames: Tensor, reference: Tensor
) -> None:
    rounded = engine(ensemble, "bf16")(frames)

    assert not torch.equal(rounded, reference)
    assert (rounded - reference).abs().mean() < 0.01
    assert all(weight.dtype == torch.float32 for weight in ensemble.parameters())
    assert torch.equal(engine(ensemble)(frames), reference)


def test_bf16_converts_nothing_at_each_call(
    ensemble: nn.Module, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(ensemble, "bf16")
    rounded = made(frames[:1])
    convolutions = [
        module
        for member in made.members
        for module in member.modules()
        if any(weight.ndim == 4 for weight in module.parameters(recurse=False))
    ]
    monkeypatch.setattr(engines, "_keep_as_bf16", lambda _: None)

    assert len(convolutions) > 20
    for module in convolutions:
        assert {weight.dtype for weight in module.parameters(recurse=False)} == {torch.bfloat16}
    assert torch.equal(engine(ensemble, "bf16")(frames[:1]), rounded)


def test_the_longest_member_goes_first_and_changes_nothing(
    ensemble: nn.Module, frames: Tensor, reference: Tensor
) -> None:
    made = engine(ensemble)
    begun: list[int] = []
    for place, member in enumerate(made.members):
        member.register_forward_pre_hook(lambda *_, place=place: begun.append(place))
    made._seconds = [1.0, 3.0, 2.0]

    assert torch.equal(made(frames[:2]), reference[:2])
    assert begun == [1, 1, 2, 2, 0, 0]
    assert all(seconds not in (1.0, 2.0, 3.0) for seconds in made._seconds)


def test_a_rewriting_that_is_refused_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    class Twice(nn.Module):
        """Its convolution's output goes into the batch norm, and around it."""

        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(3, 2, 1)
            self.norm = nn.BatchNorm2d(2)
            nn.init.constant_(self.convolution.weight, 1e-3)
            nn.init.constant_(self.norm.running_mean[1:], 1.0)

        def forward(self, images: Tensor) -> Tensor:
            between = self.convolution(images)
            return self.norm(between) + between

    engine(DivergentNets({"plain": nn.Conv2d(3, 2, 1), "twice": Twice()}).eval())

    said = capsys.readouterr().err
    assert "twice runs as it was trained" in said
    assert "plain" not in said


# What only a GPU does, as far as a CPU can do it.


@pytest.mark.parametrize("with_members", [False, True])
def test_all_members_at_once_say_what_frames_one_by_one_do(
    ensemble: nn.Module, frames: Tensor, with_members: bool
) -> None:
    made = Engine(ensemble, device=CPU, precision="fp32", batch_size=4, with_members=with_members)
    images = frames[:4] / 255  # on its scale of 0 to 255 these networks' logits are huge
    with torch.inference_mode():
        together = made._together(images)

    assert together.shape[1] == 2 + 2 * with_members * len(MEMBERS)
    assert torch.allclose(together, made(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_padding_never_changes_the_real_frames(
    ensemble: nn.Module, frames: Tensor, count: int
) -> None:
    made = engine(ensemble)
    others = torch.cat([frames[:count], frames.flip(0)[: 4 - count]])
    with torch.inference_mode():
        padded = made._padded(frames[:count])
        output = made._together(padded)[:count]
        beside_others = made._together(made._padded(others))[:count]

    assert padded.shape == (4, 3, 64, 64)
    assert torch.equal(padded[:count], frames[:count])
    assert not padded[count:].any()
    assert torch.equal(output, beside_others)
    assert torch.allclose(output, made(frames[:count]), atol=1e-5)


def rounding() -> tuple[str, str, bool, bool]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.conv.fp32_precision, matmul.fp32_precision, cudnn.deterministic, cudnn.benchmark


class FakeCuda:
    """Stands in for torch.cuda: keeps the current device and streams of each thread.

    A graph's replay does the work anew on the tensors of the recording.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.local = threading.local()
        self.recordings: list[tuple[torch.device, object, str]] = []
        self.recording = threading.Lock()
        self.redo: Callable[[], None] = lambda: None
        fake = self

        class Device:
            def __init__(self, device: torch.device) -> None:
                self.device = device

            def __enter__(self) -> None:
                self.before = fake.current()
                fake.local.device = self.device

            def __exit__(self, *_: object) -> None:
                fake.local.device = self.before

        class Stream:
            def __init__(self, device: torch.device) -> None:
                self.device = device

            def wait_stream(self, _: object) -> None:
                assert fake.current() == self.device

            def __enter__(self) -> None:
                assert fake.current() == self.device

            def __exit__(self, *_: object) -> None: ...

        class Graph:
            def replay(self) -> None:
                assert fake.current() == SECOND
                fake.redo()

        class Record:
            def __init__(self, _: object, *, stream: Stream, capture_error_mode: str) -> None:
                fake.recordings.append((fake.current(), stream.device, capture_error_mode))

            def __enter__(self) -> None:
                assert fake.recording.acquire(blocking=False), "two recordings at once"

            def __exit__(self, *_: object) -> None:
                fake.recording.release()

        monkeypatch.setattr(torch.cuda, "device", Device)
        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: stream)
        monkeypatch.setattr(torch.cuda, "current_stream", Stream)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", Record)

    def current(self) -> torch.device:
        return getattr(self.local, "device", torch.device("cuda", 0))

    def engine(self, network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Engine:
        """An engine that believes it runs on the second GPU."""
        made = engine(network)
        monkeypatch.setattr(made, "device", SECOND)
        monkeypatch.setattr(made, "_threads", None)
        return made


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    return FakeCuda(monkeypatch)


def test_a_graph_is_recorded_once_a_shape_on_the_engines_own_device(
    cuda: FakeCuda, ensemble: nn.Module, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cuda.engine(ensemble, monkeypatch)
    seen: list[tuple[str, str, bool, bool]] = []
    made.members[0].register_forward_pre_hook(lambda *_: seen.append(rounding()))

    def redo() -> None:
        _, inputs, output = made._graphs[torch.Size([4, 3, 64, 64])]
        output.copy_(made._together(inputs))

    cuda.redo = redo
    first = made(frames[:2])
    assert set(seen) == {("ieee", "ieee", True, False)} | {rounding()}
    assert len(seen) == engines._WARM_UPS + 1 + 1  # the last by the replay
    second = made(frames[2:5])
    cuda.redo = lambda: None
    made(frames[:1, :, :32, :32])

    assert [one[0] for one in cuda.recordings] == [SECOND, SECOND]
    assert {one[1:] for one in cuda.recordings} == {(SECOND, "thread_local")}
    assert [len(first), len(second)] == [2, 3]
    expected = engine(ensemble)(frames)
    assert torch.allclose(torch.cat([first, second]), expected, atol=1e-5)
    assert cuda.current() == torch.device("cuda", 0)


def test_a_network_that_cannot_be_recorded_predicts_without(
    cuda: FakeCuda,
    frames: Tensor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Looks(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            if cuda.recording.locked():
                raise RuntimeError("operation not permitted when stream is capturing\nand more")
            return images[:, :2] / 255

    made = cuda.engine(Looks(), monkeypatch)
    small = frames[:, :, :32, :32]

    assert torch.equal(made(frames[:3]), frames[:3, :2] / 255)
    assert torch.equal(made(small[:2]), small[:2, :2] / 255)
    assert len(cuda.recordings) == 1
    assert capsys.readouterr().err.count("(operation not permitted when stream is capturing)") == 1


def test_engines_in_two_threads_record_one_after_the_other(
    cuda: FakeCuda, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            threading.Event().wait(0.02)  # time for the other thread to come in
            return images[:, :2] / 255

    made = [cuda.engine(Slow(), monkeypatch) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda one: one(frames), made))

    assert len(cuda.recordings) == 2
    assert torch.equal(*outputs)


def test_two_threads_of_one_engine_keep_their_frames_apart(
    cuda: FakeCuda, frames: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Colours(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images[:, :2] / 255

    made = cuda.engine(Colours(), monkeypatch)

    def redo() -> None:
        ((_, inputs, output),) = made._graphs.values()
        threading.Event().wait(0.02)  # time for the other thread to come in
        output.copy_(inputs[:, :2] / 255)

    cuda.redo = redo
    with ThreadPoolExecutor(2) as pool:
        outputs = list(pool.map(lambda one: made(one[None]), frames[:4]))

    assert torch.equal(torch.cat(outputs), frames[:4, :2] / 255)


def test_the_rewritten_network_is_tried_in_exact_float32(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []

    def tried(network: nn.Module, *_: object, **__: object) -> nn.Module:
        seen.append((cuda.current(), *rounding()))
        return network

    monkeypatch.setattr(engines, "fused", tried)
    monkeypatch.setattr(nn.Module, "to", lambda module, *_, **__: module)
    monkeypatch.setattr(Tensor, "to", lambda tensor, *_, **__: tensor)
    made = Engine(nn.Identity(), device=torch.device("cuda"), precision="bf16", batch_size=1)

    assert seen == [(SECOND, "ieee", "ieee", True, False)]
    assert made.device == SECOND  # the one that was current where it was built


def test_only_cuda_has_a_current_device(cuda: FakeCuda) -> None:
    with current_device(SECOND):
        assert cuda.current() == SECOND
    with current_device(CPU):
        assert cuda.current() == torch.device("cuda", 0)
