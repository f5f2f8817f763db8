"""Architectures and losses, by name.

Importing this package loads no deep-learning library; the functions that build networks do.
"""

from __future__ import annotations

from models.encoders import normalisation
from models.errors import ModelError
from models.registry import Architecture, check, check_size, create, get, names, register

__all__ = [
    "Architecture",
    "ModelError",
    "check",
    "check_size",
    "create",
    "get",
    "names",
    "normalisation",
    "register",
]
