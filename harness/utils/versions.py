"""Versions of Python and of the packages that results depend on."""

from __future__ import annotations

import platform
from importlib import metadata

PACKAGES = (
    "harness",
    "torch",
    "segmentation-models-pytorch",
    "timm",
    "albumentations",
    "opencv-python-headless",
    "numpy",
)


def versions() -> dict[str, str]:
    """Version of Python and of each package that training or prediction depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
