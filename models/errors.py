"""Errors of models that a user asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

import click

_SHOWN: Final = 20


class ModelError(click.ClickException):
    """An unknown model, encoder or loss, weights that do not fit, or a size that cannot be."""


def unknown(kind: str, name: str, known: Iterable[str]) -> ModelError:
    """The error for a name of a ``kind``, such as model, that is not known, with the nearest."""
    names = list(known)
    nearest = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return ModelError(f"unknown {kind} {name!r}; {hint}known are {', '.join(names)}")


def listed(faults: Sequence[str]) -> str:
    """The first faults, one a line, and how many there are more."""
    lines = [f"  - {fault}" for fault in faults[:_SHOWN]]
    more = len(faults) - _SHOWN
    return "\n".join([*lines, *([f"  ... and {more} more"] if more > 0 else [])])
