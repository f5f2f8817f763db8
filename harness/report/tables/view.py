"""A table with its titles, shown in any form: terminal, pipe, CSV, JSON, Markdown, LaTeX, SVG."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import click

from harness.report.tables import render
from harness.report.tables.choices import Format
from harness.report.tables.columns import DAGGER, Column, Table, layout, resolve
from harness.utils import console
from metrics.utils.errors import UserError
from metrics.utils.text import csv

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class View:
    """A table, and how it is shown.

    Attributes:
        frame: Its rows, in order. Rows whose boolean column ``paper`` is true are given for
            comparison: they get a dagger and are never the best.
        columns: The columns shown, in order: a ``Column`` or a bare key; by default all.
        title: Heading above the table.
        caption: Text below it.
        group: Column whose change draws a line.
        reference_note: What the rows marked by ``paper`` are; shown below, beside a dagger.
        data_only_columns: Columns that only CSV and JSON hold.
        metadata: What its own figures depend on, for JSON.
    """

    frame: pd.DataFrame
    columns: Sequence[Column | str] | None = None
    title: str = ""
    caption: str = ""
    group: str = ""
    reference_note: str = ""
    data_only_columns: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def show(self, format_: Format = "table", metadata: Mapping[str, Any] | None = None) -> None:
        """Print it on stdout: drawn by rich on a terminal, in parts where it is too wide for it.

        Elsewhere, and where not even a part fits, it is plain text.

        The arguments are those of :meth:`render`.
        """
        terminal = console.stdout()
        on_screen = format_ == "table" and terminal.is_terminal
        if on_screen and (parts := render.in_parts(self.table(), terminal.width)):
            for part in parts:
                console.show(part)
        else:
            sys.stdout.write(console.escape(self.render(format_, metadata)))

    def render(self, format_: Format = "table", metadata: Mapping[str, Any] | None = None) -> str:
        """The table as text that ends in a line break.

        Args:
            format_: ``table``: aligned plain text, as wide as it needs. ``csv``: the columns'
                keys as header and full precision; a missing figure is empty. ``json``: an object
                of title, caption, metadata and rows at full precision; a missing figure is null.
                ``markdown`` and ``latex`` (booktabs): rounded as shown, the best figure of a
                column in bold. ``svg``: a picture of it on a terminal.
            metadata: What the figures depend on, such as seed and versions; for JSON.
        """
        match format_:
            case "csv":
                return csv(self._data())
            case "json":
                about = {**self.metadata, **(metadata or {})}
                return render.json(
                    self._data(), title=self.title, caption=self.caption, metadata=about
                )
            case "svg":
                context = click.get_current_context(silent=True)
                return render.svg(self.table(), context.command_path if context else "harness")
            case "markdown":
                return render.markdown(self.table())
            case "latex":
                return render.latex(self.table())
        return render.plain(self.table())

    def table(self, title: str = "") -> Table:
        """The table as text, cell by cell, under its own title or another."""
        table = layout(
            self.frame, columns=self.columns, group=self.group, reference=self._reference
        )
        captions = [self.caption]
        if any(line.reference for line in table.lines):
            captions.append(f"{DAGGER} {self.reference_note or 'for reference'}")
        return replace(table, title=title or self.title, captions=tuple(filter(None, captions)))

    @property
    def _reference(self) -> str:
        return "paper" if "paper" in self.frame else ""

    def _data(self) -> pd.DataFrame:
        """The columns for programs, once each, at full precision."""
        shown = resolve(self.frame, self.columns)
        keys = [self.group, *self.data_only_columns, *(key for c in shown for key in c.keys)]
        return self.frame[[key for key in dict.fromkeys([*keys, self._reference]) if key]]


def show_views(
    views: Sequence[View], format_: Format, metadata: Mapping[str, Any] | None = None
) -> None:
    """Print tables one under another; several as JSON make one array.

    Raises:
        UserError: If several are to be one picture.
    """
    if format_ == "svg" and len(views) > 1:
        raise UserError(
            f"a picture holds one table, and there are {len(views)}; choose one, such as by "
            "--round or --split"
        )
    if format_ == "json" and len(views) > 1:
        texts = (view.render(format_, metadata).rstrip() for view in views)
        sys.stdout.write(console.escape("[" + ",\n".join(texts) + "]\n"))
        return
    for number, view in enumerate(views):
        if number:
            sys.stdout.write("\n")
        view.show(format_, metadata)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Titles of models in a row; of more than ``most`` of them the first, and how many follow.

    Example:
        >>> listed(["unet", "a", "b"], most=2)
        'U-Net, a and 1 more'
    """
    titles = ", ".join(map(title_of, names[:most]))
    return f"{titles} and {len(names) - most} more" if len(names) > most else titles


def capitalised(text: str) -> str:
    """A text whose first letter is a capital; the others stay, as in the name of a class.

    Example:
        >>> capitalised("polyps"), capitalised("SSL regions")
        ('Polyps', 'SSL regions')
    """
    return text[:1].upper() + text[1:]


def title_of(model: str) -> str:
    """How the paper writes a model's name; the name itself where it is not registered."""
    import models

    return models.get(model).title if model in models.names() else model


def titled(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of models, with :func:`title_of` each in a column ``title``."""
    return rows.assign(title=rows["model"].map(title_of))


def in_order(rows: pd.DataFrame, key: Callable[[str], Any], *columns: str) -> pd.DataFrame:
    """Rows sorted by a key of the texts in some columns; what is equal stays in its order."""
    for column in reversed(columns):
        rows = rows.sort_values(
            column, key=lambda texts: texts.astype(str).map(key), kind="stable", ignore_index=True
        )
    return rows
