"""The faults of a package, each with its kind."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal[
    "archive", "name", "link", "encrypted", "bomb", "duplicate", "layout", "missing", "extra",
    "unreadable", "size", "values", "timing",
]  # fmt: skip
"""The kind of a fault; the module ``validate`` explains each."""

HOSTILE: Final[frozenset[Kind]] = frozenset({"archive", "name", "link", "bomb"})
"""Kinds of faults after which no file of the package is read."""

_SHOWN: Final = 160


class Finding(NamedTuple):
    """A fault with its kind, by which a caller may tolerate it."""

    kind: Kind
    path: str
    message: str


def found(kind: Kind, path: str, message: str) -> Finding:
    """A finding whose path may itself be hostile and is escaped."""
    return Finding(kind, shown(path), message)


def shown(name: str) -> str:
    """A name that is safe to print: control characters escaped, and shortened."""
    if len(name) > _SHOWN:
        return f"{shown(name[: _SHOWN - 10])}... ({len(name)} characters)"
    return name if name.isprintable() else ascii(name)[1:-1]
