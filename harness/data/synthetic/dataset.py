"""A drawn dataset in the real datasets' layouts, for a demonstration without a download.

Centres C1 to C5 differ in aperture, colour, blur and size; the test sets bring in a sixth that no
training frame comes from. A single frame shows a scene of its own, a sequence one scene under a
moving camera. Everything follows from the seed.
"""

from __future__ import annotations

import dataclasses
import math
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.endoscope import LOOKS, Look, photograph
from harness.data.synthetic.scene import Scene, draw_texture
from harness.utils.folders import replace_folder
from metrics.utils.errors import UserError

SMALLEST: Final = 40
"""Fewer frames cannot fill every folder."""

QUALITY: Final = 95
"""JPEG quality of frames and masks, as in the real release."""

_TEXTURES: Final = 5
_EMPTY: Final = 0.06
_SECOND: Final = 0.22
_ROOM: Final = 1.4  # a sequence's scene is so many times as high and wide as its frames


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """Where the parts of a drawn dataset lie, and how many frames it has.

    ``truth`` is what the organisers would withhold: ``EndoCV_DATAk/NAME_mask.png``.
    """

    endocv: Path
    hyperkvasir: Path
    test_frames: Path
    truth: Path
    frames: int = 0

    @classmethod
    def below(cls, root: Path) -> Self:
        """The parts of a dataset that is drawn in a folder."""
        return cls(
            endocv=root / "endocv2021",
            hyperkvasir=root / "hyperkvasir",
            test_frames=root / "endocv2021-test",
            truth=root / "truth",
        )


def write_dataset(
    root: Path,
    *,
    frames: int = 300,
    seed: int = 0,
    height: int = 256,
    progress: Callable[[int], object] = lambda _drawn: None,
) -> Synthetic:
    """Draw a dataset.

    Of about ``frames`` frames, at least ``SMALLEST``, half train, a fifth validates, the rest
    tests. Most are ``height`` pixels high and a quarter wider. ``root`` is an empty folder or a new
    one, and appears when all frames are drawn. Everything follows from ``seed``. ``progress`` is
    called after each frame with the number drawn so far.

    Returns:
        Synthetic: Where the parts lie.

    Raises:
        UserError: If the arguments are out of range, or the folder holds files or cannot be
            written.
    """
    final = root.resolve()  # a link stays, what it leads to is replaced
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise UserError(
            f"{root} exists and is not an empty folder; give a new one, so that drawn frames do "
            "not mix with others"
        )
    if final == Path.cwd():
        raise UserError(f"{root} is the current folder; give a new one in it, such as drawn")
    if frames < SMALLEST or height < 64:
        raise UserError(
            f"expected at least {SMALLEST} frames of at least 64 pixels in height, got {frames} "
            f"of {height}."
        )
    with replace_folder(final) as folder:
        artist = _Artist(np.random.default_rng(seed), height, progress)
        _draw(Synthetic.below(folder), frames, artist)
    return dataclasses.replace(Synthetic.below(root), frames=artist.frames)


def _draw(drawn: Synthetic, frames: int, artist: _Artist) -> None:
    """Draw and write all frames."""
    for image, mask, look in _single_frames(drawn, frames, artist.rng):
        artist.draw_single(image, mask, look)
    sequences = drawn.endocv / "sequenceData"
    for number in range(1, 6):
        artist.draw_positive(sequences / f"positive/seq{number}", max(2, round(0.026 * frames)))
    for number in range(1, 11):
        # The paper's splits train on the first five of these and validate on the others.
        count = max(1, round((0.016 if number <= 5 else 0.01) * frames))
        artist.draw_negative(sequences / f"negativeOnly/seq{number}_neg", count)


def _single_frames(
    drawn: Synthetic, frames: int, rng: np.random.Generator
) -> Iterator[tuple[Path, Path, str]]:
    """Image, mask and look of each frame that is no part of a sequence."""
    for centre in ("C1", "C2", "C3", "C4", "C5"):
        folder = drawn.endocv / f"data_{centre}"
        for number in range(max(2, round(0.084 * frames))):
            name = f"{centre}_EndoCV2021_{number:05d}"
            mask = folder / f"masks_{centre}" / f"{name}_mask.jpg"
            yield folder / f"images_{centre}" / f"{name}.jpg", mask, centre
    folder = drawn.hyperkvasir / "segmented-images"
    for _ in range(max(2, round(0.14 * frames))):
        name = f"{uuid.UUID(bytes=rng.bytes(16), version=4)}.jpg"
        yield folder / "images" / name, folder / "masks" / name, "hyperkvasir"
    # Two known centres, an unknown one, a mixture.
    for number, look in enumerate(("C1", "C4", "C6", ""), start=1):
        test_set = f"EndoCV_DATA{number}"
        for frame in range(max(2, round(0.045 * frames))):
            name = f"Endocv2021_test_data{number}_{frame}"
            mask = drawn.truth / test_set / f"{name}_mask.png"
            yield drawn.test_frames / test_set / f"{name}.jpg", mask, look


class _Artist:
    """Draws frames, writes them, and calls ``progress`` after each with their number."""

    def __init__(
        self, rng: np.random.Generator, height: int, progress: Callable[[int], object]
    ) -> None:
        self.rng = rng
        self.height = height
        self.progress = progress
        self.textures = [draw_texture(rng) for _ in range(_TEXTURES)]
        self.frames = 0

    def draw_single(self, image_path: Path, mask_path: Path, name: str) -> None:
        """A scene of its own; another one while a polyp that is wanted cannot be seen."""
        look = LOOKS[name or self._any_centre()]
        empty = name != "hyperkvasir" and self.rng.random() < _EMPTY
        polyps = 0 if empty else 1 + int(self.rng.random() < _SECOND)
        while True:
            scene = self._scene(look, polyps)
            image, mask = photograph(scene, look, self.rng)
            if empty or mask.any():
                break
        self._write(image_path, image)
        _write(mask_path, mask)

    def draw_positive(self, folder: Path, count: int) -> None:
        """A sequence past a polyp, which can leave the view."""
        name = folder.name
        for frame, (image, mask) in enumerate(self._sequence(count, polyps=1)):
            stem = f"{name}_{frame:04d}"
            self._write(folder / f"images_{name}" / f"{stem}.jpg", image)
            _write(folder / f"masks_{name}" / f"{stem}_mask.jpg", mask)

    def draw_negative(self, folder: Path, count: int) -> None:
        """A sequence without a polyp and without masks."""
        for frame, (image, _) in enumerate(self._sequence(count, polyps=0)):
            self._write(folder / f"{folder.name}_{frame:04d}.jpg", image)

    def _sequence(
        self, count: int, *, polyps: int
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_]]]:
        """Frames and masks of one scene, past which the camera moves, turns and zooms slowly."""
        look = LOOKS[self._any_centre()]
        scene = self._scene(look, polyps, room=_ROOM)
        rows, columns = look.shape(self.height)
        middle = np.array(scene.mask.shape[::-1]) / 2
        right, down, turn, zoom = self.rng.uniform(-1, 1, 4)
        for time in np.linspace(-1, 1, count):
            move = cv2.getRotationMatrix2D(
                middle.tolist(), 14 * turn * time, 1 + 0.12 * zoom * time
            )
            sway = rows * (0.25 * time + 0.04 * math.sin(4 * time)) * np.array([right, down])
            move[:, 2] += np.array([columns, rows]) / 2 - middle + sway
            yield photograph(scene, look, self.rng, move=move)

    def _scene(self, look: Look, polyps: int, *, room: float = 1.0) -> Scene:
        texture = self.textures[int(self.rng.integers(len(self.textures)))]
        return Scene(self.rng, texture, look.shape(self.height), polyps=polyps, room=room)

    def _any_centre(self) -> str:
        return f"C{self.rng.integers(1, 7)}"

    def _write(self, path: Path, image: NDArray[np.uint8]) -> None:
        _write(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        self.frames += 1
        self.progress(self.frames)


def _write(path: Path, pixels: NDArray[Any]) -> None:
    """Write a frame, uint8 (H, W, 3) BGR, or a mask, bool (H, W)."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if path.suffix == ".jpg" else []
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, pixels, options)[1].tobytes())
