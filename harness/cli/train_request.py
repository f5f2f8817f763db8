"""The recipes that the options of ``harness train`` ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from harness.utils import console

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.config.training import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked to train.

    Attributes:
        names: Models; empty for the default ones.
        preset: A preset's name or file.
        pairs: The values of ``--set``.
        changes: The values of the recipe's other options; ``None`` where not given.
    """

    names: Sequence[str]
    preset: str
    pairs: Sequence[str]
    changes: Mapping[str, Any]

    def recipes(self, settings: Settings) -> tuple[list[TrainConfig], bool]:
        """The recipe of every network, checked, and whether their ensemble follows."""
        from harness.config.recipe import parse_settings
        from harness.training.checks import check_names
        from harness.training.queue import recipes_for

        given = {name: value for name, value in self.changes.items() if value is not None}
        classes = settings.classes.choosing(given.pop("loss_class", None))
        changes = {**given, **parse_settings(self.pairs), "classes": classes}
        configs, with_ensemble = recipes_for(self.names, self.preset, changes)
        for config in configs[:1]:  # the others differ by their model alone
            check_names(config)
        return configs, with_ensemble

    def refuse_changes(self, *, allowed: Sequence[str], **others: object) -> None:
        """Refuse options that would change the recipe of a run that is resumed."""
        given = {"model": self.names or None, "set": self.pairs or None, **self.changes, **others}
        changed = [
            f"--{name.replace('_', '-')}"
            for name, value in given.items()
            if value is not None and name not in allowed
        ]
        if changed:
            raise click.UsageError(
                "--resume goes on with the recipe that the run has; leave out "
                f"{', '.join(changed)} (--epochs and --patience can be changed where RUN is named)"
            )

    def print(self, settings: Settings) -> None:
        """Print the recipe; those of several models differ by the nodes of trinet alone."""
        from harness.config.recipe import to_toml

        configs, _ = self.recipes(settings)
        if not configs:
            raise click.UsageError("an ensemble has no recipe; name one of its members")
        console.show(to_toml(next((config for config in configs if config.nodes), configs[0])))
