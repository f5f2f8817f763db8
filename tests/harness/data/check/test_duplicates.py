from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance

from harness.data.check import duplicates


def picture(seed: int, size: int = 256) -> Image.Image:
    """A smooth scene with fine texture."""
    generator = np.random.default_rng(seed)
    coarse = cv2.resize(
        generator.uniform(40, 200, (5, 5)), (size, size), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.resize(
        generator.normal(0, 12, (48, 48)), (size, size), interpolation=cv2.INTER_CUBIC
    )
    return Image.fromarray(np.clip(coarse + fine, 0, 255).astype(np.uint8))


def thumbnail(image: Image.Image) -> npt.NDArray[np.uint8]:
    return np.asarray(
        cv2.resize(np.asarray(image), (64, 64), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def near(labels: list[str], *images: Image.Image) -> list[str]:
    """Paths at fault; the images are called 0, 1 and so on."""
    names = [str(i) for i in range(len(images))]
    thumbnails = np.stack([thumbnail(image) for image in images])
    return [fault.path for fault in duplicates.near(labels, names, names, thumbnails)]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def test_the_same_pixels_in_two_splits_are_a_fault_once() -> None:
    labels = ["train", "train", "val", "test", "test"]
    faults = duplicates.exact(labels, list("abcde"), ["x", "x", "x", "y", "x"])
    assert [fault.path for fault in faults] == ["c", "e"]
    assert "same pixels as a in train" in faults[0].message


def test_within_a_split_and_in_none_nothing_leaks() -> None:
    assert not duplicates.exact(["train", "train", "", "val"], list("abcd"), ["x", "x", "x", "y"])


def test_frames_without_pixels_are_not_alike() -> None:
    assert not duplicates.exact(["train", "val"], ["a", "b"], ["", ""])


@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 40),
        lambda image: image.resize((128, 100)),
        lambda image: image.resize((700, 640)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    ],
    ids=["re-encoded", "smaller", "larger", "darker"],
)
def test_a_changed_copy_in_another_split_is_found(change: object) -> None:
    assert callable(change)
    image = picture(1)
    images = [picture(0), image, picture(2), change(image)]
    assert near(["train", "train", "val", "val"], *images) == ["3"]
    assert near(["train"] * 4, *images) == []
    assert near(["train", "train", "val", ""], *images) == []


def test_different_pictures_with_the_same_light_are_not_alike() -> None:
    # The same broad shape, as dark frames with black corners share it, under another texture.
    shape = np.asarray(picture(0).resize((5, 5)).resize((256, 256), Image.Resampling.BICUBIC))
    textures = [
        cv2.resize(np.random.default_rng(seed).normal(0, 4, (64, 64)), (256, 256))
        for seed in (1, 2)
    ]
    images = [Image.fromarray(np.clip(shape + t, 0, 255).astype(np.uint8)) for t in textures]
    vectors = [thumbnail(image).ravel().astype(float) for image in images]
    assert np.corrcoef(vectors)[0, 1] > duplicates.WHOLE
    assert near(["train", "val"], *images) == []


def test_flat_frames_are_not_compared() -> None:
    black = Image.new("L", (64, 64))
    assert near(["train", "val"], black, black.point(lambda value: value + 1)) == []


def test_the_very_same_pixels_are_left_to_the_exact_search() -> None:
    thumbnails = np.stack([thumbnail(picture(0))] * 2)
    assert not duplicates.near(["train", "val"], ["a", "b"], ["x", "x"], thumbnails)


def test_the_likest_frame_is_named() -> None:
    image = picture(1)
    images = [jpeg(image, 20), jpeg(image, 90), image]
    thumbnails = np.stack([thumbnail(i) for i in images])
    faults = duplicates.near(["train", "train", "val"], list("abc"), list("xyz"), thumbnails)
    assert len(faults) == 1
    assert "nearly the same picture as b in train" in faults[0].message


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(i) for i in range(5)] + [jpeg(picture(i), 70) for i in (1, 4)]
    labels = ["train"] * 5 + ["val"] * 2
    whole = near(labels, *images)
    monkeypatch.setattr(duplicates, "_BLOCK", 2)
    assert near(labels, *images) == whole == ["5", "6"]


def test_no_frames_no_faults() -> None:
    assert duplicates.near([], [], [], np.zeros((0, 64, 64), np.uint8)) == []
