"""The data path against one that does, frame by frame, what the authors' published code does.

Each benchmark measures the reference and ours in one run and puts the ratio into ``extra_info``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from harness.data import loader
from harness.data.cache import FrameCache
from harness.data.synthetic.endoscope import LOOKS, photograph
from harness.data.synthetic.scene import Scene, draw_texture

SIZE = 256
HEIGHT, WIDTH = 1080, 1350
FRAMES = 4

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A few drawn frames of the size that is common in the challenge."""
    root = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    texture, look = draw_texture(rng), LOOKS["C1"]
    rows = []
    for number in range(FRAMES):
        scene = Scene(rng, texture, look.shape(HEIGHT), polyps=1)
        image, mask = photograph(scene, look, rng)
        assert image.shape == (HEIGHT, WIDTH, 3)
        paths = root / f"{number}.jpg", root / f"{number}_mask.jpg"
        Image.fromarray(image).save(paths[0], quality=95)
        Image.fromarray(mask.astype(np.uint8) * 255).save(paths[1], quality=95)
        rows.append(
            {"frame": str(number), "image": str(paths[0]), "mask": str(paths[1]), "truth": "mask"}
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def frames(
    catalogue: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> loader.AugmentedFrames:
    cache = FrameCache.build(catalogue, SIZE, tmp_path_factory.mktemp("cache"))
    return loader.AugmentedFrames(cache, "paper", seed=0)


class Authors:
    """Decode with PIL, nearest to 256, encode every grid cell, augment: each frame anew."""

    def __init__(self, catalogue: pd.DataFrame, *, grid: bool) -> None:
        self.rows = catalogue.to_dict("records")
        self.grid = grid
        self.augment = A.Compose(
            [
                A.HorizontalFlip(p=0.5),
                A.ShiftScaleRotate(
                    scale_limit=0.5, rotate_limit=0, shift_limit=0.1, p=1, border_mode=0
                ),
                A.PadIfNeeded(min_height=SIZE, min_width=SIZE, border_mode=0),
                A.Resize(height=SIZE, width=SIZE),
                A.GaussNoise(std_range=(0.01, 0.05), per_channel=False, p=0.2),
                A.Perspective(p=0.5),
                A.OneOf(
                    [
                        A.CLAHE(p=1),
                        A.RandomBrightnessContrast(contrast_limit=0, p=1),
                        A.RandomGamma(p=1),
                    ],
                    p=0.9,
                ),
                A.OneOf(
                    [A.Sharpen(p=1), A.Blur(blur_limit=3, p=1), A.MotionBlur(blur_limit=3, p=1)],
                    p=0.9,
                ),
                A.OneOf(
                    [
                        A.RandomBrightnessContrast(brightness_limit=0, p=1),
                        A.HueSaturationValue(p=1),
                    ],
                    p=0.9,
                ),
            ]
        )

    def __call__(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        row = self.rows[index % len(self.rows)]
        image, mask = (
            np.array(Image.open(row[name]).convert("RGB").resize((SIZE, SIZE), Image.NEAREST))
            for name in ("image", "mask")
        )
        mask = (mask[..., 0] > 128) * 255
        if self.grid:
            mask = encode_grid(mask, cells=SIZE)
        classes = np.stack([mask == value for value in (0, 255)], axis=-1).astype("float")
        sample = self.augment(image=image, mask=classes)
        return (
            sample["image"].transpose(2, 0, 1).astype("float32"),
            sample["mask"].transpose(2, 0, 1).astype("float32"),
        )


def encode_grid(mask: NDArray[np.int64], cells: int) -> NDArray[np.uint8]:
    """Fill each cell of a grid that any polyp pixel touches; at one pixel a cell, the identity.

    The authors' package (pyra-pytorch 1.3) visits each cell in Python and sums it with NumPy, with
    bounds worked out from its height and width as fractions of the frame's.
    """
    height, width = (side / cells for side in mask.shape)
    encoded = np.zeros(mask.shape, np.uint8)
    for column in range(cells):
        for row in range(cells):
            top, bottom = int(row * height), int(row * height + height)
            left, right = int(column * width), int(column * width + width)
            if np.sum(mask[top:bottom, left:right]) > 0:
                encoded[top:bottom, left:right] = 255
    return encoded


def seconds_a_call(
    functions: Sequence[Callable[[int], Any]], calls: Sequence[int], rounds: int = 12
) -> list[float]:
    """The best of a few rounds of each function: what it takes when the machine is free.

    The functions take turns and the number of calls makes their rounds about equally long, so
    that what else the machine does strikes them alike.
    """
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for place, (function, count) in enumerate(zip(functions, calls, strict=True)):
            function(0)
            started = time.process_time()
            for call in range(count):
                function(call)
            best[place] = min(best[place], (time.process_time() - started) / count)
    return best


@pytest.fixture(autouse=True)
def one_thread() -> None:
    cv2.setNumThreads(1)


@pytest.mark.parametrize(("grid", "wanted"), [(True, 140), (False, 9)], ids=["grid", "no grid"])
def test_sample(
    benchmark: Any,
    catalogue: pd.DataFrame,
    frames: loader.AugmentedFrames,
    grid: bool,
    wanted: float,
) -> None:
    """One sample with all of the paper's augmentations, on one core."""
    batch = 8

    def ours(call: int) -> None:
        keys = [loader.Key((batch * call + i) % FRAMES, call, SIZE) for i in range(batch)]
        frames.__getitems__(keys)

    authors = Authors(catalogue, grid=grid)
    reference, ours_s = seconds_a_call((authors, ours), (1, 20) if grid else (FRAMES, 5))
    sample = ours_s / batch
    benchmark.pedantic(ours, args=(1,), rounds=20)
    benchmark.extra_info.update(
        reference_ms=round(1000 * reference, 2),
        ours_ms=round(1000 * sample, 3),
        ratio=round(reference / sample, 1),
        wanted=wanted,
    )


@pytest.mark.parametrize("name", ["light", "none"])
def test_cheap_sample(benchmark: Any, catalogue: pd.DataFrame, tmp_path: Path, name: str) -> None:
    """A sample at 128 pixels, against decoding and the paper's augmentations without the loop."""
    small = loader.AugmentedFrames(FrameCache.build(catalogue, 128, tmp_path), name, seed=0)

    def ours(call: int) -> None:
        small.__getitems__([loader.Key(i % FRAMES, call, 128) for i in range(8)])

    authors = Authors(catalogue, grid=False)
    reference, ours_s = seconds_a_call((authors, ours), (FRAMES, 20))
    sample = ours_s / 8
    benchmark.pedantic(ours, args=(1,), rounds=20)
    benchmark.extra_info.update(ours_ms=round(1000 * sample, 3), ratio=round(reference / sample, 1))
