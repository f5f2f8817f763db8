from __future__ import annotations

import sys
import types

import click
import click.testing
import pytest

from harness.cli.lazy import LazyGroup


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    """Two commands; only ``made-up`` has a module."""
    module = types.ModuleType("harness.cli.made_up")

    @click.command("made-up")
    @click.option("--count", type=int)
    def command(count: int) -> None:
        click.echo(f"count {count}")

    module.command = command  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.cli.made_up", module)
    sections = {
        "First": {"made-up": "Make it up."},
        "Second": {"another": "Do another."},
    }
    return LazyGroup(name="tool", sections=sections)


def invoke(group: LazyGroup, *arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(group, list(arguments))


def test_a_command_is_imported_when_it_is_called(group: LazyGroup) -> None:
    assert invoke(group, "made-up", "--count", "3").stdout == "count 3\n"


def test_the_help_imports_no_command(group: LazyGroup) -> None:
    text = invoke(group, "--help").stdout
    assert "First:\n  made-up  Make it up.\n" in text
    assert "Second:\n  another  Do another.\n" in text


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("madeup", "did you mean made-up?"), ("anothr", "did you mean another?"), ("zzz", "--help")],
)
def test_an_unknown_command_is_wrong_usage(group: LazyGroup, typed: str, hint: str) -> None:
    result = invoke(group, typed)
    assert result.exit_code == 2
    assert f"no command {typed!r}" in result.stderr
    assert hint in result.stderr


def test_an_unknown_option_is_clicks_matter(group: LazyGroup) -> None:
    result = invoke(group, "--nope")
    assert result.exit_code == 2
    assert "--nope" in result.stderr


def test_completion_imports_no_command(group: LazyGroup) -> None:
    items = group.shell_complete(click.Context(group), "")
    assert [item.value for item in items] == ["made-up", "another"]
    assert [i.value for i in group.shell_complete(click.Context(group), "an")] == ["another"]
    assert "--help" in [i.value for i in group.shell_complete(click.Context(group), "--")]
