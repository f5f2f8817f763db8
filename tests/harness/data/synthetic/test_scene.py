from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.synthetic import scene
from harness.data.synthetic.scene import Scene

SHAPE = (96, 120)
Texture = NDArray[np.float32]


@pytest.fixture(scope="module")
def texture() -> Texture:
    return scene.draw_texture(np.random.default_rng(0))


def scenes(texture: Texture, count: int, *, polyps: int = 0, room: float = 1.0) -> list[Scene]:
    rngs = (np.random.default_rng(seed) for seed in range(count))
    return [Scene(rng, texture, SHAPE, polyps=polyps, room=room) for rng in rngs]


def test_textures_are_standard_and_without_seams(texture: Texture) -> None:
    assert texture.shape == (scene.TEXTURE_SIDE, scene.TEXTURE_SIDE, 4)
    assert texture.dtype == np.float32
    mottling, vessels, *_ = np.moveaxis(texture, 2, 0)
    assert mottling.std() == pytest.approx(1, abs=1e-3)
    assert vessels.min() >= 0
    assert vessels.max() <= 1
    assert 0.02 < (vessels > 0.5).mean() < 0.25
    for axis in (0, 1):
        steps = np.abs(np.diff(mottling, axis=axis))
        seam = np.abs(mottling.take(0, axis) - mottling.take(-1, axis))
        assert seam.max() <= steps.max() * 1.5


def test_a_scene_follows_from_its_generator(texture: Texture) -> None:
    first, again = scenes(texture, 1, polyps=1)[0], scenes(texture, 1, polyps=1)[0]
    np.testing.assert_array_equal(first.light, again.light)
    np.testing.assert_array_equal(first.mask, again.mask)
    other = scenes(texture, 2, polyps=1)[1]
    assert np.abs(first.light - other.light).mean() > 0.01


def test_only_the_polyp_and_its_shadow_change_the_wall(texture: Texture) -> None:
    for without, with_one in zip(scenes(texture, 20), scenes(texture, 20, polyps=1), strict=True):
        assert not without.mask.any()
        changed = np.abs(without.light - with_one.light).max(axis=2) > 0.02
        if with_one.mask.any():
            assert changed[with_one.mask].mean() > 0.4
            rows, columns = np.nonzero(changed)
            inside_rows, inside_columns = np.nonzero(with_one.mask)
            reach = 0.7 * max(np.ptp(inside_rows), np.ptp(inside_columns)) + 2
            assert rows.min() >= inside_rows.min() - reach
            assert columns.max() <= inside_columns.max() + reach
        else:
            assert not changed.any()


def test_polyps_are_of_many_sizes_and_nearly_all_are_seen(texture: Texture) -> None:
    shares = np.array([each.mask.mean() for each in scenes(texture, 60, polyps=1)])
    assert (shares > 0).mean() > 0.9
    assert shares[shares > 0].min() < 0.07
    assert shares.max() > 0.2


def test_some_polyps_are_hard_to_tell_from_the_wall(texture: Texture) -> None:
    """The contrast of polyps to the wall that they cover goes from little to plain."""
    contrasts = [
        np.abs(bare.light - drawn.light)[drawn.mask].mean() / bare.light[drawn.mask].mean()
        for bare, drawn in zip(scenes(texture, 60), scenes(texture, 60, polyps=1), strict=True)
        if drawn.mask.any()
    ]
    assert np.quantile(contrasts, 0.05) < 0.2
    assert np.quantile(contrasts, 0.9) > 0.3


def test_light_falls_towards_the_lumen_and_is_reddish(texture: Texture) -> None:
    y, x = (np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5) * 2 / SHAPE[0]
    for each in scenes(texture, 12):
        away = np.hypot(x - each.lumen[0], y - each.lumen[1])
        near, far = each.light[away < 0.2], each.light[away > 0.9]
        assert not near.size or near.mean() < 0.5 * far.mean()
        assert far[:, 0].mean() > 1.2 * far[:, 2].mean()


def test_room_is_left_around_the_frame_of_a_sequence(texture: Texture) -> None:
    (wide,) = scenes(texture, 1, polyps=1, room=1.4)
    assert wide.shape == SHAPE
    assert wide.light.shape == (134, 168, 3)
    assert wide.mask.shape == (134, 168)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9)])
def test_a_polyp_of_few_pixels_is_not_drawn(texture: Texture, shape: tuple[int, int]) -> None:
    drawn = Scene(np.random.default_rng(0), texture, shape, polyps=3)
    assert not drawn.mask.any()
