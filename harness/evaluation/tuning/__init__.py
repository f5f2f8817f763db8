"""Choosing members, threshold and clean-up of masks on a split."""

from typing import Final

STEPS: Final = ("members", "threshold", "clean-up", "tta")
"""What is chosen, in this order."""

OF_ONE_CLASS: Final = ("threshold", "clean-up")
"""Steps that only a network of a single class has."""
