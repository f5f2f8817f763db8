"""Figures of one frame."""
