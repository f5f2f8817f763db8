"""Drawn endoscopy: a data set for demonstrations and tests that needs no download."""
