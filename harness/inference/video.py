"""Read the frames of a video file, and write a video of frames."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from harness.utils.parts import Shard
from metrics.utils.errors import UserError
from metrics.utils.files import unwritable

_USUAL_RATE: Final = 25.0
_RATES: Final = (0.1, 1000.0)
_MISSING: Final = 0.01  # some containers give a duration, from which the number of frames follows
_OUTLINE: Final = (0, 255, 255)  # of a mask in the overlay, BGR: yellow


@dataclass(frozen=True, kw_only=True)
class Video:
    """What a video's header says.

    Attributes:
        path: The file.
        rate: Frames a second; 25 where the header gives none, or an impossible one.
        frames: The number of frames in the header; 0 where it gives none.
    """

    path: Path
    rate: float
    frames: int


def inspect(path: Path) -> Video:
    """Read a video's header.

    Raises:
        UserError: If the file is no video that OpenCV reads, or was cut off before its index.
    """
    capture = _open(path)
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        return Video(
            path=path,
            rate=rate if _RATES[0] <= rate <= _RATES[1] else _USUAL_RATE,
            frames=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
        )
    finally:
        capture.release()


def read_frames(
    video: Video, shard: Shard | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Read the frames of a video in order, one at a time, up to the first that cannot be read.

    Yields:
        tuple: Its number, from 1, and uint8 (H, W, 3), RGB; with ``shard`` of its frames alone.
    """
    own = shard or Shard(number=1, of=1)
    capture = _open(video.path)
    try:
        for number in count(1):
            there, frame = capture.read()
            if not there:
                return
            if number % own.of == own.number % own.of:  # process N of N takes N, 2 N and so on
                yield number, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    finally:
        capture.release()


def check_whole(video: Video, found: int) -> None:
    """Refuse a truncated video, of which only ``found`` frames could be read.

    Raises:
        UserError: If there is none, or clearly fewer than in its header.
    """
    if found == 0 or found < video.frames * (1 - _MISSING) - 1:
        raise UserError(
            f"{video.path}: expected {video.frames or 'some'} frames, as its header says, but only "
            f"{found} can be read: the file is truncated or damaged. Replace it with a whole copy."
        )


def overlay(pixels: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A frame, uint8 (H, W, 3) RGB, with a mask's outline: in BGR, as OpenCV writes it."""
    drawn = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    contours = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    cv2.drawContours(drawn, contours, -1, _OUTLINE, max(1, min(mask.shape) // 300))
    return np.asarray(drawn, dtype=np.uint8)


class Writer:
    """Writes frames into a video; see :func:`writing`."""

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._writer: cv2.VideoWriter | None = None

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame, uint8 (H, W, 3) BGR; all are of the first one's size.

        Raises:
            UserError: If OpenCV cannot write such a video here.
        """
        if self._writer is None:
            size = (frame.shape[1], frame.shape[0])
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self.path), code, self.rate, size)
            if not self._writer.isOpened():
                raise UserError(
                    f"OpenCV cannot write an MPEG-4 video of {size[0]} x {size[1]} pixels here; "
                    "install the opencv-python-headless that the project names"
                )
        self._writer.write(frame)

    def close(self) -> None:
        """End the video."""
        if self._writer is not None:
            self._writer.release()


@contextlib.contextmanager
def writing(path: Path, rate: float) -> Iterator[Writer]:
    """Write a video (``rate`` in frames a second), which gets its name when the block ends well.

    Raises:
        UnwritableError: If the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with folder as name:
        # OpenCV chooses the container by the suffix, so the temporary file has the same name.
        writer = Writer(Path(name) / path.name, rate)
        try:
            yield writer
        finally:
            writer.close()
        if writer.path.exists():
            # OpenCV says nothing of a full disk, but what it wrote has no index then.
            if not cv2.VideoCapture(str(writer.path)).isOpened():
                raise unwritable(path.parent, Exception("the video could not be written in full"))
            writer.path.replace(path)


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        capture.release()
        raise UserError(
            f"{path}: expected an image (JPEG, PNG, TIFF, BMP, or WebP and GIF of one picture) or "
            "a video that OpenCV reads (such as .mp4 or .avi), but it cannot be opened: it is "
            "something else, damaged, or was cut off before its index. Replace it with a whole "
            "copy."
        )
    return capture
