"""Choosing members, threshold and clean-up of masks on a split."""
