"""Videos are read frame by frame, and one that broke off is named."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.inference.video import check_whole, inspect, overlay, read_frames, writing
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError

FRAMES, HEIGHT, WIDTH = 40, 48, 64
CODES = {"mp4": "mp4v", "avi": "MJPG"}


def draw(path: Path) -> Path:
    """A video that grows brighter from frame to frame, with a red upper half."""
    code = cv2.VideoWriter.fourcc(*CODES[path.suffix[1:]])
    writer = cv2.VideoWriter(str(path), code, 12.5, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        pixels = np.full((HEIGHT, WIDTH, 3), 5 * number, np.uint8)
        pixels[: HEIGHT // 2] = (0, 0, 220)
        writer.write(pixels)
    writer.release()
    return path


@pytest.mark.parametrize("ending", CODES)
def test_frames_come_in_their_order_and_in_rgb(tmp_path: Path, ending: str) -> None:
    video = inspect(draw(tmp_path / f"v.{ending}"))
    frames = [pixels for _, pixels in read_frames(video)]

    assert (video.rate, video.frames, len(frames)) == (12.5, FRAMES, FRAMES)
    levels = [float(frame[HEIGHT * 3 // 4 :].mean()) for frame in frames]
    assert levels == pytest.approx([5 * number for number in range(FRAMES)], abs=6)
    assert all(frame[4, 4, 0] > 180 and frame[4, 4, 2] < 60 for frame in frames)
    check_whole(video, len(frames))


def test_a_video_without_its_index_cannot_be_opened(tmp_path: Path) -> None:
    path = draw(tmp_path / "v.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(UserError, match=r"v\.mp4: expected an image .* or a video"):
        inspect(path)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_what_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.avi"
    path.write_bytes(content)

    with pytest.raises(UserError, match=r"notes\.avi"):
        inspect(path)


def test_a_video_that_breaks_off(tmp_path: Path) -> None:
    path = draw(tmp_path / "v.avi")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    video = inspect(path)
    count = len(list(read_frames(video)))

    assert 0 < count < FRAMES
    with pytest.raises(UserError, match=f"expected {video.frames} frames.*only {count} can be"):
        check_whole(video, count)


def test_an_outline_is_drawn_on_the_masks_edge_alone() -> None:
    pixels = np.full((30, 40, 3), (10, 20, 30), np.uint8)
    mask = np.zeros((30, 40), np.bool_)
    mask[10:20, 10:30] = True

    drawn = overlay(pixels, mask)

    assert drawn[10, 15].tolist() == [0, 255, 255]
    assert drawn[15, 20].tolist() == drawn[5, 5].tolist() == [30, 20, 10]
    assert pixels[10, 15].tolist() == [10, 20, 30]


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_a_video_is_there_whole_or_not_at_all(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "out" / "made.mp4"
    with writing(path, 10.0) as writer:
        for level in (0, 120, 240):
            writer.add(np.full((*size, 3), level, np.uint8))
            assert not path.exists()
    levels = [float(frame.mean()) for _, frame in read_frames(inspect(path))]
    assert levels == pytest.approx([0, 120, 240], abs=8)

    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "out" / "other.mp4")
    assert list(path.parent.iterdir()) == [path]


def interrupted(path: Path) -> None:
    with writing(path, 10.0) as writer:
        writer.add(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        raise KeyboardInterrupt


def test_a_video_that_the_disk_has_no_room_for_is_no_video(
    tmp_path: Path, no_room: Callable[[int], AbstractContextManager[None]]
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 128, 128, 3), np.uint8)

    def write() -> None:
        with writing(tmp_path / "v.mp4", 25) as film:
            for frame in noise:
                film.add(frame)

    with no_room(100_000), pytest.raises(UnwritableError, match="in full"):
        write()

    assert not [*tmp_path.iterdir()]
