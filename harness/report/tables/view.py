"""A table that is shown: its columns, rows and titles."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.report.tables.columns import Column
from harness.report.tables.formats import Format
from harness.report.tables.render import TableSettings, render, show

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class View:
    """A table, and how it is shown.

    Attributes:
        frame: Its rows.
        columns: What is shown of them.
        title: What stands above.
        caption: What stands below.
        group: Column whose change draws a line.
        reference_note: What the rows with a true ``paper`` column are.
        data_only_columns: Columns that only CSV and JSON hold.
    """

    frame: pd.DataFrame
    columns: Sequence[Column | str]
    title: str
    caption: str = ""
    group: str = ""
    reference_note: str = ""
    data_only_columns: Sequence[str] = ()

    def show(self, format_: Format, metadata: Mapping[str, Any] | None = None) -> None:
        """Print it on stdout."""
        show(self.frame, format=format_, **self._settings(format_, metadata))

    def render(self, format_: Format, metadata: Mapping[str, Any] | None = None) -> str:
        """The table as text."""
        return render(self.frame, format=format_, **self._settings(format_, metadata))

    def _settings(self, format_: Format, metadata: Mapping[str, Any] | None) -> TableSettings:
        further = self.data_only_columns if format_ in ("csv", "json") else ()
        return {
            "columns": [*further, *self.columns],
            "title": self.title,
            "caption": self.caption,
            "group": self.group,
            "reference": "paper" if "paper" in self.frame else "",
            "reference_note": self.reference_note,
            "metadata": metadata,
        }


def show_views(
    views: Sequence[View], format_: Format, metadata: Mapping[str, Any] | None = None
) -> None:
    """Print tables one under another; several as JSON make one array."""
    if format_ == "json" and len(views) > 1:
        texts = (view.render(format_, metadata).rstrip() for view in views)
        sys.stdout.write("[" + ",\n".join(texts) + "]\n")
        return
    for number, view in enumerate(views):
        if number:
            sys.stdout.write("\n")
        view.show(format_, metadata)


def title_of(model: str) -> str:
    """How the paper writes a model's name; the name itself where it is not registered."""
    import models

    return models.get(model).title if model in models.names() else model
