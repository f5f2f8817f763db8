"""Prediction: from images to masks."""
