"""Compiled networks learn what plain ones do; how fast their steps are.

``compiled.py`` does the work. It begins with the first check of all.
"""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.gpu.commands import Command
from tests.gpu.networks import ROUNDING
from tests.gpu.scale import DRY

pytestmark = pytest.mark.gpu

LOSS: Final = 1e-3


def test_compiled_steps(figures: dict[str, Any], compiled: Command) -> None:
    figures |= compiled.line(1)

    apart, by_rounding = (
        max(abs(a - b) for a, b in zip(*(figures["losses"][one] for one in pair), strict=True))
        for pair in (("compiled", "plain"), ("moved", "plain"))
    )
    figures |= {"max_difference": apart, "weights_moved_by_a_rounding": by_rounding}
    assert apart <= max(LOSS, ROUNDING * by_rounding)
    assert DRY or figures["recorded"]


def test_compiled_training(figures: dict[str, Any], compiled: Command) -> None:
    """Steps on one batch; nothing is loaded, and nothing else computes meanwhile."""
    figures |= compiled.line(2)
    compiled.answer()
    figures |= compiled.line(3)
    compiled.succeed()
    assert DRY or figures["recorded"]
