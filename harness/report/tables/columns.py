"""A table as text, cell by cell: columns, rounding, the best figures, reference rows.

How the cells are laid out is in ``render``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Integral, Real
from typing import Any, Final, Literal

import pandas as pd

Justify = Literal["left", "right"]
Row = Mapping[str, Any]

MISSING: Final = "-"
DAGGER: Final = "\u2020"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: Column of the frame.
        title: Heading; by default the key.
        decimals: Digits behind the point for a number; ``None`` leaves it as Python prints it,
            with separators of thousands for integers.
        justify: Where the text stands; by default right for numbers, left for the rest.
        best: Whether the largest or the smallest figure is the best one, and is highlighted.
        sd: Column of the frame with the standard deviation, shown after a plus-minus sign.
        interval: Columns of the frame with the lower and upper limit, shown in brackets.
        scale: What a number is multiplied by before it is shown (100 for per cent); CSV and JSON
            keep it as it is.
        least: Of the figures below this one it is only said that they are, as usual for p-values.
    """

    key: str
    title: str = ""
    _: KW_ONLY
    decimals: int | None = None
    justify: Justify | None = None
    best: Literal["max", "min"] | None = None
    sd: str = ""
    interval: tuple[str, str] | None = None
    scale: float = 1.0
    least: float | None = None

    @property
    def heading(self) -> str:
        """The title, or the key where there is none."""
        return self.title or self.key

    @property
    def keys(self) -> tuple[str, ...]:
        """Every column of the frame that this one shows."""
        return (self.key, *((self.sd,) if self.sd else ()), *(self.interval or ()))


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell as text, and whether it is the best of its column within its group."""

    text: str
    best: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row as text.

    Attributes:
        cells: As many as there are columns.
        reference: Whether the figures are given for comparison (the paper's) and never the best.
        starts_group: Whether a separator is drawn above it.
    """

    cells: tuple[Cell, ...]
    reference: bool = False
    starts_group: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as text, for any layout.

    Attributes:
        columns: Its columns.
        justify: ``left`` or ``right`` for each column.
        lines: Its rows.
        title: Heading above it.
        captions: Notes below it, one a line.
    """

    columns: tuple[Column, ...]
    justify: tuple[Justify, ...]
    lines: tuple[Line, ...]
    title: str = ""
    captions: tuple[str, ...] = ()


def resolve(frame: pd.DataFrame, columns: Sequence[Column | str] | None) -> tuple[Column, ...]:
    """The columns to show: as given, a bare key as a column, or all of the frame."""
    chosen = frame.columns if columns is None else columns
    return tuple(c if isinstance(c, Column) else Column(str(c)) for c in chosen)


def layout(
    frame: pd.DataFrame,
    *,
    columns: Sequence[Column | str] | None = None,
    group: str = "",
    reference: str = "",
) -> Table:
    """Turn a frame into text, cell by cell.

    Args:
        frame: One row a row; the order is kept.
        columns: What to show, in order; by default every column of the frame.
        group: A column of the frame; a separator is drawn where its value changes, and the best
            figures are looked for within each group.
        reference: A boolean column of the frame that marks rows given for comparison: they get a
            dagger, and are never the best.

    Returns:
        Table: Without title and captions.
    """
    found = resolve(frame, columns)
    rows: list[Row] = [{str(k): v for k, v in r.items()} for r in frame.to_dict("records")]
    changes = frame[group].ne(frame[group].shift()) if group else pd.Series(False, frame.index)
    groups = changes.cumsum().tolist()  # a number for each stretch of equal values
    marks = [bool(row[reference]) if reference else False for row in rows]
    texts = [[text(row, column) for column in found] for row in rows]
    best = [_best(rows, column, groups, marks) for column in found]
    lines = []
    for number, shown in enumerate(texts):
        cells = [Cell(text=t, best=number in best[i]) for i, t in enumerate(shown)]
        if marks[number] and cells:
            cells[0] = Cell(text=f"{cells[0].text} {DAGGER}")
        starts = number > 0 and groups[number] != groups[number - 1]
        lines.append(Line(cells=tuple(cells), reference=marks[number], starts_group=starts))
    justify = tuple(c.justify or _side(rows, c) for c in found)
    return Table(columns=found, justify=justify, lines=tuple(lines))


def text(row: Row, column: Column) -> str:
    """One cell: the figure with its deviation or interval; ``-`` where there is none."""
    value = row[column.key]
    if is_missing(value):
        return MISSING
    shown = _number(value, column)
    if column.sd and not is_missing(row[column.sd]):
        shown += f" \u00b1 {_number(row[column.sd], column)}"
    if column.interval and not any(is_missing(row[key]) for key in column.interval):
        low, high = (_number(row[key], column) for key in column.interval)
        shown += f" [{low}, {high}]"
    return shown


def is_missing(value: Any) -> bool:
    """Whether a value is ``None``, NaN, NaT or pandas' NA."""
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def is_number(value: object) -> bool:
    """Whether a value is a real number, NumPy's included; truth values are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _number(value: Any, column: Column) -> str:
    if not is_number(value):
        return " ".join(str(value).splitlines())
    scaled = value if column.scale == 1 else value * column.scale
    if column.least is not None and scaled < column.least:
        return f"<{column.least:,.{column.decimals or 0}f}"
    if column.decimals is not None:
        return f"{scaled:z,.{column.decimals}f}"  # z: no minus sign before a zero
    return f"{scaled:,}" if isinstance(scaled, Integral) else str(scaled)


def _side(rows: Sequence[Row], column: Column) -> Justify:
    values = [row[column.key] for row in rows if not is_missing(row[column.key])]
    if not values:
        return "left" if column.decimals is None else "right"
    return "right" if all(is_number(value) for value in values) else "left"


def _best(
    rows: Sequence[Row], column: Column, groups: Sequence[int], marks: Sequence[bool]
) -> set[int]:
    """Rows with the best figure of their group; figures that read the same share it."""
    if column.best is None:
        return set()
    choose = max if column.best == "max" else min
    able: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        value = row[column.key]
        if not marks[i] and is_number(value) and not is_missing(value):
            able.setdefault(groups[i], []).append(i)
    found: set[int] = set()
    for members in able.values():
        shown = _number(choose(rows[i][column.key] for i in members), column)
        if len(members) > 1:  # one row alone has no best
            found |= {i for i in members if _number(rows[i][column.key], column) == shown}
    return found
