"""Evaluations as they lie in a run's folder: their files, and whether these count today.

Imports no torch, so that what only reads evaluations starts fast.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from harness.runs.run import Run
from metrics.masks.faults import RULES
from metrics.masks.read import Protocol

TABLE: Final = "frames.parquet"
TABLE_VERSION: Final = 1
"""Raised when the frame table gets other columns, so that older tables are made anew."""

CURRENT: Final = {"table": TABLE_VERSION, "mask_rules": RULES}
"""What the settings of an evaluation say where its table can be taken today."""

OFFICIAL_TABLE: Final = "frames-official.parquet"
SUMMARY: Final = "summary.json"


class Rules(NamedTuple):
    """How an evaluation reads the truth, and what its figures do where they are undefined.

    Attributes:
        decoding: ``strict`` binarises the truth above 127, ``official`` above 0.
        formulas: ``official`` smooths, ``strict`` leaves undefined figures out of the mean.
    """

    decoding: Protocol
    formulas: Protocol


PROTOCOLS: Final[Mapping[str, Rules]] = {
    "paper": Rules("strict", "official"),
    "official": Rules("official", "official"),
    "strict": Rules("strict", "strict"),
}
"""By name; ``paper`` is what the paper's Tables 2 and 3 take."""


def table_file(run: Run, split: str, protocol: str) -> Path | None:
    """The file of an evaluation's frame table; ``None`` if it was not made, or is outdated.

    Protocols of one decoding share a table.
    """
    table, official = (run.evaluation(split) / name for name in (TABLE, OFFICIAL_TABLE))
    if PROTOCOLS[protocol].decoding == "strict" or not table.exists():
        return table if table.exists() else None
    current = official.exists() and official.stat().st_mtime_ns >= table.stat().st_mtime_ns
    return official if current else None


def is_of_row(run: Run, split: str, row: Mapping[Any, Any]) -> bool:
    """Whether an evaluation's files are those of its row, of today's weights and today's rules.

    They are not after an evaluation that was killed between the two, nor where the run was trained
    on, or removed and made anew under its name, nor where masks were read by other rules
    (``metrics.masks.faults.RULES``) or the table had other columns.
    """
    folder = run.evaluation(split)
    if not all((folder / name).exists() for name in (TABLE, SUMMARY)):
        return False
    settings = json.loads(row["settings"])
    if any(settings.get(name) != version for name, version in CURRENT.items()):
        return False
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    same_weights = (row["checkpoint"] or None) == (run.row["checkpoint"] or None)
    return bool(same_weights and summary["summary"] == json.loads(row["summary"]))
