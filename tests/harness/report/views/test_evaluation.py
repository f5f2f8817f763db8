from __future__ import annotations

from harness.report.tables.formats import EVALUATION_TABLES
from harness.report.views.evaluation import KINDS


def test_every_table_that_can_be_asked_for_is_made() -> None:
    assert list(EVALUATION_TABLES) == list(KINDS)
