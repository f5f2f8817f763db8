"""What plug-ins bring: objects of one kind, each behind an entry point of a group."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from importlib import metadata
from typing import TypeVar

Thing = TypeVar("Thing")


def load(
    group: str,
    kind: type[Thing],
    *,
    what: str,
    name: Callable[[Thing], str],
    taken: Collection[str],
) -> dict[str, Thing]:
    """The objects of an entry-point group by name; one that fails is named and left out.

    Args:
        group: The group, such as ``harness.metrics``.
        kind: What each entry point has to load to.
        what: What a plug-in is called in a message.
        name: An object's name.
        taken: Names that are not free.
    """
    found: dict[str, Thing] = {}
    for entry in metadata.entry_points(group=group):
        try:
            loaded = entry.load()
            if not isinstance(loaded, kind):
                raise TypeError(f"expected a {kind.__module__}.{kind.__name__}, got {loaded!r}")
            if name(loaded) in taken or name(loaded) in found:
                raise ValueError(f"the name {name(loaded)!r} is taken")
        except Exception as error:  # a plug-in may fail in any way, and must not stop the rest
            warnings.warn(f"the {what} plug-in {entry.value!r} is left out: {error}", stacklevel=2)
        else:
            found[name(loaded)] = loaded
    return found
