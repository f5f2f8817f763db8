"""Trained networks on disk and in the register."""
