"""The classes to segment, and the grey value or colour of each in a mask file."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt

from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.validation import require_columns

if TYPE_CHECKING:
    import pandas as pd

POLYP: Final = "polyp"
BACKGROUND: Final = "background"
ALL: Final = "all"
"""The micro-average over the classes, background included."""

MOST: Final = 254
_WHITE: Final = 255
_JPEG: Final = 48  # ringing at quality 75, Pillow's own, stays below
_JPEG_COLOURS: Final = 96  # colours are kept at half the size, and blur further
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE)

Value = int | str
"""A grey value, or a colour such as ``#ff0000``."""


@dataclass(frozen=True, kw_only=True)
class Classes:
    """The foreground classes; a class's index is its place, from 1 on, and 0 is the background.

    Attributes:
        names: In the order of their indices.
        values: The grey value of each in a mask file, 1 to 255, or the colour of each, such as
            ``#ff0000``. Empty for the one class whose pixels are those above the threshold of a
            protocol (``metrics.masks.read.THRESHOLDS``).
        chosen: The class that single-channel losses, checkpoints and submissions go by; by
            default the first.

    Example:
        >>> classes = Classes.from_table({"polyp": 255, "instrument": 128})
        >>> classes.names, classes.chosen, classes.channel
        (('polyp', 'instrument'), 'polyp', 1)
        >>> classes.choosing("instrument").channel
        2
    """

    names: tuple[str, ...] = (POLYP,)
    values: tuple[Value, ...] = ()
    chosen: str = ""

    def __post_init__(self) -> None:
        """Refuse impossible classes, all faults at once, and settle which is chosen.

        Raises:
            FaultsError: If names or values are taken, missing or no names and values.
            UserError: If no class has the name that is chosen.
        """
        faults = [Fault(path="[classes]", message=message) for message in _faults(self)]
        if faults:
            raise FaultsError(faults, "the classes cannot be told apart")
        if self.chosen and self.chosen not in self.names:
            nearest = difflib.get_close_matches(self.chosen, self.names, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest else ""
            raise UserError(
                f"no class {self.chosen!r}; {hint}there are {', '.join(self.names)}. 'harness init "
                "--class NAME=VALUE' names others."
            )
        object.__setattr__(self, "chosen", self.chosen or self.names[0])

    def __len__(self) -> int:
        """How many foreground classes there are."""
        return len(self.names)

    @property
    def channel(self) -> int:
        """Index of the chosen class, and the channel of a network's output that means it."""
        return self.names.index(self.chosen) + 1

    @property
    def table(self) -> dict[str, Value]:
        """Each name's value, as in ``[classes]``; empty where masks are black and white."""
        return dict(zip(self.names, self.values, strict=False))

    @property
    def are_colours(self) -> bool:
        """Whether the values are colours."""
        return bool(self.values) and isinstance(self.values[0], str)

    @property
    def palette(self) -> npt.NDArray[np.uint8]:
        """What each index looks like in a file, the background's black first.

        Returns:
            uint8 (classes + 1,) of grey values, or (classes + 1, 3) of RGB colours.
        """
        if self.are_colours:
            colours = [tuple(bytes.fromhex(str(value)[1:])) for value in self.values]
            return np.array([(0, 0, 0), *colours], dtype=np.uint8)
        return np.array((0, *self.values), dtype=np.uint8)

    @property
    def tolerance(self) -> int:
        """How far a pixel may lie from a class's: JPEG's error, where that leaves no doubt.

        Of grey values their difference; of colours the Euclidean distance in RGB.
        """
        palette = self.palette.astype(np.int64).reshape(len(self.values) + 1, -1)
        gaps = np.sqrt(((palette[:, None] - palette) ** 2).sum(axis=-1))
        nearest = int(gaps[gaps > 0].min(initial=_WHITE))
        return min(_JPEG_COLOURS if self.are_colours else _JPEG, 2 * nearest // 5)

    def choosing(self, name: str | None) -> Self:
        """The same classes with another one chosen; as they are for ``None``.

        Raises:
            UserError: If there is no such class.
        """
        return self if name is None else replace(self, chosen=name)

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Classes from a table of name to value, such as ``[classes]`` of ``harness.toml``.

        Raises:
            FaultsError: If they are impossible.
        """
        return cls(names=tuple(table), values=tuple(table.values()))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The classes back from ``dataclasses.asdict`` and JSON."""
        return cls(
            names=tuple(values["names"]), values=tuple(values["values"]), chosen=values["chosen"]
        )


def _faults(classes: Classes) -> list[str]:
    """Everything that is wrong with names and values."""
    names, values = classes.names, classes.values
    faults = [
        f"expected a name other than {BACKGROUND} and {ALL}, got {name!r}"
        for name in names
        if not name or name in (BACKGROUND, ALL)
    ]
    faults += [
        f"{name}: expected a grey value from 1 to {_WHITE} or a colour such as '#ff0000', "
        f"got {value!r}"
        for name, value in zip(names, values, strict=False)
        if not _is_value(value)
    ]
    if len({isinstance(value, str) for value in values}) > 1:
        faults.append(f"expected grey values or colours, not both, got {_shown(names, values)}")
    if not 0 < len(names) <= MOST:
        faults.append(f"expected 1 to {MOST} classes, got {len(names)}")
    for what, given in (("name", names), ("value", [str(value).lower() for value in values])):
        twice = [text for text, count in Counter(given).items() if count > 1]
        faults += [f"the {what} {text} is given to more than one class" for text in twice]
    if len(values) != len(names) and (values or len(names) > 1):
        faults.append(f"expected a value for each class, got {_shown(names, values)}")
    return faults


def _is_value(value: object) -> bool:
    if isinstance(value, str):
        return _COLOUR.fullmatch(value) is not None and int(value[1:], 16) > 0
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _WHITE


def _shown(names: tuple[str, ...], values: tuple[Value, ...]) -> str:
    return f"{', '.join(names) or 'none'} with {', '.join(map(str, values)) or 'none'}"


ONE: Final = Classes()
"""The challenge's: polyp, read above the threshold of a protocol."""


def chosen_class(table: pd.DataFrame) -> str:
    """The class that the figures of a table speak of where they speak of one.

    It is the first that is neither background nor all; ``polyp`` where there is none.

    Example:
        >>> import pandas as pd
        >>> chosen_class(pd.DataFrame({"class": ["background", "adenoma", "all"]}))
        'adenoma'
    """
    require_columns(table, ["class"])
    names = (name for name in table["class"].unique() if name not in (BACKGROUND, ALL))
    return next(names, POLYP)


def chosen_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`chosen_class`, polyp where there are no others.

    Example:
        >>> import pandas as pd
        >>> len(chosen_rows(pd.DataFrame({"class": ["polyp", "background", "polyp"]})))
        2
    """
    return table[table["class"] == chosen_class(table)]
