"""What the options of the tables can be; light, since the command line reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Format = Literal["table", "csv", "json", "markdown", "latex", "svg"]
FORMATS: Final[tuple[Format, ...]] = ("table", "csv", "json", "markdown", "latex")
"""What every table can be written as; a picture (``svg``) only where a command has one table."""

SD_MEANINGS: Final[Mapping[str, str]] = {
    "sd_frames": "the mean of the SDs over frames of F1, F2, PPV and recall",
    "sd_sets": "the SD of the score over the test sets",
    "sd_metrics": "the SD of F1, F2, PPV and recall around the score",
}
"""What each standard deviation of a score is of."""
