"""The type of every option and argument that is a path."""

from __future__ import annotations

import errno
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
        """The path, with ``~`` replaced and the checks done; one that leads nowhere is refused."""
        path = os.path.expanduser(value)  # noqa: PTH111 (leaves an unknown user)
        try:
            os.stat(path)  # noqa: PTH116
        except OSError as error:
            if error.errno == errno.ELOOP:  # Path.resolve ends by a RuntimeError there
                self.fail(f"{os.fsdecode(path)} is a link that leads back to itself", param, ctx)
        except ValueError:  # a name that cannot be one, which is said later
            pass
        return super().convert(path, param, ctx)
