"""A click command whose help lists its options under headings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from harness.utils.command_line import SettingOption

if TYPE_CHECKING:
    from click.types import OptionHelpExtra

_SETTINGS: Final = "Settings, by default those of harness.toml"

_NUMBERS: Final = {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}
"""The values of number options, by click's name of their type."""


def examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


class Command(click.Command):
    """A command whose help has the options of settings, and other groups of them, by themselves.

    Args:
        headings: Name of an option to the heading that it and those after it stand under.
    """

    def __init__(self, *args: Any, headings: Mapping[str, str] | None = None, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.headings = headings or {}
        for option in self.params:
            if isinstance(option, click.Option) and option.metavar is None:
                option.metavar = _NUMBERS.get(option.type.name)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under their headings, settings last."""
        heading = "Options"
        sections: dict[str, list[tuple[str, str]]] = {heading: []}
        settings = []
        for option in self.params:
            heading = self.headings.get(option.name or "", heading)
            record = option.get_help_record(ctx)
            if record is None or not isinstance(option, click.Option):
                continue
            if isinstance(option, SettingOption):
                settings.append(record)
            else:
                sections.setdefault(heading, []).append(record)
        if (own := self.get_help_option(ctx)) and (record := own.get_help_record(ctx)):
            sections["Options"].append(record)
        for title, records in {**sections, _SETTINGS: settings}.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class SeedOption(click.Option):
    """What NumPy and torch both take, by default 0."""

    def __init__(self, *names: Any, **rest: Any) -> None:
        seeds = {"type": click.IntRange(0, 2**32 - 1), "default": 0, "show_default": True}
        super().__init__(*names, **{**seeds, **rest})

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """All but the range, whose end nobody needs to read."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class Group(click.Group):
    """A group of such commands."""

    command_class = Command
