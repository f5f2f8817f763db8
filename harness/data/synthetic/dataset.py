"""A drawn dataset in the real datasets' layouts, for a demonstration without a download.

Centres C1 to C5 differ in aperture, colour, blur and size; the test sets bring in a sixth that no
training frame comes from. A centre's frames show one stretch of colon each, a sequence's one
stretch from a moving camera. Everything follows from the seed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic import camera, scene, textures
from harness.data.synthetic.camera import LOOKS, Look
from harness.data.synthetic.scene import Scene, View
from metrics.utils.errors import UserError

SMALLEST: Final = 40
"""Fewer frames cannot fill every folder."""

QUALITY: Final = 95
"""JPEG quality of frames and masks, as in the real release."""

_TEXTURES: Final = 5
_EMPTY: Final = 0.06
_SECOND: Final = 0.22
_POSITIVE, _NEGATIVE, _NEGATIVE_TRAIN, _TEST_SETS = 5, 10, 5, 4
_TRIES: Final = 8


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """Where the parts of a drawn dataset lie.

    Attributes:
        endocv: As the EndoCV 2021 release: centres and sequences.
        hyperkvasir: As HyperKvasir's segmented images.
        test_frames: As the challenge's test folders, without masks.
        truth: What the organisers would withhold: ``EndoCV_DATAk/NAME_mask.png``.
        frames: Number of frames.
    """

    endocv: Path
    hyperkvasir: Path
    test_frames: Path
    truth: Path
    frames: int


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One frame to draw.

    Attributes:
        image: Its file.
        mask: Its mask's file, or ``None`` for a frame that ships without.
        scene: What it shows.
        view: From where.
        look: Through which endoscope.
        wanted: Whether a polyp has to be seen.
    """

    image: Path
    mask: Path | None
    scene: Scene
    view: View
    look: Look
    wanted: bool


@dataclass(frozen=True, kw_only=True)
class _Shares:
    """Frames in each folder of a kind."""

    centre: int
    negative_train: int
    positive: int
    negative_val: int
    test: int
    test_set: int


def write_dataset(root: Path, *, frames: int = 300, seed: int = 0, height: int = 256) -> Synthetic:
    """Draw a dataset.

    Args:
        root: Folder to write in; made when missing. Files of the same names are replaced.
        frames: About how many frames in all; at least ``SMALLEST``. Half of them train.
        seed: Everything follows from it.
        height: Height of most frames, in pixels; their width is a quarter more.

    Returns:
        Synthetic: Where the parts lie.

    Raises:
        UserError: If the arguments are out of range, or the folder cannot be written.
    """
    if frames < SMALLEST or height < 64:
        raise UserError(
            f"expected at least {SMALLEST} frames of at least 64 pixels in height, got {frames} "
            f"of {height}."
        )
    rng = np.random.default_rng(seed)
    pool = [textures.draw(rng) for _ in range(_TEXTURES)]
    paths = (root / "endocv2021", root / "hyperkvasir", root / "endocv2021-test", root / "truth")
    endocv, hyperkvasir, test_frames, truth = paths
    shares = _shares(frames)
    artist = _Artist(rng, pool)
    count = 0
    jobs = (
        artist.centres(endocv, shares),
        artist.positives(endocv, shares),
        artist.negatives(endocv, shares),
        artist.hyperkvasir(hyperkvasir, shares),
        artist.tests(test_frames, truth, shares),
    )
    for job in (job for part in jobs for job in part):
        _draw(job, rng, height)
        count += 1
    return Synthetic(
        endocv=endocv, hyperkvasir=hyperkvasir, test_frames=test_frames, truth=truth, frames=count
    )


class _Artist:
    """Decides what each folder's frames show."""

    def __init__(self, rng: np.random.Generator, pool: list[textures.Array]) -> None:
        self.rng = rng
        self.pool = pool

    def centres(self, root: Path, shares: _Shares) -> Iterator[_Job]:
        """Single frames of C1 to C5, most with a polyp."""
        for centre in ("C1", "C2", "C3", "C4", "C5"):
            folder = root / f"data_{centre}"
            for number in range(shares.centre):
                name = f"{centre}_EndoCV2021_{number:05d}"
                yield self._single(
                    folder / f"images_{centre}" / f"{name}.jpg",
                    folder / f"masks_{centre}" / f"{name}_mask.jpg",
                    LOOKS[centre],
                    empty=_EMPTY,
                )

    def positives(self, root: Path, shares: _Shares) -> Iterator[_Job]:
        """Sequences past a polyp, which can leave the view."""
        for number in range(1, _POSITIVE + 1):
            name = f"seq{number}"
            folder = root / "sequenceData" / "positive" / name
            look = self._any_look()
            for frame, (stretch, view) in enumerate(self._sequence(shares.positive, look, True)):
                stem = f"{name}_{frame:04d}"
                yield _Job(
                    image=folder / f"images_{name}" / f"{stem}.jpg",
                    mask=folder / f"masks_{name}" / f"{stem}_mask.jpg",
                    scene=stretch,
                    view=view,
                    look=look,
                    wanted=False,
                )

    def negatives(self, root: Path, shares: _Shares) -> Iterator[_Job]:
        """Sequences without a polyp and without masks."""
        for number in range(1, _NEGATIVE + 1):
            name = f"seq{number}_neg"
            folder = root / "sequenceData" / "negativeOnly" / name
            train = number <= _NEGATIVE_TRAIN
            steps = shares.negative_train if train else shares.negative_val
            look = self._any_look()
            for frame, (stretch, view) in enumerate(self._sequence(steps, look, False)):
                yield _Job(
                    image=folder / f"{name}_{frame:04d}.jpg",
                    mask=None,
                    scene=stretch,
                    view=view,
                    look=look,
                    wanted=False,
                )

    def hyperkvasir(self, root: Path, shares: _Shares) -> Iterator[_Job]:
        """Single frames, each with a polyp, images and masks under one name."""
        folder = root / "segmented-images"
        for _ in range(shares.test):
            name = f"{uuid.UUID(bytes=self.rng.bytes(16), version=4)}.jpg"
            look = LOOKS["hyperkvasir"]
            yield self._single(folder / "images" / name, folder / "masks" / name, look)

    def tests(self, root: Path, truth: Path, shares: _Shares) -> Iterator[_Job]:
        """The challenge's test sets: known centres, an unknown one, a mixture, a sequence."""
        for number in range(1, _TEST_SETS + 1):
            name = f"EndoCV_DATA{number}"
            for frame in range(shares.test_set):
                stem = f"Endocv2021_test_data{number}_{frame}"
                look = {1: LOOKS["C1"], 2: LOOKS["C4"], 3: LOOKS["C6"]}.get(number)
                yield self._single(
                    root / name / f"{stem}.jpg",
                    truth / name / f"{stem}_mask.png",
                    look or self._any_look(),
                    empty=_EMPTY,
                )

    def _single(self, image: Path, mask: Path, look: Look, *, empty: float = 0.0) -> _Job:
        view = scene.draw_view(self.rng)
        stretch = scene.draw_scene(self.rng, self.pool)
        wanted = bool(self.rng.random() >= empty)
        if wanted:
            count = 2 if self.rng.random() < _SECOND else 1
            stretch = self._with_polyps(stretch, view, look, count)
        return _Job(image=image, mask=mask, scene=stretch, view=view, look=look, wanted=wanted)

    def _with_polyps(self, stretch: Scene, view: View, look: Look, count: int) -> Scene:
        drawn = [scene.draw_polyp(self.rng, view, aspect=look.aspect) for _ in range(count)]
        return scene.with_polyps(stretch, drawn)

    def _sequence(self, steps: int, look: Look, polyp: bool) -> list[tuple[Scene, View]]:
        view = scene.draw_view(self.rng)
        stretch = scene.draw_scene(self.rng, self.pool)
        if polyp:
            stretch = self._with_polyps(stretch, view, look, 1)
        return [(stretch, each) for each in scene.path(self.rng, view, steps)]

    def _any_look(self) -> Look:
        names = [name for name in LOOKS if name.startswith("C")]
        return LOOKS[names[int(self.rng.integers(len(names)))]]


def _shares(frames: int) -> _Shares:
    """A division like the real one: half train, a fifth validates, the rest tests."""
    return _Shares(
        centre=max(2, round(0.42 * frames / 5)),
        negative_train=max(1, round(0.08 * frames / _NEGATIVE_TRAIN)),
        positive=max(2, round(0.13 * frames / _POSITIVE)),
        negative_val=max(1, round(0.05 * frames / (_NEGATIVE - _NEGATIVE_TRAIN))),
        test=max(2, round(0.14 * frames)),
        test_set=max(2, round(0.18 * frames / _TEST_SETS)),
    )


def _draw(job: _Job, rng: np.random.Generator, height: int) -> None:
    """Draw a frame, again with other polyps while a wanted one cannot be seen, and write it."""
    image, mask = camera.photograph(job.scene, job.view, job.look, height=height, rng=rng)
    for _ in range(_TRIES):
        if mask.any() or not job.wanted:
            break
        polyp = scene.draw_polyp(rng, job.view, aspect=job.look.aspect)
        again = scene.with_polyps(job.scene, [polyp])
        image, mask = camera.photograph(again, job.view, job.look, height=height, rng=rng)
    _write(job.image, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if job.mask is not None:
        _write(job.mask, mask.astype(np.uint8) * 255)


def _write(path: Path, pixels: NDArray[np.integer[Any] | np.floating[Any]]) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if path.suffix == ".jpg" else []
    encoded = cv2.imencode(path.suffix, pixels, options)[1]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}). Give another folder."
        ) from error
