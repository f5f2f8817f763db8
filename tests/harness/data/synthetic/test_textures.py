from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.synthetic import textures


@pytest.fixture(scope="module")
def texture() -> NDArray[np.float32]:
    return textures.draw(np.random.default_rng(0))


def test_noise_is_standard_and_without_seams() -> None:
    field = textures.noise(np.random.default_rng(0), (12, 24))
    assert field.shape == (textures.HEIGHT, textures.WIDTH)
    assert field.mean() == pytest.approx(0, abs=1e-3)
    assert field.std() == pytest.approx(1, abs=1e-3)
    for axis in (0, 1):
        steps = np.abs(np.diff(field, axis=axis))
        seam = np.abs(field.take(0, axis) - field.take(-1, axis))
        assert seam.max() <= steps.max() * 1.5


def test_channels(texture: NDArray[np.float32]) -> None:
    assert texture.shape == (2, textures.HEIGHT, textures.WIDTH, 4)
    vessels = texture[0, ..., textures.VESSELS]
    assert vessels.min() >= 0
    assert vessels.max() <= 1
    assert 0.02 < (vessels > 0.5).mean() < 0.25


def test_look_up_is_periodic(texture: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(1)
    around, along = rng.uniform(-9, 9, (2, 20, 30)).astype(np.float32)
    here = textures.look_up(texture, around, along)
    turn = np.float32(2 * math.pi)
    np.testing.assert_allclose(textures.look_up(texture, around + turn, along), here, atol=0.05)
    np.testing.assert_allclose(textures.look_up(texture, around, along - turn), here, atol=0.05)
    assert here.shape == (20, 30, 8)


def test_look_up_finds_the_texel(texture: NDArray[np.float32]) -> None:
    rows, columns = np.meshgrid(np.arange(5), np.arange(5), indexing="ij")
    seen = textures.look_up(
        texture,
        (columns / textures.PER_UNIT).astype(np.float32),
        (rows / textures.PER_UNIT).astype(np.float32),
    )
    np.testing.assert_allclose(seen[..., :4], texture[0, :5, :5], atol=1e-3)
