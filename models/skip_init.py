"""Build a network without drawing the random weights that are loaded or never looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from torch import Tensor
from torch.nn import init
from torch.overrides import TorchFunctionMode

# These are what torch passes to a mode; its other random initialisations call the tensor's.
_DRAWING: Final = (
    *(init.normal_, init.uniform_, init.kaiming_uniform_),
    *(Tensor.normal_, Tensor.uniform_),
)


class SkipInit(TorchFunctionMode):
    """Within this context no tensor is filled with random numbers.

    Constants, and what a network computes for itself, such as buffers, are set.
    ``torch.nn.utils.skip_init`` is for one module whose class takes a device.
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
        if func in _DRAWING:
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)
