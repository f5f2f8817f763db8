"""Whether a network works at a size, told from its shapes alone: nothing is computed."""

from __future__ import annotations

from typing import Any

from models.errors import ModelError
from models.registry import DEFAULT_ENCODER
from models.summary import outline


def try_out(
    name: str, *, encoder: str = DEFAULT_ENCODER, classes: int = 2, size: int = 256, **options: Any
) -> None:
    """Build a network without weights and pass the shape of a square image through it.

    ``size`` is the image's side in pixels; the rest is as for ``models.create``.

    Raises:
        ModelError: If it cannot be built, does not take such images, or gives logits of another
            shape than (N, classes, size, size).
    """
    import torch

    network = outline(name, encoder=encoder, classes=classes, **options)
    what = f"{name} on the encoder {encoder}"
    try:
        with torch.inference_mode():
            logits = network.eval()(torch.empty(1, 3, size, size, device="meta"))
    except Exception as error:  # each library raises its own kind
        if "meta" in str(error):  # it computes with values, which only training can tell
            return
        raise ModelError(f"{what} does not take images of {size} pixels: {error}") from error
    if logits.shape != (1, classes, size, size):
        shape = " x ".join(map(str, logits.shape))
        raise ModelError(f"{what} gives logits of {shape}, not of 1 x {classes} x {size} x {size}")
