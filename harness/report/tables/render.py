"""A table's cells in each form: terminal, plain text, CSV, JSON, Markdown, LaTeX, SVG."""

from __future__ import annotations

import io
import json as json_
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from harness.report.tables.columns import DAGGER, Table, is_missing

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable
    from rich.text import Text
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
    texts = [
        [column.heading, *(line.cells[k].text for line in table.lines)]
        for k, column in enumerate(table.columns)
    ]
    widths, whole = [], []
    for side, (heading, *cells) in zip(table.justify, texts, strict=True):
        words = [word for text in (heading, *cells) for word in text.split()]
        words += [cell for cell in cells if cell.startswith(" ")]  # set in, below its row
        longest = max(map(len, words), default=0)
        whole.append(max(len(heading), *map(len, cells), 0))
        # Figures stay whole, and so do the words of texts, as far as these are not paths.
        figures = max([longest, *map(len, cells)])
        widths.append(figures if side == "right" else min(_NARROWEST_TEXT, longest))
    # The box takes a character before each column, and one at the end.
    spare = width - sum(widths) - len(widths) - 1
    if spare < 0:
        return None
    # rich itself would cut what it cannot fold: it gets every width. What is nearly whole is first.
    for k in sorted(range(len(widths)), key=lambda k: whole[k] - widths[k]):
        more = 0 if table.justify[k] == "right" else min(spare, max(0, whole[k] - widths[k]))
        drawn.columns[k].width = widths[k] + more
        spare -= more
    return drawn


def in_parts(table: Table, width: int) -> list[RichTable | Text]:
    """The table for a terminal of so many columns, in parts below each other if it has to be.

    Each part has as many figures as fit, beside the columns before the first figure, which name the
    row. Empty where not even one of them fits.
    """
    from rich.text import Text

    if whole := fitted(table, width):
        return [whole]
    figures = [k for k, column in enumerate(table.columns) if column.decimals is not None]
    named = list(range(figures[0] if figures else 1))
    parts: list[list[int]] = [[]]
    for k in range(len(named), len(table.columns)):
        if parts[-1] and fitted(_of_columns(table, [*named, *parts[-1], k]), width) is None:
            parts.append([])
        parts[-1].append(k)
    drawn: list[RichTable | Text] = []
    for part in parts:
        own = replace(_of_columns(table, [*named, *part]), captions=())
        one = fitted(own if part is parts[0] else replace(own, title=""), width)
        if one is None:
            return []
        drawn.append(one)
    # By itself, for a caption is only as wide as its table.
    return [*drawn, Text("\n".join(table.captions), style="dim")]


def _of_columns(table: Table, kept: Sequence[int]) -> Table:
    return replace(
        table,
        columns=tuple(table.columns[k] for k in kept),
        justify=tuple(table.justify[k] for k in kept),
        lines=tuple(
            replace(line, cells=tuple(line.cells[k] for k in kept)) for line in table.lines
        ),
    )


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
