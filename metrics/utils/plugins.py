"""Loading plug-ins: the objects behind the entry points of a group."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from importlib import metadata
from typing import TypeVar

Plugin = TypeVar("Plugin")


def load(
    group: str,
    kind: type[Plugin],
    *,
    what: str,
    name: Callable[[Plugin], str],
    taken: Collection[str],
) -> dict[str, Plugin]:
    """The objects of an entry-point group by name; one that fails is left out with a warning.

    ``what`` is what a plug-in is called in a message, ``taken`` are names that are in use already.
    """
    found: dict[str, Plugin] = {}
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
