from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.synthetic import endoscope
from harness.data.synthetic.endoscope import LOOKS, Look, photograph
from harness.data.synthetic.scene import Scene, draw_texture

HEIGHT = 96


@pytest.fixture(scope="module")
def texture() -> NDArray[np.float32]:
    return draw_texture(np.random.default_rng(0))


def scene_for(look: Look, texture: NDArray[np.float32], *, room: float = 1.0) -> Scene:
    """A grey scene that is a polyp all over."""
    rng = np.random.default_rng(0)
    scene = Scene(rng, texture, look.shape(HEIGHT), polyps=0, room=room)
    scene.light = np.full_like(scene.light, 0.4)
    scene.mask = np.ones_like(scene.mask)
    return scene


@pytest.mark.parametrize("name", LOOKS)
def test_every_look_gives_even_frames_of_its_own_shape(
    name: str, texture: NDArray[np.float32]
) -> None:
    look = LOOKS[name]
    image, mask = photograph(scene_for(look, texture), look, np.random.default_rng(0))
    assert image.shape == (*look.shape(HEIGHT), 3)
    assert image.dtype == np.uint8
    assert mask.shape == image.shape[:2]
    assert image.shape[0] % 2 == image.shape[1] % 2 == 0
    assert image.shape[1] / image.shape[0] == pytest.approx(look.aspect, rel=0.03)


@pytest.mark.parametrize("name", LOOKS)
def test_truth_ends_at_the_aperture_and_at_the_display(
    name: str, texture: NDArray[np.float32]
) -> None:
    look = LOOKS[name]
    image, mask = photograph(scene_for(look, texture), look, np.random.default_rng(0))
    assert 0.6 < mask.mean() <= 1
    assert mask.all() == (look.aperture == endoscope.FULL)
    # A frame's blur is over after four pixels.
    outside = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) == 0
    inside = cv2.erode(mask.astype(np.uint8), np.ones((9, 9))) > 0
    assert image[inside].mean() > 100
    assert not outside.any() or image[outside].max() <= 70


def test_the_display_is_green(texture: NDArray[np.float32]) -> None:
    look = LOOKS["hyperkvasir"]
    image, mask = photograph(scene_for(look, texture), look, np.random.default_rng(0))
    corner = slice(-20, -6), slice(6, 20)
    assert not mask[corner].any()
    assert (image[corner][..., 1] > image[corner][..., 0]).all()


def test_frames_are_darker_at_the_rim_and_noisy(texture: NDArray[np.float32]) -> None:
    look = LOOKS["C5"]
    scene = scene_for(look, texture)
    image, _ = photograph(scene, look, np.random.default_rng(0))
    other, _ = photograph(scene, look, np.random.default_rng(1))
    assert image[:8, :8].mean() < 0.9 * image[44:52, 60:68].mean()
    assert 1 < (image.astype(int) - other).std() < 6


def test_a_camera_moves_frame_and_truth_alike(texture: NDArray[np.float32]) -> None:
    """A bright square that is a polyp, seen from 9 pixels further left and 5 further up."""
    look = LOOKS["C5"]
    scene = scene_for(look, texture, room=1.4)
    scene.light[:] = 0
    scene.mask[:] = False
    scene.light[50:70, 60:90] = 1
    scene.mask[50:70, 60:90] = True
    move = np.array([[1.0, 0, -9], [0, 1.0, -5]])
    image, mask = photograph(scene, look, np.random.default_rng(0), move=move)
    expected = np.zeros(mask.shape, np.bool_)
    expected[45:65, 51:81] = True
    np.testing.assert_array_equal(mask, expected)
    np.testing.assert_array_equal(image.max(axis=2) > 110, expected)
