"""One table, any form: on a terminal, in a pipe, as CSV, JSON, Markdown, LaTeX or a picture."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

import click

from harness.report.tables.columns import (
    DAGGER,
    Cell,
    Column,
    Line,
    Table,
    is_missing,
    layout,
    resolve,
)
from harness.report.tables.formats import FORMATS, Format
from harness.utils import console

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

__all__ = [
    "FORMATS",
    "Column",
    "Format",
    "TableSettings",
    "laid_out",
    "render",
    "rich_table",
    "show",
    "svg",
]

_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "\u00b1": r"$\pm$",
        DAGGER: r"$\dagger$",
    }
)


class TableSettings(TypedDict, total=False):
    """What every form of a table takes.

    Attributes:
        columns: What to show, in order: a ``Column`` or a bare key; by default all of the frame.
        title: Stands above the table.
        caption: Stands below it.
        group: Column of the frame whose change draws a separator.
        reference: Boolean column of the frame that marks rows given for comparison.
        reference_note: What those rows are; stands below the table beside a dagger.
        metadata: What the figures depend on, such as seed and versions; for JSON.
    """

    columns: Sequence[Column | str] | None
    title: str
    caption: str
    group: str
    reference: str
    reference_note: str
    metadata: Mapping[str, Any] | None


def show(
    frame: pd.DataFrame, *, format: Format = "table", **settings: Unpack[TableSettings]
) -> None:
    """Print a table on stdout.

    Args:
        frame: One row a row of the table; the order is kept.
        format: ``table`` is drawn by rich on a terminal and plain text in a pipe; for the others
            see :func:`render`.
        **settings: See :class:`TableSettings`.

    Raises:
        KeyError: If a column is not in the frame.
    """
    if format == "table" and console.stdout().is_terminal:
        console.show(rich_table(frame, **settings))
    else:
        sys.stdout.write(render(frame, format=format, **settings))


def render(
    frame: pd.DataFrame, *, format: Format = "table", **settings: Unpack[TableSettings]
) -> str:
    """A table as text that ends in a line break.

    Args:
        frame: One row a row of the table; the order is kept.
        format: ``table``: aligned plain text, as wide as it needs. ``csv``: the columns' keys as
            header and full precision; a missing figure is empty. ``json``: an object of title,
            caption, metadata and rows at full precision; a missing figure is null. ``markdown``
            and ``latex`` (booktabs): rounded as shown, the best figure of a column in bold.
            ``svg``: a picture of it on a terminal.
        **settings: See :class:`TableSettings`.

    Returns:
        str: The text.

    Raises:
        KeyError: If a column is not in the frame.
    """
    if format == "csv":
        return _csv(frame, settings)
    if format == "json":
        return _json(frame, settings)
    if format == "svg":
        return svg(frame, command=_command_line(), **settings)
    layouts = {"table": _plain, "markdown": _markdown, "latex": _latex}
    return layouts[format](laid_out(frame, **settings))


def rich_table(frame: pd.DataFrame, **settings: Unpack[TableSettings]) -> RichTable:
    """The table as rich draws it on a terminal.

    Raises:
        KeyError: If a column is not in the frame.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    table = laid_out(frame, **settings)
    captions = Text("\n".join(table.captions), style="dim") if table.captions else None
    drawn = RichTable(
        title=Text(table.title, style="bold") if table.title else None,
        caption=captions,
        caption_justify="left",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column, side in zip(table.columns, table.justify, strict=True):
        justify: Any = "center" if side == "centre" else side
        drawn.add_column(Text(column.heading), justify=justify, overflow="fold")
    for line in table.lines:
        if line.starts_group:
            drawn.add_section()
        cells = [Text(cell.text, style="bold green" if cell.best else "") for cell in line.cells]
        drawn.add_row(*cells, style="dim" if line.reference else None)
    return drawn


def svg(frame: pd.DataFrame, *, command: str, **settings: Unpack[TableSettings]) -> str:
    """A picture of the table in a terminal window, as SVG.

    Args:
        frame: One row a row of the table.
        command: What the window's title says, such as 'harness leaderboard'.
        **settings: See :class:`TableSettings`.

    Raises:
        KeyError: If a column is not in the frame.
    """
    from rich.console import Console

    table = rich_table(frame, **settings)
    wide = Console(file=io.StringIO(), width=400)
    width = max(wide.measure(table).maximum, len(str(settings.get("title", ""))), 40)
    recorder = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor"
    )
    recorder.print(table)
    # Without the fonts that rich would have a browser fetch: a page may be read offline.
    picture = recorder.export_svg(title=command)
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL) + "\n"


def _command_line() -> str:
    context = click.get_current_context(silent=True)
    return context.command_path if context else "harness"


def laid_out(frame: pd.DataFrame, **settings: Unpack[TableSettings]) -> Table:
    """The table as text, cell by cell, for a layout of its own.

    Raises:
        KeyError: If a column is not in the frame.
    """
    reference = settings.get("reference", "")
    table = layout(
        frame,
        columns=settings.get("columns"),
        group=settings.get("group", ""),
        reference=reference,
    )
    captions = [settings.get("caption", "")]
    if any(line.reference for line in table.lines):
        captions.append(f"{DAGGER} {settings.get('reference_note', '') or 'for reference'}")
    return dataclasses.replace(
        table, title=settings.get("title", ""), captions=tuple(c for c in captions if c)
    )


def _data(frame: pd.DataFrame, settings: TableSettings) -> pd.DataFrame:
    """The columns that a table shows, once each, at full precision."""
    found = resolve(frame, settings.get("columns"))
    keys = [settings.get("group", ""), *(key for c in found for key in c.keys)]
    keys.append(settings.get("reference", ""))
    return frame[[key for key in dict.fromkeys(keys) if key]]


def _csv(frame: pd.DataFrame, settings: TableSettings) -> str:
    return _data(frame, settings).to_csv(index=False, lineterminator="\n")


def _json(frame: pd.DataFrame, settings: TableSettings) -> str:
    records = _data(frame, settings).to_dict("records")
    values = {
        "title": settings.get("title", ""),
        "caption": settings.get("caption", ""),
        "metadata": settings.get("metadata") or {},
        "rows": [{str(key): _plain_value(value) for key, value in row.items()} for row in records],
    }
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _plain_value(value: Any) -> Any:
    if is_missing(value):
        return None
    # JSON knows no NumPy numbers and no infinity.
    value = value.item() if hasattr(value, "item") else value
    return str(value) if value in (float("inf"), float("-inf")) else value


def _plain(table: Table) -> str:
    from rich.cells import cell_len

    heads = [column.heading for column in table.columns]
    rows = [heads, *([cell.text for cell in line.cells] for line in table.lines)]
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(heads))]

    def joined(texts: Sequence[str]) -> str:
        padded = []
        for content, width, side in zip(texts, widths, table.justify, strict=True):
            room = width - cell_len(content)
            before = {"left": 0, "right": room, "centre": room // 2}[side]
            padded.append(" " * before + content + " " * (room - before))
        return "  ".join(padded).rstrip()

    rule = "  ".join("-" * width for width in widths)
    lines = [*([table.title, ""] if table.title else []), joined(heads), rule]
    for line, texts in zip(table.lines, rows[1:], strict=True):
        lines += [*([rule] if line.starts_group else []), joined(texts)]
    lines += ["", *table.captions] if table.captions else []
    return "\n".join(lines) + "\n"


def _markdown(table: Table) -> str:
    sides = {"left": ":--", "right": "--:", "centre": ":-:"}

    def joined(texts: Sequence[str]) -> str:
        return f"| {' | '.join(texts)} |"

    def shown(cell: Cell) -> str:
        escaped = cell.text.replace("\\", "\\\\").replace("|", "\\|")
        for mark in "*_`<":
            escaped = escaped.replace(mark, f"\\{mark}")
        return f"**{escaped}**" if cell.best else escaped

    heads = [shown(Cell(text=column.heading)) for column in table.columns]
    lines = [*([f"**{shown(Cell(text=table.title))}**", ""] if table.title else []), joined(heads)]
    lines.append(joined([sides[side] for side in table.justify]))
    lines += [joined([shown(cell) for cell in line.cells]) for line in table.lines]
    for caption in table.captions:
        lines += ["", shown(Cell(text=caption))]
    return "\n".join(lines) + "\n"


def _latex(table: Table) -> str:
    sides = {"left": "l", "right": "r", "centre": "c"}
    heads = [column.heading.translate(_LATEX) for column in table.columns]
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table}", r"  \centering"]
    if table.title:
        lines.append(f"  \\caption{{{table.title.translate(_LATEX)}}}")
    lines.append(f"  \\begin{{tabular}}{{{''.join(sides[side] for side in table.justify)}}}")
    lines += [r"    \toprule", f"    {' & '.join(heads)} \\\\", r"    \midrule"]
    for line in table.lines:
        lines += [r"    \midrule"] if line.starts_group else []
        lines.append(f"    {_latex_row(line)} \\\\")
    lines += [r"    \bottomrule", r"  \end{tabular}"]
    lines += [f"  \\par\\small {caption.translate(_LATEX)}" for caption in table.captions]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _latex_row(line: Line) -> str:
    texts = [(cell.text.translate(_LATEX), cell.best) for cell in line.cells]
    return " & ".join(f"\\textbf{{{content}}}" if best else content for content, best in texts)
