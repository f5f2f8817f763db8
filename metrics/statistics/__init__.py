"""Intervals, tests and ranks over frames."""
