"""Errors for bad input: one message that lists every fault.

Every fault a user can mend is a :class:`click.ClickException`, so that it ends a command with one
clear message and exit status 1, and a caller from Python can still catch it by its own type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import click

from metrics.utils.names import counted

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is wrong, and where.

    Attributes:
        path: The file, folder or archive entry at fault; empty where no path applies.
        message: What was expected, what came, and how to mend it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        """The fault; on one line, unless its message has several."""
        path = self.path.replace("\n", "\\n")
        return f"{path}: {self.message}" if path else self.message

    @property
    def item(self) -> str:
        """The fault as an item of a list, further lines indented."""
        return "  - " + str(self).replace("\n", "\n    ")


class UserError(click.ClickException):
    """A fault in what the user gave: bad data, a missing file, an impossible setting."""


class FaultsError(UserError):
    """Several faults found in one pass, reported together under a summary."""

    shown: ClassVar[int] = 40

    def __init__(self, faults: Iterable[Fault], summary: str = "the input has faults") -> None:
        """Keep the faults, and put them into one message."""
        self.faults = tuple(faults)
        self.summary = summary
        count = len(self.faults)
        lines = [f"{self.summary} ({counted(count, 'fault')}):"]
        lines += [fault.item for fault in self.faults[: self.shown]]
        if count > self.shown:
            lines.append(f"  ... and {count - self.shown} more")
        super().__init__("\n".join(lines))


def or_fault(function: Callable[[Item], Result]) -> Callable[[Item], Result | Fault]:
    """The function, but with a fault as its result where it raises a ``UserError``.

    Example:
        >>> def read(name: str) -> str:
        ...     raise UserError(f"{name} is missing")
        >>> or_fault(read)("a.png").message
        'a.png is missing'
    """

    def call(item: Item) -> Result | Fault:
        try:
            return function(item)
        except UserError as error:
            return Fault(path="", message=error.message)

    return call
