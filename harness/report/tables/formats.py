"""What the options of the tables can be; light, since the command line reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Format = Literal["table", "csv", "json", "markdown", "latex", "svg"]
FORMATS: Final[tuple[Format, ...]] = ("table", "csv", "json", "markdown", "latex")
"""What every table can be written as; a picture (``svg``) only where a command has one table."""

EVALUATION_TABLES: Final[Mapping[str, str]] = {
    "classes": "one a class, and by centre",
    "places": "by centre or sequence",
    "paper": "the paper's Table 2 or 3",
    "contours": "distances between contours",
    "polyps": "polyps found, and frames recognised",
    "strata": "by the size of the polyp",
    "generalisation": "what is lost from one set to another",
    "more": "contours, polyps and strata, and between centres where there are several",
    "frames": "a row a frame and class",
}
"""The tables of an evaluation, and what each is."""

SD_MEANINGS: Final[Mapping[str, str]] = {
    "sd_frames": "the mean of the SDs over frames of F1, F2, PPV and recall",
    "sd_sets": "the SD of the score over the test sets",
    "sd_metrics": "the SD of F1, F2, PPV and recall around the score",
}
"""What each standard deviation of a score is of."""
