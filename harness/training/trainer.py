"""One step, one epoch, one validation of one network.

Nothing here reads or writes a file. Everything random is drawn from the seed and the position in
the run, so that a run continued from any epoch or step goes on as if it had never stopped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from harness.config.training import TrainConfig
from harness.training import optimiser as optimisers
from harness.training import schedules
from harness.training.bf16_weights import Bf16Weights
from harness.training.cost import has_unused_weights
from harness.training.distributed import SINGLE, ProcessGroup
from harness.training.ema import MovingAverage
from harness.training.graphed_step import CudaRecorder, GraphedSteps
from harness.training.teacher import Teacher, blend
from harness.utils import device as devices
from metrics.endocv import SMOOTHING
from models import losses

# Mixes epoch and step into the seed; any odd constants far apart would do.
_EPOCH_STRIDE, _STEP_STRIDE, _RANK_STRIDE = 1_000_003, 7_919, 500_009


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Mean IoU and F1 (Dice) over the validation frames, for the chosen class at network size."""

    iou: float
    f1: float
    frames: int


class Trainer:
    """A network, its optimiser and the average of its weights.

    Args:
        config: The recipe.
        network: Normalised images (N, 3, H, W) in, logits (N, C, H, W) out.
        device: Where it trains.
        normalisation: Mean and standard deviation of the encoder's training images, three values
            each on the scale 0 to 1.
        steps: Steps of the whole run, for the schedule.
        group: The processes that train it together; each has a trainer.
        teacher: Gives the probabilities of images that the network learns beside the masks.
        graphs: Whether the work on a batch, in training and in validation, is recorded as CUDA
            graphs, which takes a GPU and a single process.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: nn.Module,
        *,
        device: torch.device,
        normalisation: tuple[tuple[float, ...], tuple[float, ...]],
        steps: int,
        group: ProcessGroup = SINGLE,
        teacher: Teacher | None = None,
        graphs: bool = True,
    ) -> None:
        self.config = config
        self.teacher = teacher
        self.device = device
        self.group = group
        unused = not group.is_single and has_unused_weights(network, config.size)
        self.network = group.prepare(network.to(device).to(memory_format=torch.channels_last))
        # The wrapped and compiled network is another object, so that the weights keep their names.
        # Wrapping gives them the main process's values, and so comes before they are averaged.
        self._forward = _compiled(config, group.wrap(self.network, device, unused=unused))
        self.channel = config.classes.channel
        self.loss = losses.create(config.loss, channel=self.channel)
        self.steps = steps
        self.optimiser = optimisers.create(config, self.network, device)
        self.average = MovingAverage(self.network, config.ema_decay) if config.ema_decay else None
        # The processes of a group validate different numbers of batches, so each by itself.
        self._validated = self.network if self.average is None else self.average.module
        own = self.average is None and group.is_single
        self._infer = self._forward if own else _compiled(config, self._validated)
        mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in normalisation)
        self._mean, self._std = mean, std
        in_bf16 = devices.precision(config.precision, device) == "bf16"
        plain = group.is_single and not config.compile
        self._bf16 = Bf16Weights(self.network) if in_bf16 and plain else None
        self._pace = Pace(device)
        graphed = graphs and device.type == "cuda" and group.is_single
        recorder = CudaRecorder(device) if graphed else None
        self._graphed = GraphedSteps(recorder) if recorder else None
        self._graphed_validation = GraphedSteps(recorder) if recorder else None

    @property
    def learning_rate(self) -> float:
        """Of the last step, or of the state that was loaded."""
        return float(self.optimiser.param_groups[0]["lr"])

    def normalise(self, images: Tensor) -> Tensor:
        """Images as the encoder expects them.

        Args:
            images: (N, 3, H, W) uint8 on any device.

        Returns:
            Tensor: (N, 3, H, W) float32, channels last, on the trainer's device.
        """
        values = devices.moved(images, self.device).float()
        return ((values - self._mean) / self._std).contiguous(memory_format=torch.channels_last)

    def step(
        self,
        images: Tensor,
        masks: Tensor,
        *,
        epoch: int,
        index: int,
        passed: int,
        frames: int | None = None,
    ) -> Tensor:
        """One optimiser step.

        Images (N, 3, H, W) uint8 and masks (N, H, W) uint8 class indices are this process's share
        of a batch of ``frames``, by default the whole. ``epoch`` and ``index``, the step within it,
        count from 0; ``passed`` counts the whole run's steps before this one.

        Returns:
            Tensor: The loss of the whole batch, a scalar left on the device so that nothing waits
            for it.
        """
        torch.manual_seed(self._seed(epoch, index))
        rate = schedules.learning_rate(self.config, epoch=epoch, passed=passed, steps=self.steps)
        optimisers.set_learning_rate(self.optimiser, rate)
        if self._graphed is None:
            loss = self._advance(images, masks, frames)
        else:
            loss = self._graphed(self._advance, images, masks)
        if self.average is not None:
            self.average.update()
        self._pace.step()
        return loss

    def _seed(self, epoch: int, index: int) -> int:
        """The seed of a step, for dropout, which draws from the global generator.

        It depends on the position alone, so that a resumed run draws what an unbroken one does.
        """
        position = _EPOCH_STRIDE * (epoch + 1) + _STEP_STRIDE * (index + 1)
        return (self.config.seed + position + _RANK_STRIDE * self.group.rank) % 2**32

    def _advance(self, images: Tensor, masks: Tensor, frames: int | None = None) -> Tensor:
        """The part of a step that a CUDA graph can repeat: nothing in it depends on the position.

        Parameters as for :meth:`step`, and the same result.
        """
        self.network.train()  # validation may have left it in eval mode
        # With None the gradients of a recorded step lie in the graph's own memory.
        self.optimiser.zero_grad(set_to_none=True)
        with devices.exact_float32(self.device, deterministic=False):
            truth = devices.moved(masks, self.device).long()
            logits = self._logits(self._bf16 or self._forward, images)
            logits, truth = self.group.whole_batch(logits, truth, frames or len(images))
            if self.teacher is not None:
                with self._autocast():
                    taught = self.teacher(devices.moved(images, self.device))
                truth = blend(truth, taught, self.config.teacher_weight)
            loss: Tensor = self.loss(logits, truth)
            # DDP averages the gradients of the processes, but the whole batch's are their sum.
            loss.backward(torch.full_like(loss, self.group.world_size))  # type: ignore[no-untyped-call]
            if self._bf16 is not None:
                self._bf16.move_gradients()
        self.optimiser.step()
        return loss.detach()

    @torch.no_grad()
    def validate(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Validation:
        """Validate the weights that a checkpoint would keep.

        Args:
            batches: Pairs of images (N, 3, H, W) uint8 and masks (N, H, W) uint8; each process of a
                group gets every ``world_size``-th batch.
        """
        true_positive, predicted, truth = self.overlaps(batches).double().numpy()
        union = predicted + truth - true_positive
        return Validation(
            iou=float(np.mean((true_positive + SMOOTHING) / (union + SMOOTHING))),
            f1=float(np.mean((2 * true_positive + SMOOTHING) / (predicted + truth + SMOOTHING))),
            frames=len(truth),
        )

    @torch.no_grad()
    def overlaps(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Pixel counts of the chosen class per frame, in both, in the prediction and in the truth.

        Returns:
            Tensor: (3, N) int64, its columns in the order of all frames.
        """
        self.group.copy_buffers(self._validated)
        self._validated.eval()  # replayed training steps go on as they were recorded
        graphed = self._graphed_validation
        count = partial(graphed, self._overlaps) if graphed else self._overlaps
        with devices.exact_float32(self.device):
            rows = [count(images, masks) for images, masks in batches]
        return torch.cat(self.group.gather(rows), dim=1).cpu()

    def _overlaps(self, images: Tensor, masks: Tensor) -> Tensor:
        """Per frame: the class's pixels in both, in the prediction, in the truth; (3, N) int64."""
        logits = self._logits(self._infer, images)
        prediction = logits.argmax(dim=1) == self.channel
        truth = devices.moved(masks, self.device) == self.channel
        return torch.stack([prediction & truth, prediction, truth]).sum(dim=(2, 3))

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Probabilities by the weights that a checkpoint would keep.

        Args:
            images: (N, 3, H, W) uint8.

        Returns:
            Tensor: (N, C, H, W) float32 that sum to 1 over the classes, on the trainer's device.
        """
        self._validated.eval()
        with devices.exact_float32(self.device):
            return self._logits(self._infer, images).float().softmax(dim=1)

    def weights(self) -> Mapping[str, Tensor]:
        """The weights a checkpoint keeps: the average where there is one."""
        return self._validated.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """All that changes from step to step, as plain values and tensors."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "optimiser": optimisers.portable(self.optimiser.state_dict()),
        }
        if self.average is not None:
            state |= {
                "average": self.average.module.state_dict(),
                "updates": self.average.updates,
            }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what :meth:`state_dict` gave."""
        self.network.load_state_dict(state["network"])
        optimisers.load(self.optimiser, state["optimiser"])
        if self._graphed is not None:
            self._graphed.forget()  # the optimiser's state lies elsewhere now
        if self.average is not None:
            self.average.module.load_state_dict(state["average"])
            self.average.updates = state["updates"]

    def _logits(self, network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        with self._autocast():
            return network(self.normalise(images))

    def _autocast(self) -> AbstractContextManager[object]:
        cached = self.device.type != "cuda"  # each weight is converted once in a step anyway
        return devices.autocast(self.device, self.config.precision, cached=cached)


class Pace:
    """Keeps Python at most two steps ahead of a GPU; elsewhere nothing waits.

    Python could queue hundreds of steps. It would then take batches as fast as the loader makes
    them and seem to wait for data while the GPU has plenty to do, and a signal would come late.
    """

    AHEAD: Final = 2

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ends: deque[torch.cuda.Event] = deque()

    def step(self) -> None:
        """A step was queued; wait until at most ``AHEAD`` are."""
        if self._device.type != "cuda":
            return
        end = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        end.record(torch.cuda.current_stream(self._device))
        self._ends.append(end)
        if len(self._ends) > self.AHEAD:
            self._ends.popleft().synchronize()


def _compiled(config: TrainConfig, network: nn.Module) -> Callable[[Tensor], Tensor]:
    compiled: Callable[[Tensor], Tensor] = torch.compile(network) if config.compile else network
    return compiled
