"""What is wrong with a package: one finding a fault, with its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "archive", "name", "link", "encrypted", "bomb", "duplicate", "layout", "missing", "extra",
    "unreadable", "size", "values", "timing",
]  # fmt: skip
"""What sort of fault it is; ``validate`` explains each."""

HOSTILE: Final[frozenset[Kind]] = frozenset({"archive", "name", "link", "bomb"})
"""Faults after which no member is read."""

_SHOWN: Final = 160


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A fault with its kind, so that a caller may weigh it."""

    kind: Kind
    path: str
    message: str


def found(kind: Kind, path: str, message: str) -> Finding:
    """A fault of a path that may be hostile itself."""
    return Finding(kind=kind, path=shown(path), message=message)


def shown(name: str) -> str:
    """A name as it may be printed: control characters escaped, and not endless."""
    if len(name) > _SHOWN:
        return f"{shown(name[: _SHOWN - 10])}... ({len(name)} characters)"
    return name if name.isprintable() else ascii(name)[1:-1]
