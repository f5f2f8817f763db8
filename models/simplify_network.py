"""Rewrite a network for prediction: the same function in fewer operations.

There are two rewritings, both exact but for float32 rounding:

- Batch norms are folded into the convolutions before them.
- Where a decoder doubles a map by nearest neighbour before a 3 x 3 convolution, neighbouring taps
  of the kernel read the same small pixel. Their weights are added beforehand, which leaves a 2 x 2
  kernel on the small map for each of the four positions (phases) within a doubled pixel::

      doubled row:    a  a | b  b | c  c        taps k0 k1 k2 centred on
      even phase:     the first b  reads a b b  -> k0 on a, k1 + k2 on b
      odd phase:      the second b reads b b c  -> k0 + k1 on b, k2 on c

  Nine multiplications become four, and the doubled map is never made.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock
    from segmentation_models_pytorch.decoders.unetplusplus.decoder import DecoderBlock

TOLERANCE: Final = 1e-4
"""Largest difference of the rewritten network's output that is accepted, as a share of the largest
output (or of 1, if all outputs are smaller)."""


def fused(
    network: nn.Module, example: Tensor, *, refused: Callable[[float], object] = lambda _: None
) -> nn.Module:
    """A faster network that computes what ``network`` does.

    The two are compared on the example. Where they differ by more than ``TOLERANCE``, as with a
    plug-in that uses a convolution's output twice, nothing is rewritten. TF32 has to be off, since
    it alone makes a larger difference.

    Args:
        network: In evaluation mode; it is not changed.
        example: Images (N, 3, H, W) float, on the network's device.
        refused: Called where nothing is rewritten, with the difference as a share of the largest
            output.

    Returns:
        nn.Module: A copy, for prediction only, that shares the tensors it did not rewrite.
    """
    with torch.no_grad():
        made = _copy(network)
        with _folding(made) as norms, _upsampling(made) as blocks:
            expected = made(example)
        _fold_batch_norms(made, norms)
        _split_upsampling(made, blocks)
        difference = (made(example) - expected).abs().max()
        share = float(difference / expected.abs().max().clamp(min=1))
    if share <= TOLERANCE:
        return made
    refused(share)
    return _copy(network)


def refusal(name: str, difference: float) -> str:
    """What to say where nothing of a network was rewritten."""
    return (
        f"{name} runs as it was trained, which is slower: rewritten for prediction, its output "
        f"differs by {difference:.1e} of the largest value, more than {TOLERANCE:.0e}."
    )


def _copy(network: nn.Module) -> nn.Module:
    """A copy of the modules that shares the tensors."""
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


@contextmanager
def _folding(network: nn.Module) -> Iterator[dict[str, str]]:
    """Names of batch norms, each with the convolution whose output is its input.

    These show when an example passes through: hooks compare the identity of tensors.
    """
    # The tensors are kept, too: the identity of one that was freed would be given to another.
    outputs: dict[int, tuple[str, Tensor]] = {}
    pairs: dict[str, str] = {}

    def note_output(name: str, _module: nn.Module, _inputs: Any, output: Tensor) -> None:
        outputs[id(output)] = (name, output)

    def note_input(name: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if found := outputs.get(id(inputs[0])):
            pairs[name] = found[0]

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(partial(note_output, name)))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(partial(note_input, name)))
    yield pairs
    for hook in hooks:
        hook.remove()


def _fold_batch_norms(network: nn.Module, pairs: Mapping[str, str]) -> None:
    """Fold batch norms into the convolutions that :func:`_folding` found."""
    for norm, convolution in pairs.items():
        folded = fuse_conv_bn_eval(
            network.get_submodule(convolution),  # type: ignore[type-var]
            network.get_submodule(norm),  # type: ignore[arg-type]
        )
        network.set_submodule(convolution, folded)
        # timm's batch norms have their activation inside; it stays.
        network.set_submodule(norm, nn.Sequential(*network.get_submodule(norm).children()))


class UpsampledConvolution(nn.Module):
    """A 3 x 3 convolution of a map doubled by nearest neighbour, concatenated with a skip.

    Args:
        convolution: 3 x 3, stride 1, padding 1, of (doubled map, skip) concatenated.
        channels: Channels of the map; the others are the skip's.
    """

    def __init__(self, convolution: nn.Conv2d, channels: int) -> None:
        super().__init__()
        weight = convolution.weight.detach()
        self.on_map = nn.Parameter(_phases(weight[:, :channels]), requires_grad=False)
        self.on_skip = nn.Parameter(weight[:, channels:].contiguous(), requires_grad=False)
        bias = convolution.bias
        self.bias = None if bias is None else nn.Parameter(bias.detach(), requires_grad=False)

    def forward(self, small: Tensor, skip: Tensor | None) -> Tensor:
        """(N, O, 2 H, 2 W) of a map (N, C, H, W) and a skip (N, S, 2 H, 2 W)."""
        count, _, height, width = small.shape
        phases = functional.conv2d(small, self.on_map, padding=1)
        outputs = phases.shape[1] // 4
        if skip is not None:
            total = functional.conv2d(skip, self.on_skip, self.bias, padding=1)
        else:
            shape = (count, outputs, 2 * height, 2 * width)
            bias = small.new_zeros(outputs) if self.bias is None else self.bias
            total = bias.to(phases.dtype).view(1, -1, 1, 1).expand(shape)
            total = total.contiguous(memory_format=torch.channels_last)
        # One convolution gives all phases; with padding 1, phase (row, column) begins at (row,
        # column) of its output.
        for index in range(4):
            row, column = divmod(index, 2)
            phase = phases[:, index * outputs : (index + 1) * outputs]
            total[:, :, row::2, column::2] += phase[
                :, :, row : row + height, column : column + width
            ]
        return total


def _phases(weight: Tensor) -> Tensor:
    """The 2 x 2 kernels, (4 O, C, 2, 2), of the phases even/even, even/odd, odd/even, odd/odd.

    An even output row reads the previous small row once and its own twice, an odd one its own twice
    and the next once; columns the same.

    Args:
        weight: (O, C, 3, 3).
    """

    def halves(kernel: Tensor, dim: int) -> list[Tensor]:
        first, second, third = kernel.unbind(dim)
        return [
            torch.stack([first, second + third], dim),
            torch.stack([first + second, third], dim),
        ]

    return torch.cat([quarter for rows in halves(weight, 2) for quarter in halves(rows, 3)])


class _Block(nn.Module):
    """A decoder block of U-Net or U-Net++ whose first convolution is an UpsampledConvolution."""

    def __init__(self, block: UnetDecoderBlock | DecoderBlock, channels: int) -> None:
        super().__init__()
        first, *rest = block.conv1
        self.first = UpsampledConvolution(first, channels)
        self.rest = nn.Sequential(*rest, block.conv2)

    def forward(self, small: Tensor, *others: Any, **named: Any) -> Tensor:
        # U-Net passes the doubled height and width before the skip, U-Net++ only the skip.
        skip = named.get("skip_connection", others[-1] if others else None)
        return self.rest(self.first(small, skip if isinstance(skip, Tensor) else None))  # type: ignore[no-any-return]


@contextmanager
def _upsampling(network: nn.Module) -> Iterator[dict[str, int]]:
    """Names of the decoder blocks that double their map, each with the map's channels.

    How many channels these are shows when an example passes through.
    """
    # The library takes seconds to import, and what only reads results does without it.
    from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoderBlock
    from segmentation_models_pytorch.decoders.unetplusplus.decoder import DecoderBlock

    channels: dict[str, int] = {}

    def note(name: str, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        channels[name] = inputs[0].shape[1]

    hooks = [
        module.register_forward_pre_hook(partial(note, name))
        for name, module in network.named_modules()
        if isinstance(module, UnetDecoderBlock | DecoderBlock) and _can_be_split(module)
    ]
    yield channels
    for hook in hooks:
        hook.remove()


def _split_upsampling(network: nn.Module, channels: Mapping[str, int]) -> None:
    """Replace the decoder blocks that :func:`_upsampling` found."""
    for name, count in channels.items():
        network.set_submodule(name, _Block(network.get_submodule(name), count))


def _can_be_split(block: UnetDecoderBlock | DecoderBlock) -> bool:
    if block.conv1 is None or block.interpolation_mode != "nearest":
        return False
    first, attention = block.conv1[0], block.attention1
    return (
        isinstance(first, nn.Conv2d)
        and (first.kernel_size, first.padding, first.stride) == ((3, 3), (1, 1), (1, 1))
        and (first.dilation, first.groups) == ((1, 1), 1)
        and all(isinstance(one.attention, nn.Identity) for one in (attention, block.attention2))
    )
