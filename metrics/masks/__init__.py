"""Masks: reading, writing, and the classes in them."""
