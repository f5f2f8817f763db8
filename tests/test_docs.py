"""The documents say what is true: their examples run, their commands and links exist."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from harness.cli import SECTIONS, cli

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])


def commands(text: str) -> Iterator[list[str]]:
    """The words of every 'harness ...' line in a shell block, up to a comment."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            for part in re.split(r"&&|\||;", line.split(" #")[0]):
                words = part.split()
                if words[:1] == ["harness"]:
                    yield words[1:]


def test_examples_print_what_they_say() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "protocol.md"), module_relative=False)
    assert result.attempted > 30
    assert result.failed == 0


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words lead to, and the words after its name."""
    found: click.Command = cli
    left = list(words)
    while isinstance(found, click.Group) and left and not left[0].startswith("-"):
        name = left.pop(0)
        following = found.get_command(click.Context(found), name)
        assert following is not None, f"there is no command {name} in {words}"
        found = following
    return found, left


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    for words in commands(document.read_text(encoding="utf-8")):
        found, left = resolve(words)
        known = {option for one in found.params for option in [*one.opts, *one.secondary_opts]}
        used = {word.split("=")[0] for word in left if word.startswith("--")}
        assert used <= known | {"--help"}, words


def test_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [name for section in SECTIONS.values() for name in section]
    assert names
    assert [name for name in names if f"`harness {name}" not in readme] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []
