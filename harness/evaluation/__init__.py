"""Predictions measured against the truth."""
