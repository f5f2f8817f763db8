"""A table's cells in each form: terminal, plain text, CSV, JSON, Markdown, LaTeX, SVG."""

from __future__ import annotations

import io
import json as json_
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from harness.report.tables.columns import DAGGER, Table, is_missing

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable
    from tabulate import TableFormat

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


_NARROWEST_TEXT: Final = 16
_WIDEST: Final = 1_000_000


def rich_table(table: Table) -> RichTable:
    """The table as rich draws it on a terminal."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

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
        drawn.add_column(Text(column.heading), justify=side, overflow="fold")
    for line in table.lines:
        if line.starts_group:
            drawn.add_section()
        cells = [Text(cell.text, style="bold green" if cell.best else "") for cell in line.cells]
        drawn.add_row(*cells, style="dim" if line.reference else None)
    return drawn


def fitted(table: Table, width: int) -> RichTable | None:
    """The table for a terminal of so many columns; ``None`` where it would break numbers.

    Where it is too wide, it is set tightly, and text is folded.
    """
    drawn = rich_table(table)
    if _natural_width(drawn) <= width:
        return drawn
    drawn.padding = 0
    for k, (column, side) in enumerate(zip(drawn.columns, table.justify, strict=True)):
        cells = [line.cells[k].text for line in table.lines]
        if side == "right":
            column.width = max(map(len, [*cells, *table.columns[k].heading.split()]))
        else:
            words = [word for cell in cells for word in cell.split()]
            column.min_width = min(_NARROWEST_TEXT, max(map(len, words), default=0))
    # The box takes a character before each column, and one at the end.
    needed = sum(column.width or column.min_width or 0 for column in drawn.columns)
    return drawn if needed + len(drawn.columns) + 1 <= width else None


def _natural_width(drawn: RichTable) -> int:
    from rich.console import Console

    return Console(file=io.StringIO(), width=_WIDEST).measure(drawn).maximum


def svg(table: Table, command: str) -> str:
    """A picture of the table in a terminal window with a command for its title."""
    from rich.console import Console

    drawn = rich_table(table)
    width = max(_natural_width(drawn), len(table.title), 40)
    recorder = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor"
    )
    recorder.print(drawn)
    # Without the fonts that rich would have a browser fetch: a picture may be looked at offline.
    picture = recorder.export_svg(title=command)
    return re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL) + "\n"


def plain(table: Table) -> str:
    """Aligned text, as wide as it needs."""
    grid = _tabulated(table, "simple", str)
    above = [table.title, ""] if table.title else []
    below = ["", *table.captions] if table.captions else []
    return "\n".join([*above, *(line.rstrip() for line in grid.splitlines()), *below]) + "\n"


def markdown(table: Table) -> str:
    """A table of pipes, the best figures in bold."""

    def escaped(text: str) -> str:
        return re.sub(r"([\\|*_`<])", r"\\\1", text)

    grid = _tabulated(table, "pipe", escaped, bold="**{}**")
    above = [f"**{escaped(table.title)}**", ""] if table.title else []
    below = [line for caption in table.captions for line in ("", escaped(caption))]
    return "\n".join([*above, grid, *below]) + "\n"


def latex(table: Table) -> str:
    """A ``table`` environment with booktabs, the best figures in bold."""
    from tabulate import DataRow, Line, TableFormat

    def escaped(text: str) -> str:
        return text.translate(_LATEX)

    rule, row = Line("\\midrule", "", "", ""), DataRow("", " & ", r" \\")
    booktabs = TableFormat(None, rule, None, None, row, row, padding=0, with_header_hide=None)
    grid = _tabulated(table, booktabs, escaped, bold=r"\textbf{{{}}}")
    sides = "".join(side[0] for side in table.justify)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"  \centering",
        *([f"  \\caption{{{escaped(table.title)}}}"] if table.title else []),
        f"  \\begin{{tabular}}{{{sides}}}",
        r"    \toprule",
        *(f"    {line}" for line in grid.splitlines()),
        r"    \bottomrule",
        r"  \end{tabular}",
        *(f"  \\par\\small {escaped(caption)}" for caption in table.captions),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def json(frame: pd.DataFrame, *, title: str, caption: str, metadata: Mapping[str, Any]) -> str:
    """The figures at full precision, with the table's texts."""
    records = frame.to_dict("records")
    values = {
        "title": title,
        "caption": caption,
        "metadata": metadata,
        "rows": [{str(key): _json_value(value) for key, value in row.items()} for row in records],
    }
    return json_.dumps(values, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def _json_value(value: Any) -> Any:
    if is_missing(value):
        return None
    # JSON knows no NumPy numbers and no infinity.
    value = value.item() if hasattr(value, "item") else value
    return str(value) if value in (float("inf"), float("-inf")) else value


def _tabulated(
    table: Table, form: str | TableFormat, escaped: Callable[[str], str], bold: str = "{}"
) -> str:
    """The table without its texts, each cell escaped and the best ones in bold."""
    from tabulate import SEPARATING_LINE, tabulate

    rows: list[str | Sequence[str]] = []
    for line in table.lines:
        # Markdown has no lines between rows.
        rows += [SEPARATING_LINE] if line.starts_group and form != "pipe" else []
        cells = [(escaped(cell.text), cell.best) for cell in line.cells]
        rows.append([bold.format(text) if best else text for text, best in cells])
    return tabulate(
        rows,
        [escaped(column.heading) for column in table.columns],
        form,
        colalign=table.justify,
        disable_numparse=True,
        preserve_whitespace=True,
    )
