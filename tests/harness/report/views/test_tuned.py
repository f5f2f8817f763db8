"""What ``harness tune`` tried, as a table."""

from __future__ import annotations

import pytest

from harness.evaluation.tuning.search import Candidate
from harness.report.views.tuned import tuned_view


def test_a_figure_is_called_as_in_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    tried = [
        Candidate(step="threshold", value="0.5", mean=0.75, difference=0.0, low=-0.1, high=0.1)
    ]

    tuned_view(tried, "ppv", title="tuned").show("markdown")

    header = capsys.readouterr().out.split("| Step")[1].splitlines()[0]
    assert "PPV" in header
