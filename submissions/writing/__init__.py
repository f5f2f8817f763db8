"""Encode masks and write packages."""
