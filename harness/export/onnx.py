"""A run as one ONNX file: preprocessing, every member, softmax and mean inside.

The file takes frames at the network's size and gives probabilities. Outside stay what depends on
the frame's own size: bringing it to the network's, and the probabilities back.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.frames import read_image, resize_image
from harness.inference.postprocess import THRESHOLD, argmax_labels, resize_map
from harness.inference.predictor import Inference, Prediction, Predictor
from harness.runs.checkpoints import fingerprint
from harness.runs.network import Loaded
from harness.utils.versions import versions
from metrics.masks.classes import BACKGROUND
from metrics.utils.errors import UserError
from metrics.utils.files import atomic_path, write_json

TIE: Final = 1e-4
"""A pixel may fall to either of its two most probable classes on another machine where they are
this near to the middle between them; of one class that is one half."""

INPUT, OUTPUT = "images", "probabilities"

_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")
_LARGEST_BATCH: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Pixels of masks at the frames' own sizes that onnxruntime and the harness see differently.

    Attributes:
        frames: Frames compared.
        pixels: All their pixels.
        ties: Pixels that differ where the harness's probabilities are within ``TIE`` of a tie.
        others: Pixels that differ elsewhere.
    """

    frames: int
    pixels: int
    ties: int
    others: int

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"{self.ties + self.others} of {self.pixels} pixels differ in {self.frames} frames, "
            f"{self.ties} of them within {TIE:g} of a tie"
        )


class _Whole(nn.Module):
    """Bytes in, probabilities out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.network(images.float())
        return probabilities


def require(*packages: str) -> None:
    """Refuse where packages of the extra ``export`` are missing.

    Raises:
        UserError: If one is not installed; all of them are named.
    """
    missing = [name for name in packages or _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"exporting needs {', '.join(missing)}; install with: pip install 'harness[export]'"
        )


def export_onnx(
    loaded: Loaded,
    path: Path,
    *,
    frames: Sequence[Path] = (),
    done: Callable[[], object] = lambda: None,
) -> Difference | None:
    """Write a run as ONNX, and beside it, as JSON, what it takes and gives.

    The file takes its name once onnxruntime has given the same masks on the frames.

    Args:
        loaded: The run's network, with its weights on the CPU.
        path: The file, ``.onnx``.
        frames: Frames to compare on; without them nothing is compared.
        done: Called after each frame.

    Returns:
        Difference: What differed, ``None`` without frames.

    Raises:
        UserError: If a package is missing, a frame or the folder cannot be used, or masks differ
            by more than ties; then no file is left.
    """
    require()
    with atomic_path(path) as temporary:
        _convert(loaded.network, loaded.size, temporary)
        difference = compare(loaded, temporary, frames, done=done) if frames else None
        if difference is not None and difference.others:
            raise UserError(
                f"onnxruntime's masks are not the harness's: {difference}. No file was written; "
                "try another version of onnxruntime."
            )
        digest = fingerprint(temporary)
        # An interruption leaves a file without its description, never with that of another.
        path.with_suffix(".json").unlink(missing_ok=True)
    write_json(path.with_suffix(".json"), describe(loaded, digest, difference))
    return difference


def compare(
    loaded: Loaded,
    path: Path,
    frames: Sequence[Path],
    *,
    done: Callable[[], object] = lambda: None,
) -> Difference:
    """Predict frames by an ONNX file and by the harness, and count the pixels that differ.

    Args:
        loaded: The run's network.
        path: Its ONNX file.
        frames: The frames' files.
        done: Called after each frame.
    """
    session = _session(path)
    inference = Inference(device=torch.device("cpu"), batch_size=1)
    predictor = Predictor(
        loaded.network, size=loaded.size, inference=inference, classes=loaded.classes
    )
    pixels = ties = others = 0
    for prediction in predictor.predict(frames):
        small = resize_image(read_image(prediction.image), loaded.size)
        images = np.ascontiguousarray(small.transpose(2, 0, 1)[None])
        theirs: NDArray[np.float32] = session.run([OUTPUT], {INPUT: images})[0][0, 1:]
        height, width = prediction.labels.shape
        full = [resize_map(one, height=height, width=width) for one in theirs]
        differs = argmax_labels(full) != prediction.labels
        near = _margin(prediction) <= 2 * TIE
        pixels += differs.size
        ties += int((differs & near).sum())
        others += int((differs & ~near).sum())
        done()
    return Difference(frames=len(frames), pixels=pixels, ties=ties, others=others)


def _margin(prediction: Prediction) -> NDArray[np.float32]:
    """By how much each pixel's most probable class is ahead of the next, float32 (H, W)."""
    height, width = prediction.labels.shape
    full = [resize_map(one, height=height, width=width) for one in prediction.probabilities]
    every = np.sort(np.stack([1 - sum(full), *full]), axis=0)
    margin: NDArray[np.float32] = every[-1] - every[-2]
    return margin


def describe(loaded: Loaded, digest: str, difference: Difference | None) -> dict[str, Any]:
    """What stands beside the ONNX file.

    Args:
        loaded: The run's network.
        digest: SHA-256 of the ONNX file.
        difference: What was compared, if anything.
    """
    run, size = loaded.run, loaded.size
    classes = [BACKGROUND, *loaded.classes.names]
    return {
        "input": {
            "name": INPUT,
            "type": "uint8",
            "shape": ["batch", 3, size, size],
            "meaning": "frames in RGB, 0 to 255",
        },
        "output": {
            "name": OUTPUT,
            "type": "float32",
            "shape": ["batch", len(classes), size, size],
            "meaning": "probabilities of the classes, 1 in sum",
        },
        "classes": classes,
        "mask_values": dict(zip(loaded.classes.names, loaded.classes.values, strict=False)),
        "inside": ["normalisation", "all members", "softmax", "mean of the members"],
        "outside": [
            f"the frame to {size} x {size}, bilinearly with antialiasing, its shape not kept",
            "the probabilities to the frame's size, bilinearly, pixel centre to centre",
            f"a mask: true above {THRESHOLD}"
            if len(loaded.classes) == 1
            else "each pixel's most probable class; of equal ones the background, then the first",
        ],
        "run": run.run,
        "model": run.model,
        "members": dict(run.members),
        "checkpoint_sha256": run.row["checkpoint"],
        "onnx_sha256": digest,
        "versions": {**versions(), **{name: metadata.version(name) for name in _PACKAGES}},
        "compared": None
        if difference is None
        else {
            "frames": difference.frames,
            "pixels": difference.pixels,
            "ties": difference.ties,
            "other_differences": difference.others,
        },
    }


def _convert(network: nn.Module, size: int, path: Path) -> None:
    # Two frames, since an example of one would fix the batch at one.
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own insides
        program = torch.onnx.export(
            _Whole(network).eval(),
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)},),
            verbose=False,
        )
    if program is None:
        raise UserError("torch gave no ONNX program; install the torch that the project names")
    program.save(path, external_data=False)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
