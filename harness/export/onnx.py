"""Export a run as one ONNX file that holds normalisation, all members, softmax and mean.

The file takes frames at the network's size and gives probabilities. What depends on the frame's own
size stays outside: resizing the frame to the network's size, and the probabilities back.

Before the file takes its name, its masks are compared with the harness's. onnxruntime adds floats
in another order, so probabilities differ in their last digits. A pixel whose two most probable
classes are nearly equal may therefore get the other one (a tie). Any other difference is a fault.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.data.frames import read_image, resize_image
from harness.export.int8 import check, quantise
from harness.inference.clean_up import CleanUp
from harness.inference.maps import class_maps
from harness.inference.postprocess import THRESHOLD, upsample_and_decide
from harness.inference.prediction import Inference, Prediction
from harness.inference.predictor import Predictor
from harness.runs.network import Loaded
from harness.runs.run import Run
from harness.utils.versions import versions
from metrics.masks.classes import BACKGROUND
from metrics.utils.errors import UserError
from metrics.utils.files import atomic_path, file_sha256, write_json

TIE: Final = 1e-4
"""A pixel is a tie where its two most probable classes are both this near to the mean of the two,
which for a single class is one half."""

INPUT, OUTPUT = "images", "probabilities"

_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript")
_LARGEST_BATCH: Final = 4096


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How the masks of onnxruntime and of the harness differ, at the frames' own sizes.

    Of ``pixels`` in so many ``frames``, ``ties`` differ and are a tie (``TIE``),
    ``other_differences`` are none.
    """

    frames: int
    pixels: int
    ties: int
    other_differences: int

    def __str__(self) -> str:
        """The difference in words, on one line."""
        return (
            f"{self.ties + self.other_differences} of {self.pixels} pixels differ in "
            f"{self.frames} frames, {self.ties} of them within {TIE:g} of a tie"
        )


class _FromBytes(nn.Module):
    """The network with uint8 images as its input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.network(images.float())
        return probabilities


def require(*packages: str) -> None:
    """Check that packages of the extra ``export`` are installed.

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
    int8: bool = False,
    done: Callable[[], object] = lambda: None,
) -> Difference | None:
    """Write a run as ONNX, and beside it a JSON file that describes its input and output.

    The file appears under its name only if onnxruntime gives the same masks for the frames.

    Args:
        loaded: The run's network, its weights on the CPU.
        path: The file, ``.onnx``.
        frames: Frames to compare on; without them nothing is compared.
        int8: Round the weights to 8 bits; pixels may differ as ``harness.export.int8`` says.
        done: Called after each frame.

    Returns:
        Difference: How the masks differ; ``None`` without frames.

    Raises:
        UserError: If a package is missing, a frame cannot be read, the folder cannot be written, or
            masks differ by more than ties. No file is left then.
    """
    require()
    with atomic_path(path) as temporary:
        _convert(loaded.network, loaded.size, temporary)
        if int8:
            quantise(temporary)
        difference = compare(loaded, temporary, frames, done=done) if frames else None
        if int8 and difference is not None:
            check(difference.ties + difference.other_differences, difference.pixels)
        elif difference is not None and difference.other_differences:
            raise UserError(
                f"onnxruntime's masks are not the harness's: {difference}. No file was written; "
                "try another version of onnxruntime."
            )
        digest = file_sha256(temporary)
        # Before the file itself, which has no description otherwise where this is interrupted.
        write_json(path.with_suffix(".json"), describe(loaded, digest, difference, int8=int8))
    return difference


def compare(
    loaded: Loaded, path: Path, frames: Sequence[Path], *, done: Callable[[], object] = lambda: None
) -> Difference:
    """Predict frames by an ONNX file and by the harness, and count the pixels that differ."""
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
        differs = upsample_and_decide(theirs, (height, width), "full-size") != prediction.labels
        near = _margin(prediction) <= 2 * TIE
        pixels += differs.size
        ties += int((differs & near).sum())
        others += int((differs & ~near).sum())
        done()
    return Difference(frames=len(frames), pixels=pixels, ties=ties, other_differences=others)


def _margin(prediction: Prediction) -> NDArray[np.float32]:
    """The difference of each pixel's two highest probabilities, float32 (H, W)."""
    full = list(class_maps(prediction).values())
    every = np.sort(np.stack([1 - sum(full), *full]), axis=0)
    margin: NDArray[np.float32] = every[-1] - every[-2]
    return margin


def describe(
    loaded: Loaded, digest: str, difference: Difference | None, *, int8: bool = False
) -> dict[str, Any]:
    """The JSON file beside the ONNX file."""
    run, size = loaded.run, loaded.size
    classes = [BACKGROUND, *loaded.classes.names]
    tuned = run.tuned
    clean_up = CleanUp(**tuned.get("clean_up", {}))
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
        "mask_values": loaded.classes.table,
        "inside": ["normalisation", "all members", "softmax", _fusion_in_words(run)],
        "outside": _outside(loaded, clean_up),
        "weights": "int8" if int8 else "float32",
        "threshold": tuned.get("threshold", THRESHOLD),
        "clean_up": asdict(clean_up),
        "run": run.run,
        "model": run.model,
        "members": dict(run.members),
        "checkpoint_sha256": run.row["checkpoint"],
        "onnx_sha256": digest,
        "versions": {**versions(), **{name: metadata.version(name) for name in _PACKAGES}},
        "compared": difference and asdict(difference),
    }


def _outside(loaded: Loaded, clean_up: CleanUp) -> list[str]:
    """What is left to do around the network, in words."""
    size, tuned = loaded.size, loaded.run.tuned
    return [
        f"the frame to {size} x {size}, bilinearly with antialiasing to 8 bits (Pillow: BILINEAR), "
        "its shape not kept",
        "the probabilities to the frame's size, bilinearly, pixel centre to centre",
        f"a mask: true above {tuned.get('threshold', THRESHOLD)}"
        if len(loaded.classes) == 1
        else "each pixel's most probable class; of equal ones the background, then the first",
        *([f"of the mask: {clean_up}"] if clean_up else []),
        *(["test-time augmentation, with which the run predicts"] if loaded.run.tta else []),
    ]


def _fusion_in_words(run: Run) -> str:
    words = {"mean": "mean of the members", "weighted": "weighted mean of the members"}
    kind = run.tuned.get("fusion", {}).get("kind", "mean")
    return words.get(kind, "a small network over the members' maps")


def _convert(network: nn.Module, size: int, path: Path) -> None:
    # Two frames, since the exporter takes a dimension of one as fixed.
    example = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own code
        program = torch.onnx.export(
            _FromBytes(network).eval(),
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
