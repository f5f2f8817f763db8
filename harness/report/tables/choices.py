"""Formats and tables to choose from on the command line; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Format = Literal["table", "csv", "json", "markdown", "latex", "svg"]
FORMATS: Final[tuple[Format, ...]] = ("table", "csv", "json", "markdown", "latex")
"""Formats of every table; ``svg`` only where a command prints a single table."""

EVALUATION_TABLES: Final[Mapping[str, str]] = {
    "classes": "one a class, and by centre",
    "places": "by centre or sequence",
    "paper": "the paper's Table 2 or 3",
    "pranet": "PraNet's, of the probability maps",
    "curves": "by threshold, and polyps by score",
    "calibration": "whether probabilities are frequencies; thresholds that keep a risk",
    "contours": "distances between contours",
    "polyps": "polyps found, and frames recognised",
    "strata": "by the size of the polyp",
    "generalisation": "the drop from one set to another",
    "more": "contours, polyps and strata, and between centres where there are several",
    "frames": "a row a frame and class",
}
"""The tables of an evaluation, with their help texts."""

OF_MAPS: Final = frozenset({"pranet", "curves", "calibration"})
"""Those that need the map table."""

WITHOUT_AVERAGE: Final = OF_MAPS | {"generalisation", "frames"}
"""Those whose figures are of no average over several test sets."""

SETS: Final = ("split", "centre", "test_set", "sequence", "dataset")
"""The columns that name sets for generalisation, in the order in which they are tried."""

AVERAGES: Final[Mapping[str, str]] = {
    "sets": "the mean over the test sets of each set's mean over frames",
    "frames": "the mean over all frames",
}
"""The averages of a score over several test sets."""

SD_MEANINGS: Final[Mapping[str, str]] = {
    "sd_frames": "the mean of the SDs over frames of F1, F2, PPV and recall",
    "sd_sets": "the SD of the score over the test sets",
    "sd_metrics": "the SD of F1, F2, PPV and recall around the score",
}
"""The standard deviations of a score, with what each is taken over."""
