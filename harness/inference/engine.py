"""Run a network for prediction in the way that is fastest on its device.

On a CPU the work is cut into pieces, one frame through one member of an ensemble each, and every
piece runs on a single thread of a pool. With another batch size or number of threads, a convolution
adds its terms in another order, and the last bits change; a piece is always computed in the same
way, so its bits never do. It is also faster, since no operator waits for its slowest thread.

On a GPU a batch goes through all members at once, padded to the full batch size so that its shape
is always the same. On CUDA the members run beside each other, each on a stream of its own, and all
of it is recorded once per shape as a CUDA graph, which is then replayed for every batch: a GPU that
is given thousands of small kernels one by one waits for most of them.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.inference.turns import current_device
from harness.utils import console
from harness.utils import device as devices
from harness.utils.device import Precision
from models.divergentnets import DivergentNets
from models.fusion import mean_of_members
from models.simplify_network import fused, refusal

_TRIAL: Final = 64  # side, in pixels, of the image that a rewritten network is compared on
_WARM_UPS: Final = 2


_Graph = tuple[torch.cuda.CUDAGraph, Tensor, Tensor]
"""A recorded batch, the tensor that it reads and the one that it writes."""


class Engine:
    """Computes the probabilities of batches of frames.

    Args:
        network: Images (N, 3, S, S) on the scale 0 to 255 in, probabilities (N, C, S, S) out.
        device: Where it runs.
        precision: ``fp32`` or ``bf16``.
        batch_size: Number of frames that a GPU's batches are padded to.
        with_members: Whether the probabilities of each member follow behind their mean.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: torch.device,
        precision: Precision,
        batch_size: int,
        with_members: bool = False,
    ) -> None:
        self.device = _with_index(device)
        self.precision = precision
        self.batch_size = batch_size
        self.with_members = with_members
        self._threads = devices.single_threads() if device.type == "cpu" else None
        # Preparing runs many small operators: threads that share one mostly wait for each other.
        each = self._threads.map if self._threads else map
        prepare = partial(_prepared, device=self.device, precision=precision)
        self.members = list(each(prepare, *zip(*_members(network), strict=True)))
        fusion = network.fusion if isinstance(network, DivergentNets) else None
        self._fusion = fusion.to(self.device).eval() if fusion is not None else None
        self._seconds = [0.0] * len(self.members)
        self._graphs: dict[torch.Size, _Graph] = {}
        self._records = True
        self._replaying = threading.Lock()

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """The mean of the members' probabilities, (N, C, S, S) float32 on the device.

        With ``with_members`` (N, C + C members, S, S): the members' follow the mean.

        Args:
            images: (N, 3, S, S) float on the device, on the scale 0 to 255.
        """
        if self._threads is not None:
            return self._joined(self._shared_out(images, self._threads))
        padded = self._padded(images)
        with current_device(self.device):
            run = self._replayed if self.device.type == "cuda" else self._together
            return run(padded)[: len(images)]

    @property
    def shares(self) -> list[float]:
        """Each member's share of the time that the last batch took; equal where it is unknown."""
        total = sum(self._seconds)
        return [one / total if total else 1 / len(self.members) for one in self._seconds]

    def _padded(self, images: Tensor) -> Tensor:
        """The images, channels last, padded with black ones to the batch size."""
        missing = max(0, self.batch_size - len(images))
        padded = functional.pad(images, (0, 0) * 3 + (0, missing)) if missing else images
        return padded.contiguous(memory_format=torch.channels_last)

    def _shared_out(self, images: Tensor, threads: ThreadPoolExecutor) -> list[Tensor]:
        """Each member's probabilities of all images; a piece is one image through one member.

        The slowest member's pieces go first (by the time they took in the last batch): begun last,
        one of them would keep a single thread busy while the others have nothing left to do.
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
        with devices.autocast(self.device, self.precision):
            return self._joined([member(images).float() for member in self.members])

    def _on_streams(self, images: Tensor, streams: Sequence[torch.cuda.Stream]) -> Tensor:
        """As ``_together``, with each member on a stream of its own, so that they run at once.

        With few frames in a batch, the kernels of one member are too small to fill a GPU.
        """
        main = torch.cuda.current_stream(self.device)
        outputs = []
        with devices.autocast(self.device, self.precision):
            for member, stream in zip(self.members, streams, strict=True):
                stream.wait_stream(main)
                with torch.cuda.stream(stream):
                    outputs.append(member(images).float())
            for stream in streams:
                main.wait_stream(stream)
            return self._joined(outputs)

    def _joined(self, members: Sequence[Tensor]) -> Tensor:
        mean = self._fused(members) if self._fusion else mean_of_members(members)
        return torch.cat([mean, *members], dim=1) if self.with_members else mean

    def _fused(self, members: Sequence[Tensor]) -> Tensor:
        """The members' maps as one by the learned fusion; on a CPU frame by frame, as all is."""
        fusion, maps = self._fusion, torch.stack(list(members), dim=1)
        if self._threads is None:
            with torch.autocast(self.device.type, enabled=False):
                return fusion(maps)  # type: ignore[no-any-return, misc]

        def one(at: int) -> Tensor:
            with torch.inference_mode():
                return fusion(maps[at, None])  # type: ignore[no-any-return, misc]

        return torch.cat(list(self._threads.map(one, range(len(maps)))))

    def _replayed(self, images: Tensor) -> Tensor:
        """Record a graph for the first batch of a shape, replay it for all.

        One thread at a time, since all batches of a shape pass through the graph's own tensors.
        """
        with self._replaying:
            if images.shape not in self._graphs and self._records:
                self._record(images)
            if images.shape not in self._graphs:
                with devices.CUDA_SWITCHES, self._exact():
                    return self._together(images)
            graph, inputs, output = self._graphs[images.shape]
            inputs.copy_(images)
            graph.replay()
            return output.clone()

    def _exact(self) -> AbstractContextManager[object]:
        is_exact = self.precision == "fp32"
        return devices.exact_float32(self.device) if is_exact else contextlib.nullcontext()

    def _time_members(self, images: Tensor) -> None:
        """Time one member after the other, since those in a graph cannot be told apart."""
        for place, member in enumerate(self.members if self.with_members else ()):
            torch.cuda.synchronize(self.device)
            start = time.perf_counter()
            with devices.autocast(self.device, self.precision):
                member(images)
            torch.cuda.synchronize(self.device)
            self._seconds[place] = time.perf_counter() - start

    def _record(self, images: Tensor) -> None:
        """Record all members' work on a batch of this shape, if it can be recorded."""
        # A graph is a list of kernels with the addresses that they read and write. Each batch is
        # therefore copied into `inputs`, and the result out of `output`. Before the recording, a
        # warm-up lets cuDNN and cuBLAS choose kernels and reserve memory, which a graph cannot
        # hold. Both happen on a side stream, since the default stream cannot be recorded.
        # 'thread_local' makes calls that cannot be recorded fail in this thread only; others go on
        # with their work.
        with devices.CUDA_SWITCHES, self._exact():
            inputs = images.clone(memory_format=torch.channels_last)
            stream, *streams = [
                torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
                for _ in range(1 + len(self.members))
            ]
            stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UPS):
                    self._on_streams(inputs, streams)
            torch.cuda.current_stream(self.device).wait_stream(stream)
            self._time_members(inputs)
            gc.collect()  # so that no older graph is destroyed in the midst of the recording
            graph = torch.cuda.CUDAGraph()
            try:
                with (
                    torch.cuda.stream(stream),  # which a recording that fails does not leave itself
                    torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"),
                ):
                    output = self._on_streams(inputs, streams)
            except RuntimeError as error:
                self._records = False  # what cannot be recorded at one shape cannot at another
                console.warn(
                    "the network could not be recorded as a CUDA graph "
                    f"({devices.graph_fault(error)}). It predicts without, which is slower."
                )
            else:
                self._graphs[images.shape] = graph, inputs, output


def _members(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Names and networks whose probabilities are averaged; a single network is the only member."""
    if isinstance(network, DivergentNets):
        return list(zip(network.names, network.members, strict=True))
    return [("the network", network)]


def _with_index(device: torch.device) -> torch.device:
    """``cuda`` with the index of the current device, which differs between threads."""
    if device == torch.device("cuda"):
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _prepared(
    name: str, member: nn.Module, device: torch.device, precision: Precision
) -> nn.Module:
    """A member rewritten for prediction, on its device and in its precision."""

    def refused(difference: float) -> None:
        console.warn(refusal(name, difference))

    member = member.to(device).eval()
    example = torch.rand(1, 3, _TRIAL, _TRIAL, generator=torch.Generator().manual_seed(0)) * 255
    with current_device(device), devices.exact_float32(device):
        made = fused(member, example.to(device), refused=refused)
    made = made.to(memory_format=torch.channels_last)
    if precision == "bf16":
        _keep_as_bf16(made)
    return made


def _keep_as_bf16(member: nn.Module) -> None:
    """Store what convolutions multiply and add in bfloat16; autocast would convert it each time."""
    for module in member.modules():
        own = dict(module.named_parameters(recurse=False))
        if any(weight.ndim == 4 for weight in own.values()):
            for name, weight in own.items():
                if weight.ndim == 4 or name == "bias":
                    kept = nn.Parameter(weight.to(torch.bfloat16), requires_grad=False)
                    setattr(module, name, kept)
