"""Batch norm over a batch that is divided among processes.

torch has one for GPUs (:class:`torch.nn.SyncBatchNorm`) and none for a CPU.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from metrics.utils.errors import UserError


class _Total(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004 (autograd passes it)
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class JointBatchNorm2d(nn.BatchNorm2d):
    """A batch norm whose means and variances in training are those of all processes' frames."""

    def forward(self, values: Tensor) -> Tensor:
        """Values (N, C, H, W) normalised; every process has to call it."""
        if not self.training:
            inferred: Tensor = super().forward(values)
            return inferred
        own = values.to(torch.promote_types(values.dtype, torch.float32))
        frames = own.new_tensor([own.numel() / own.shape[1]])
        sums = _Total.apply(torch.cat([own.sum(dim=(0, 2, 3)), frames]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = own - mean[:, None, None]
        # The squares of what is centred, since a difference of two large sums loses its digits.
        variance = _Total.apply((centred * centred).sum(dim=(0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        gain = self.weight * torch.rsqrt(variance + self.eps)
        normed: Tensor = centred * gain[:, None, None] + self.bias[:, None, None]
        return normed.to(values.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running figures that inference uses."""
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)


def with_joint_norms(network: nn.Module) -> nn.Module:
    """A network whose batch norms measure the frames of all processes.

    Args:
        network: On its device; its weights keep their values and names.

    Raises:
        UserError: If it has, on a CPU, batch norms of a kind that this cannot do.
    """
    if next(network.parameters()).is_cuda:
        from timm.layers.norm_act import convert_sync_batchnorm

        # Unlike torch's own it keeps the activation that some of timm's norms carry.
        converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(module, name, _joint(child))
    return network


def _joint(norm: nn.Module) -> JointBatchNorm2d:
    if type(norm) is not nn.BatchNorm2d or not norm.affine or not norm.track_running_stats:
        raise UserError(
            f"the encoder's {type(norm).__name__} cannot be divided among processes on a CPU. Take "
            "another --encoder, such as resnet18 or se_resnext50_32x4d, or a single process."
        )
    joint = JointBatchNorm2d(
        norm.num_features,
        eps=norm.eps,
        momentum=norm.momentum,
    )
    joint.load_state_dict(norm.state_dict())
    return joint.to(norm.weight).train(norm.training)
