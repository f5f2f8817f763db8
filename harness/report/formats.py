"""The forms in which a table can be written."""

from __future__ import annotations

from typing import Final, Literal

Format = Literal["table", "csv", "json", "markdown", "latex", "svg"]
FORMATS: Final[tuple[Format, ...]] = ("table", "csv", "json", "markdown", "latex")
"""What every table can be written as; a picture (``svg``) only where a command has one table."""
