"""Build a network without drawing the random weights that are loaded or never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWING: Final = (Tensor.normal_, Tensor.uniform_)


class SkipInit(TorchFunctionMode):
    """Within this context tensors are not filled with random numbers, nor by ``torch.nn.init``.

    What a network computes for itself, such as buffers, is computed. ``torch.nn.utils.skip_init``
    does the same for one module whose class takes a device.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Take a call of torch's; of those that fill a tensor only the tensor comes back."""
        del types
        named = kwargs or {}
        if func in _DRAWING or getattr(func, "__module__", "") == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
