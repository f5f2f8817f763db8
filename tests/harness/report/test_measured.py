from __future__ import annotations

from harness.report.formats import EVALUATION_TABLES
from harness.report.measured import KINDS


def test_every_table_that_can_be_asked_for_is_made() -> None:
    assert list(EVALUATION_TABLES) == list(KINDS)
