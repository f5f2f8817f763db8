"""Augmentations of training frames."""
