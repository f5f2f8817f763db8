from __future__ import annotations

import pytest

from harness.data import mask_names


@pytest.mark.parametrize(
    ("stem", "expected"), [("a", ("a", "a_mask", "a_mask")), ("a_", ("a_", "a__mask", "a_mask"))]
)
def test_mask_names(stem: str, expected: tuple[str, ...]) -> None:
    assert tuple(mask_names.mask_stem(stem, name) for name in mask_names.MASK_NAMES) == expected
