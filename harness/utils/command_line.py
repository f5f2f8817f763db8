"""Commands to go on with, as messages name them."""

from __future__ import annotations

import shlex

import click
from click.core import ParameterSource


class SettingOption(click.Option):
    """The option of a setting; commands that messages name are given it too."""


def command_line(words: str) -> str:
    """A command to go on with, with the settings that this command was given as options.

    Only those that the command takes; those of ``harness.toml`` and the environment hold anyway.

    Example:
        >>> command_line("evaluate --split val")
        'harness evaluate --split val'
    """
    context = click.get_current_context(silent=True)
    if context is None:
        return f"harness {words}"
    command = context.find_root().command
    for word in words.split():
        if isinstance(command, click.Group):
            command = command.get_command(context, word) or command
    parts = [f"harness {words}"]
    for option in command.params:
        if not isinstance(option, SettingOption) or option.name is None:
            continue
        # An option may stand before a subcommand: 'runs --workspace DIR show'.
        above = context.parent or context
        given = context if context.params.get(option.name) else above
        if given.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            values = given.params[option.name]
            for value in values if isinstance(values, tuple) else [values]:
                parts += [option.opts[0], shlex.quote(str(value))]
    return " ".join(parts)
