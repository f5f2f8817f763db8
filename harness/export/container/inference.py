"""Segment one case, as a container on grand-challenge.org.

Reads INPUT_PATH/inputs.json and the one image it names, writes a mask of the image's own size to
OUTPUT_PATH/images/OUTPUT_SLUG/: 0 is the background, 1 and on are the classes of model.json. An
image of several frames gets a mask of as many.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import SimpleITK
from numpy.typing import NDArray
from PIL import Image

INPUT_PATH = Path(os.environ.get("INPUT_PATH", "/input"))
OUTPUT_PATH = Path(os.environ.get("OUTPUT_PATH", "/output"))
MODEL_PATH = Path(os.environ.get("MODEL_PATH", "/opt/ml/model"))
OUTPUT_SLUG = os.environ.get("OUTPUT_SLUG", "polyp-segmentation")

SUFFIXES = (".mha", ".tif", ".tiff")
COLOURS = 3
log = logging.getLogger("inference")


class CaseError(Exception):
    """What is wrong with the case that came in."""


def find_image() -> Path:
    """The file of the only image among the inputs."""
    try:
        inputs = json.loads((INPUT_PATH / "inputs.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaseError(f"expected {INPUT_PATH / 'inputs.json'}: {error}") from error
    sockets = [one.get("socket") or one.get("interface") or {} for one in inputs]
    paths = [str(socket.get("relative_path", "")) for socket in sockets]
    places = [path for path in paths if Path(path).parts[:1] == ("images",)]
    if len(places) != 1:
        raise CaseError(f"expected one image among the inputs, got {places or 'none'}")
    folder = INPUT_PATH / places[0]
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    if len(files) != 1:
        raise CaseError(f"expected one .mha or .tif in {folder}, got {len(files)}")
    return files[0]


def frames_of(image: Any, name: str) -> NDArray[np.uint8]:
    """An image's pixels as frames in RGB, uint8 (N, H, W, 3); grey becomes three channels."""
    pixels = SimpleITK.GetArrayFromImage(image)
    channels = image.GetNumberOfComponentsPerPixel()
    if pixels.dtype != np.uint8 or channels == 2:
        raise CaseError(
            f"{name}: expected RGB or grey, 8 bits a channel, got {channels} of {pixels.dtype}"
        )
    if channels == 1:
        pixels = np.repeat(pixels[..., None], COLOURS, axis=-1)
    coloured = pixels[..., :COLOURS].reshape(-1, *pixels.shape[-3:-1], COLOURS)
    frames: NDArray[np.uint8] = np.ascontiguousarray(coloured)
    return frames


def clean(mask: NDArray[np.bool_], how: dict[str, Any]) -> NDArray[np.bool_]:
    """Drop small regions or all but the largest, and fill holes, as model.json says."""
    if how.get("smallest") or how.get("largest"):
        _, regions, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        sizes = found[:, cv2.CC_STAT_AREA].copy()
        sizes[0] = 0
        keep = sizes >= max(1.0, how["smallest"] * mask.size)
        if how["largest"]:
            keep &= np.arange(len(sizes)) == sizes.argmax()
        mask = keep[regions]
    if how.get("fill"):
        outside = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)[1]
        border = np.concatenate([outside[[0, -1]].ravel(), outside[:, [0, -1]].ravel()])
        mask = mask | ~np.isin(outside, border)
    return mask


def segment(
    session: Any, frame: NDArray[np.uint8], description: dict[str, Any] | None = None
) -> NDArray[np.uint8]:
    """The class of each pixel of a frame, (H, W): 0 for the background, 1 and on for the others."""
    how = description or {}
    (taken,) = session.get_inputs()
    height, width = frame.shape[:2]
    side = taken.shape[-1]
    small = np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BILINEAR))
    images = np.ascontiguousarray(small.transpose(2, 0, 1)[None])
    maps = session.run(None, {taken.name: images})[0][0, 1:]
    full = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in maps]
    if len(full) == 1:
        decided = full[0] > how.get("threshold", 0.5)
        mask: NDArray[np.uint8] = clean(decided, how.get("clean_up") or {}).astype(np.uint8)
        return mask
    indices: NDArray[np.uint8] = np.stack([1 - sum(full), *full]).argmax(axis=0).astype(np.uint8)
    return indices


def run() -> Path:
    """Predict the case and write its mask."""
    path = find_image()
    try:
        image: Any = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise CaseError(f"{path}: cannot be read: {error}") from error
    frames = frames_of(image, path.name)
    log.info("%s: %d frames of %d x %d", path.name, len(frames), frames.shape[2], frames.shape[1])
    session = onnxruntime.InferenceSession(
        MODEL_PATH / "model.onnx", providers=onnxruntime.get_available_providers()
    )
    description = json.loads((MODEL_PATH / "model.json").read_text(encoding="utf-8"))
    masks = np.stack([segment(session, frame, description) for frame in frames])
    flat = image.GetDimension() == 2
    made: Any = SimpleITK.GetImageFromArray(masks[0] if flat else masks)
    made.CopyInformation(image)
    folder = OUTPUT_PATH / "images" / OUTPUT_SLUG
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "output.mha"
    SimpleITK.WriteImage(made, str(target), useCompression=True)
    log.info("%s: %.1f %% of it is segmented", target, 100 * (masks > 0).mean())
    return target


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    try:
        run()
    except CaseError as error:
        sys.exit(f"error: {error}")
