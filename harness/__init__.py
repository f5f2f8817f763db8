"""From a folder of colonoscopy frames to a scored, ranked challenge submission."""

from __future__ import annotations

__version__ = "0.1.0"
