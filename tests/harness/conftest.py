"""Tiny datasets in the layouts of the real ones, with their irregularities."""

from __future__ import annotations

import resource
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 40, 56
PHOTOMETRIC, EXTRA_SAMPLES = 262, 338


class Drawer:
    """Draws frames, masks and whole dataset folders below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def frame(self, path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
        """A frame of coarse noise that depends on its name alone, so that no two are alike."""
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(zlib.crc32(path.stem.encode()))
        coarse = generator.integers(30, 225, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC).save(path)
        return path

    def mask(self, path: Path, size: tuple[int, int] = (HEIGHT, WIDTH), *, fill: int = 255) -> Path:
        """A mask with one square in the middle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros(size, np.uint8)
        height, width = size
        pixels[height // 4 : -height // 4, width // 4 : -width // 4] = fill
        Image.fromarray(pixels).save(path)
        return path

    def odd_tiff(self, path: Path, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
        """A frame in colour whose TIFF tags declare grey and two extra samples."""
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", size[::-1], (200, 100, 50))
        image.save(path, tiffinfo={EXTRA_SAMPLES: (0, 0)})
        data = bytearray(path.read_bytes())
        start = struct.unpack_from("<I", data, 4)[0] + 2
        (count,) = struct.unpack_from("<H", data, start - 2)
        for entry in range(start, start + 12 * count, 12):
            if struct.unpack_from("<H", data, entry)[0] == PHOTOMETRIC:
                struct.pack_into("<H", data, entry + 8, 1)
        path.write_bytes(data)
        return path

    def pair(self, image: Path, mask: Path) -> None:
        """A frame with its mask."""
        self.frame(image)
        self.mask(mask)

    def endocv(self) -> Path:
        """Two centres (3 + 1 frames), two positive sequences (2 + 1), two negative ones (2 + 1)."""
        root = self.root / "endocv2021"
        for name in ("C1_2", "C1_10", "C1_1_"):
            stem = name.rstrip("_")
            self.pair(
                root / f"data_C1/images_C1/{name}.jpg", root / f"data_C1/masks_C1/{stem}_mask.jpg"
            )
        self.pair(root / "data_C6/images_C6/C6_1.JPG", root / "data_C6/masks_C6/C6_1_mask.jpg")
        positive = root / "sequenceData/positive"
        for sequence, name in (("seq2", "seq2_1"), ("seq2", "seq2_2"), ("seq10", "seq10_1")):
            folder = positive / sequence
            self.pair(
                folder / f"images_{sequence}/{name}.jpg",
                folder / f"masks_{sequence}/{name}_mask.jpg",
            )
        negative = root / "sequenceData/negativeOnly"
        for sequence, name in (("seq1_neg", "a1"), ("seq1_neg", "a2"), ("seq6_neg", "b1")):
            self.frame(negative / sequence / f"{name}.jpg")
        self._litter(root)
        return root

    def _litter(self, root: Path) -> None:
        """What the real release holds beside its frames."""
        self.frame(root / "imagesAll_positive/C1_2.jpg")
        self.frame(root / "data_C6/bbox_images_C6/C6_1.jpg")
        (root / "data_C1/bbox_C1").mkdir()
        (root / "data_C1/bbox_C1/C1_2_mask.txt").write_text("1 1 2 2")
        (root / "data_C1/images_C1/.DS_Store").write_bytes(b"\0")
        (root / "sequenceData/positive/.DS_Store").write_bytes(b"\0")
        (root / "frames.csv").write_text("a\n")
        (root / "sequenceData.zip").write_bytes(b"PK")

    def pairs(
        self, folder: str, names: tuple[str, ...] = ("x1", "x2"), ending: str = "jpg"
    ) -> Path:
        """A folder of images and masks of the same names."""
        root = self.root / folder
        for name in names:
            self.pair(root / f"images/{name}.{ending}", root / f"masks/{name}.{ending}")
        return root

    def hyperkvasir(self) -> Path:
        """The folder around HyperKvasir's segmented images, two pairs."""
        self.pairs("hyperkvasir/segmented-images", ("k1", "k2"))
        return self.root / "hyperkvasir"

    def test_frames(self) -> Path:
        """Two test sets, two frames and one, without masks."""
        root = self.root / "endocv2021-test"
        for test_set, number in ((1, 0), (1, 1), (2, 0)):
            folder = root / f"EndoCV_DATA{test_set}"
            self.frame(folder / f"Endocv2021_test_data{test_set}_{number}.jpg")
        return root


@pytest.fixture
def draw(tmp_path: Path) -> Drawer:
    """Draws datasets below the test's own folder."""
    return Drawer(tmp_path)


@pytest.fixture
def no_room() -> Callable[[int], AbstractContextManager[None]]:
    """As on a full disk, no file grows beyond so many bytes until the block ends."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
