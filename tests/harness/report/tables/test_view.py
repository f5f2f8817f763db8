from __future__ import annotations

import json

import pandas as pd
import pytest

from harness.report.tables.choices import Format
from harness.report.tables.view import View, show_views
from metrics.utils.errors import UserError

NAME = "team\x1b[31m\u202e"


@pytest.mark.parametrize("format_", ["table", "csv", "markdown", "latex"])
def test_names_cannot_steer_the_terminal(
    format_: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    View(frame=pd.DataFrame({"team": [NAME]})).show(format_)
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "u001b" in printed


def test_json_holds_every_name_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    View(frame=pd.DataFrame({"team": [NAME]})).show("json")
    printed = capsys.readouterr().out
    assert json.loads(printed)["rows"] == [{"team": NAME}]
    assert printed.isascii()


def test_a_picture_holds_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    view = View(frame=pd.DataFrame({"team": ["a"]}))
    show_views([view], "svg")
    assert capsys.readouterr().out.count("<svg") == 1
    with pytest.raises(UserError, match="one table, and there are 2"):
        show_views([view, view], "svg")
