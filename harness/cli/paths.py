"""The type of every option and argument that is a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click


class UserPath(click.Path):
    """A path; ``~`` is the home folder as in ``harness.toml``, also where no shell expands it.

    A shell leaves it as it is in ``--out=~/masks`` and in quotation marks.

    Args:
        **checks: As for ``click.Path``.
    """

    def __init__(self, **checks: Any) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, with ``~`` replaced and the checks done."""
        return super().convert(os.path.expanduser(value), param, ctx)  # noqa: PTH111 (leaves an unknown user)
