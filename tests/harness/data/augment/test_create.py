from __future__ import annotations

import random
import warnings

import albumentations as A
import cv2
import numpy as np
import pytest
from albumentations.augmentations.geometric import functional as reference
from numpy.typing import NDArray

from harness.data.augment import create, paper, warp
from harness.data.augment.create import generator
from harness.data.augment.light import Light
from metrics.utils.errors import UserError

SIZE = 96
NAMES = tuple(create.AUGMENTATIONS)


@pytest.fixture
def image() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(20, 230, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def mask() -> NDArray[np.uint8]:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[30:66, 36:70] = 1
    return mask


def fingerprint(name: str, image: NDArray[np.uint8], mask: NDArray[np.uint8],
                *, seed: int = 0, epoch: int = 0, frame: int = 0) -> bytes:  # fmt: skip
    augmented = create.create(name, SIZE)(image, mask, generator(seed, epoch, frame))
    return b"".join(part.tobytes() for part in augmented)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [32, 64, 96, 128])
def test_gives_bytes_of_the_size_asked_for(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], name: str, size: int
) -> None:
    augmentation = create.create(name, size)
    for frame in range(8):
        augmented, truth = augmentation(image, mask, generator(0, 0, frame))
        assert (augmented.shape, augmented.dtype) == ((size, size, 3), np.uint8)
        assert (truth.shape, truth.dtype) == ((size, size), np.uint8)
        assert set(np.unique(truth)) <= {0, 1}


@pytest.mark.parametrize("name", NAMES)
def test_leaves_what_it_is_given_alone(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], name: str
) -> None:
    before = image.copy(), mask.copy()
    for frame in range(20):
        create.create(name, SIZE)(image, mask, generator(0, 0, frame))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("name", ["paper", "light"])
def test_is_a_function_of_seed_epoch_and_frame(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], name: str
) -> None:
    positions = [
        {"seed": seed, "epoch": epoch, "frame": frame}
        for seed in range(2) for epoch in range(3) for frame in range(4)
    ]  # fmt: skip
    first = [fingerprint(name, image, mask, **position) for position in positions]
    np.random.default_rng(5).random()
    cv2.setRNGSeed(99)
    again = [fingerprint(name, image, mask, **position) for position in reversed(positions)]
    assert first == again[::-1]
    assert len(set(first)) == len(positions)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert NAMES == ("paper", "light", "none")
    with pytest.raises(UserError, match="unknown augmentation 'ligth'; did you mean 'light'"):
        create.create("ligth", SIZE)


def test_none_changes_nothing_at_its_own_size(
    image: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> None:
    same = create.create("none", SIZE)(image, mask, generator(0, 0, 0))
    np.testing.assert_array_equal(same[0], image)
    np.testing.assert_array_equal(same[1], mask)


@pytest.mark.parametrize("name", ["paper", "light"])
def test_mask_goes_where_the_frame_goes(mask: NDArray[np.uint8], name: str) -> None:
    """A polyp that alone is bright: where the augmented frame is bright is the augmented mask."""
    image = np.repeat(220 * mask[..., None], 3, axis=2)
    overlaps = []
    for frame in range(60):
        augmented, truth = create.create(name, SIZE)(image, mask, generator(0, 0, frame))
        grey = augmented.astype(int).sum(axis=2)
        bright = grey > (int(grey.max()) + int(grey.min())) / 2
        both = np.count_nonzero(bright & (truth == 1))
        overlaps.append(both / np.count_nonzero(bright | (truth == 1)))
    assert np.mean(overlaps) > 0.9


def test_paper_draws_what_the_authors_drew() -> None:
    """The settings that stand in the authors' list or were defaults of albumentations 0.5."""
    shown = [
        [(type(transform).__name__, transform) for transform in one_of]
        for one_of in paper.colours()
    ]
    assert [[name for name, _ in group] for group in shown] == [
        ["CLAHE", "RandomBrightnessContrast", "RandomGamma"],
        ["Sharpen", "Blur", "MotionBlur"],
        ["RandomBrightnessContrast", "HueSaturationValue"],
    ]
    (clahe, brightness, gamma), (sharpen, blur, motion), (contrast, hue) = (
        [transform for _, transform in group] for group in shown
    )
    assert (clahe.clip_limit, clahe.tile_grid_size) == ((1, 4), (8, 8))
    assert (brightness.brightness_limit, brightness.contrast_limit) == ((-0.2, 0.2), (0, 0))
    assert (contrast.brightness_limit, contrast.contrast_limit) == ((0, 0), (-0.2, 0.2))
    assert gamma.gamma_limit == (80, 120)
    assert (sharpen.alpha, sharpen.lightness) == ((0.2, 0.5), (0.5, 1.0))
    assert blur.blur_limit == motion.blur_limit == (3, 3)
    assert (hue.hue_shift_limit, hue.sat_shift_limit, hue.val_shift_limit) == (
        (-20, 20), (-30, 30), (-20, 20),
    )  # fmt: skip
    assert {transform.p for one_of in paper.colours() for transform in one_of} == {1}


def test_no_keyword_is_wrong() -> None:
    """albumentations takes a wrong keyword for a default, with no more than a warning."""
    with pytest.warns(UserWarning, match="blurr"):
        A.Blur(blurr=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paper.colours()


def test_shift_scale_is_albumentations_own() -> None:
    """The same matrix as its Affine makes from the same scale and shift."""
    for seed in range(20):
        ours = paper._shift_scale(SIZE, *np.random.default_rng(seed).random(3))
        scale, (right, down) = ours[0, 0], _shift_of(ours)
        theirs = reference.create_affine_transformation_matrix(
            {"x": right, "y": down},
            {"x": 0, "y": 0},
            {"x": scale, "y": scale},
            0,
            reference.center((SIZE, SIZE)),
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
        assert 0.5 <= scale <= 1.5
        assert max(abs(right), abs(down)) <= 0.1 * SIZE


def _shift_of(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the centre moves, in pixels."""
    centre = np.array([(SIZE - 1) / 2] * 2 + [1])
    return (matrix @ centre - centre)[:2]


def test_perspective_looks_at_a_part_of_the_frame() -> None:
    corners = np.array([[0, 0, 1], [SIZE, 0, 1], [SIZE, SIZE, 1], [0, SIZE, 1]]).T
    for seed in range(50):
        matrix = paper._perspective(np.random.default_rng(seed), SIZE)
        seen = np.linalg.inv(matrix) @ corners
        seen = seen[:2] / seen[2]
        assert seen.min() > -1e-3
        assert seen.max() < SIZE + 1e-3
        moved = np.abs(seen - corners[:2]) / SIZE
        assert moved.max() < 0.32 + 1e-6
        assert moved.max() > 0


def test_one_warp_shows_what_two_would(image: NDArray[np.uint8]) -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for seed in range(10):
        first = paper._shift_scale(SIZE, *np.random.default_rng(seed).random(3))
        second = paper._perspective(np.random.default_rng(seed), SIZE)
        once = warp.warp(image, mask, second @ first, SIZE)[0][..., :3]
        between = warp.warp(image, mask, first, SIZE)[0][..., :3].copy()
        twice = warp.warp(between, mask, second, SIZE)[0][..., :3]
        assert np.abs(once.astype(int) - twice).mean() < 3


def test_geometry_has_the_papers_odds() -> None:
    matrices = [paper.geometry(generator(0, 0, frame), SIZE) for frame in range(600)]
    turned = np.mean([np.linalg.det(matrix[:2, :2]) < 0 for matrix in matrices])
    projective = np.mean([bool(np.abs(matrix[2, :2]).max() > 1e-12) for matrix in matrices])
    # Four standard deviations of a fair coin thrown 600 times are 0.08.
    assert turned == pytest.approx(0.5, abs=0.08)
    assert projective == pytest.approx(0.5, abs=0.08)


def test_motion_blurs_kernels_are_albumentations() -> None:
    ours, theirs = paper.MotionBlur(blur_limit=3, p=1), A.MotionBlur(blur_limit=3, p=1)
    kernels = set()
    for seed in range(500):
        for blur in (ours, theirs):
            blur.set_random_state(np.random.default_rng(seed), random.Random(seed))
        kernel = ours.get_params()["kernel"]
        np.testing.assert_array_equal(kernel, theirs.get_params()["kernel"])
        assert kernel.dtype == np.float32
        assert ours.py_random.getstate() == theirs.py_random.getstate()
        kernels.add(kernel.tobytes())
    assert len(kernels) > 20


def test_warp_is_opencvs(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    matrix = np.array([[1.2, 0.1, -8], [-0.2, 0.9, 12], [0, 0, 1.0]])
    warped, truth = warp.warp(image, mask, matrix, SIZE)
    plain = cv2.warpAffine(image, matrix[:2], (SIZE, SIZE), flags=cv2.INTER_LINEAR)
    assert np.abs(warped[..., :3].astype(int) - plain).max() <= 2
    nearest = cv2.warpAffine(mask, matrix[:2], (SIZE, SIZE), flags=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(truth, nearest)


def test_noise_is_grey_and_as_strong_as_asked_for() -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    noisy = warp.add_noise(grey, 9.0, generator(0, 0, 0)).astype(int) - 128
    assert not np.ptp(noisy, axis=2).any()
    assert noisy.std() == pytest.approx(9.0, rel=0.03)
    assert abs(noisy.mean()) < 0.2


def test_light_is_centred_and_keeps_most_of_the_frame() -> None:
    """The frame's centre lands within the output, at a scale from 0.6 to 1.5."""
    light = Light(64)
    rng = np.random.default_rng(0)
    for _ in range(200):
        matrix = light._geometry(rng.random(10), SIZE)
        centre = matrix @ [(SIZE - 1) / 2, (SIZE - 1) / 2, 1]
        assert np.abs(centre[:2] - 31.5).max() <= 0.15 * 64 + 1e-9
        scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) * SIZE / 64
        assert 0.58 < scale < 1.52


def test_light_at_a_smaller_size_lies_where_it_does_at_the_full_one(
    image: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> None:
    for frame in range(20):
        full = Light(SIZE)(image, mask, generator(0, 0, frame))[1]
        half = Light(SIZE // 2)(image, mask, generator(0, 0, frame))[1]
        shrunk = cv2.resize(full, (SIZE // 2, SIZE // 2), interpolation=cv2.INTER_AREA)
        assert np.abs(half.astype(float) - shrunk).mean() < 0.04


def test_class_indices_survive(image: NDArray[np.uint8]) -> None:
    mask = np.random.default_rng(0).integers(0, 4, (SIZE, SIZE), dtype=np.uint8)
    for name in ("paper", "light"):
        truth = create.create(name, SIZE)(image, mask, generator(0, 0, 1))[1]
        assert set(np.unique(truth)) == {0, 1, 2, 3}
