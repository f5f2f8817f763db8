"""Evaluation: predictions measured against the truth."""
