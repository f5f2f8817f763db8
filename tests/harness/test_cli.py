from __future__ import annotations

from collections.abc import Iterator

import click
import click.testing
import pytest

from harness import __version__
from harness.cli import SECTIONS, cli
from harness.utils import console

NAMES = [name for entries in SECTIONS.values() for name in entries]


def invoke(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(cli, list(arguments))


def test_the_help_lists_every_command_under_its_heading() -> None:
    lines = invoke("--help").stdout.splitlines()
    starts = [lines.index(f"{heading}:") for heading in SECTIONS]
    for start, entries in zip(starts, SECTIONS.values(), strict=True):
        listed = [line.split()[0] for line in lines[start + 1 : start + 1 + len(entries)]]
        assert listed == list(entries)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_with_an_example(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"Usage: harness {name}" in result.stdout
    examples = result.stdout.split("Usage:", 1)[1].splitlines()[1:]
    assert any(line.strip().startswith(f"harness {name}") for line in examples)


def every_command(group: click.Group, name: str) -> Iterator[tuple[str, click.Command]]:
    for one in group.list_commands(click.Context(group)):
        found = group.get_command(click.Context(group), one)
        assert found is not None
        yield f"{name} {one}", found
        if isinstance(found, click.Group):
            yield from every_command(found, f"{name} {one}")


def test_every_option_says_what_it_does() -> None:
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in every_command(cli, "harness")
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert not silent


@pytest.mark.parametrize("name", NAMES)
def test_the_summaries_fit_a_narrow_terminal(name: str) -> None:
    (summary,) = [entries[name] for entries in SECTIONS.values() if name in entries]
    assert summary.endswith(".")
    assert len(summary) <= 55


def test_the_version() -> None:
    assert invoke("--version").stdout == f"harness {__version__}\n"


def test_quiet_reaches_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    context = cli.make_context("harness", ["--quiet", "doctor", "--help"])
    with context:
        assert cli.callback is not None
        context.invoke(cli.callback, **context.params)
    console.note("unheard")
    console.warn("heard")
    assert capsys.readouterr().err == "warning: heard\n"
