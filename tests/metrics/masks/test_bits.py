import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics.frame.official_hausdorff import hausdorff_bits, hausdorff_rows
from metrics.frame.pixel_counts import count, count_bits
from metrics.masks.bits import pack

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=150)


@st.composite
def pairs(draw):
    shape = draw(SHAPES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random((2, *shape)) < draw(st.sampled_from([0.0, 0.01, 0.5, 1.0]))


def test_packed_by_hand(drawn):
    bits = pack(drawn("#..# ...."))
    # The first pixel is the highest bit of the first byte, so 1001 0000 is 144.
    assert bits.words.view(np.uint8).tolist() == [[144, *[0] * 7], [0] * 8]
    assert bits.shape == (2, 4)
    assert bits.pixels == 2


@given(pairs())
def test_packed_masks_count_as_they_are(pair):
    truth, prediction = pair
    packed = pack(truth), pack(prediction)
    assert count_bits(*packed) == count(truth, prediction)
    assert hausdorff_bits(*packed) == hausdorff_rows(truth, prediction)
    assert packed[0].pixels == truth.sum()


@given(pairs())
def test_nothing_is_set_outside_the_box(pair):
    mask = pair[0]
    rows, columns = pack(mask).box()
    assert mask[rows, columns].sum() == mask.sum()
    inside = mask[rows]
    if mask.any():
        assert inside[0].any()
        assert inside[-1].any()
        assert columns.stop <= mask.shape[1]
        assert mask[:, columns.start : columns.start + 64].any()


@pytest.mark.parametrize("value", [1, 127, 255])
def test_every_grey_value_above_zero_is_set(value):
    assert pack(np.array([[0, value, 0]], dtype=np.uint8)).pixels == 1


def test_a_mask_without_pixels():
    assert pack(np.zeros((0, 5), bool)).pixels == 0
    assert pack(np.zeros((5, 0), bool)).box() == (slice(0, 0), slice(0, 0))
