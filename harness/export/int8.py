"""Round the weights of an ONNX file to 8 bits.

Activations are rounded too, by scales that onnxruntime finds for each image (dynamic
quantisation), so nothing has to be calibrated. The file becomes a quarter as large. Whether it is
faster depends on the processor's instructions for 8-bit products.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from metrics.utils.errors import UserError

LARGEST_SHARE: Final = 0.001
"""Share of the pixels of all frames that may get another class than by float32."""


def quantise(path: Path) -> None:
    """Replace an ONNX file by one with weights of 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    made = path.with_name(f"{path.name}.int8")
    logging.disable(logging.WARNING)  # it advises a step that changes nothing in our files
    try:
        # On a CPU onnxruntime convolves by unsigned weights only.
        quantize_dynamic(path, made, weight_type=QuantType.QUInt8)
        made.replace(path)
    finally:
        logging.disable(logging.NOTSET)
        made.unlink(missing_ok=True)


def check(changed: int, pixels: int) -> None:
    """Refuse weights that change too many pixels.

    Raises:
        UserError: If more than ``LARGEST_SHARE`` of them have another class.
    """
    if changed > LARGEST_SHARE * pixels:
        raise UserError(
            f"with int8 weights {changed} of {pixels} pixels ({changed / pixels:.2%}) get another "
            f"class, more than {LARGEST_SHARE:.1%}. No file was written; export without --int8."
        )
