"""A network as it runs best on its device, with masks that do not depend on how it is run.

On a CPU each frame goes through each member of an ensemble by itself, on one thread, and the
threads share out these pieces. A convolution's sums are added in another order for another size of
the batch or number of threads; a piece is always the same, so its bits are too. It is also the
faster way, since no operator waits for its slowest thread.

On a GPU a batch goes through all members at once, filled up to its full size so that it is always
the same work, and on CUDA recorded once and replayed (a CUDA graph).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.config.training import Precision
from harness.inference.fuse import fused
from harness.runs.network import Softmax
from harness.utils import device as devices
from models.divergentnets import DivergentNets

_TRIAL = 64  # side of the images that a rewritten network is tried on


class Engine:
    """Probabilities of a batch of frames.

    Args:
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities (N, C, S, S) out.
        device: Where it runs.
        precision: ``fp32`` or ``bf16``.
        batch_size: Frames that a GPU's batch is filled up to.
        each: Class whose probabilities by each member follow behind their mean; 0 for none.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int,
        each: int = 0,
    ) -> None:
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.each = each
        members = [_prepared(member, device, precision) for member in _members(network)]
        self.members = members
        self._seconds = [0.0] * len(members)
        self._threads = devices.single_threads() if device.type == "cpu" else None
        self._graphs: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """The mean of the members' probabilities, (N, C, S, S) float32 on the device.

        With ``each`` (N, C + members, S, S): behind the mean stands that class by each member.

        Args:
            images: (N, 3, S, S) float on the device, on the scale 0 to 255.
        """
        if self._threads is not None:
            return self._joined(self._shared_out(images, self._threads))
        count = len(images)
        filled = functional.pad(images, (0, 0) * 3 + (0, max(0, self.batch_size - count)))
        filled = filled.contiguous(memory_format=torch.channels_last)
        run = self._replayed if self.device.type == "cuda" else self._together
        return run(filled)[:count]

    def _shared_out(self, images: Tensor, threads: ThreadPoolExecutor) -> list[Tensor]:
        """Each member's probabilities of all images, one frame and member a piece.

        The member that took longest the last time goes first, so that no thread is left alone with
        it at the end.
        """
        order = sorted(range(len(self.members)), key=self._seconds.__getitem__, reverse=True)
        pieces = [(place, image[None]) for place in order for image in images]
        results = threads.map(self._piece, pieces)
        by_place = {place: torch.cat([next(results) for _ in images]) for place in order}
        return [by_place[place] for place in range(len(self.members))]

    def _piece(self, piece: tuple[int, Tensor]) -> Tensor:
        place, image = piece[0], piece[1].contiguous(memory_format=torch.channels_last)
        start = time.perf_counter()
        with torch.inference_mode(), devices.autocast(self.device, self.precision):
            output: Tensor = self.members[place](image)
        self._seconds[place] = time.perf_counter() - start
        return output.float()

    def _together(self, images: Tensor) -> Tensor:
        with _exact(self.device, self.precision), devices.autocast(self.device, self.precision):
            return self._joined([member(images).float() for member in self.members])

    def _joined(self, members: Sequence[Tensor]) -> Tensor:
        mean = _mean(members)
        if not self.each:
            return mean
        return torch.cat([mean, *(member[:, self.each, None] for member in members)], dim=1)

    def _replayed(self, images: Tensor) -> Tensor:
        """Recorded at the first batch of a shape, replayed at the others."""
        if images.shape not in self._graphs:
            inputs = images.clone(memory_format=torch.channels_last)
            stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                for _ in range(2):  # cuDNN chooses its kernels before anything is recorded
                    self._together(inputs)
            torch.cuda.current_stream(self.device).wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                output = self._together(inputs)
            self._graphs[images.shape] = (graph, inputs, output)
        graph, inputs, output = self._graphs[images.shape]
        inputs.copy_(images)
        graph.replay()
        return output.clone()


def _mean(members: Sequence[Tensor]) -> Tensor:
    """As ``DivergentNets`` has it: added up one after another."""
    total = members[0]
    for member in members[1:]:
        total = total + member
    return total / len(members)


def _members(network: nn.Module) -> list[nn.Module]:
    """Networks whose probabilities are averaged; a single network is its own only member."""
    if isinstance(network, DivergentNets):
        return [Softmax(member) for member in network.members]
    return [network]


def _prepared(member: nn.Module, device: torch.device, precision: Precision) -> nn.Module:
    member = member.to(device).eval()
    example = torch.rand(1, 3, _TRIAL, _TRIAL, generator=torch.Generator().manual_seed(0)) * 255
    made = fused(member, example.to(device)).to(memory_format=torch.channels_last)
    if precision == "bf16":
        _keep_as_bf16(made)
    return made


def _keep_as_bf16(member: nn.Module) -> None:
    """Hold the kernels as autocast would convert them for every single frame."""
    for module in member.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if weight.ndim == 4:
                kept = nn.Parameter(weight.to(torch.bfloat16), requires_grad=False)
                setattr(module, name, kept)


def _exact(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Float32 in full, where cuDNN would round convolutions' inputs to 10 bits (TF32)."""
    if device.type != "cuda" or precision != "fp32":
        return contextlib.nullcontext()
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
