from __future__ import annotations

from pathlib import Path

import click
import pytest

from harness.cli.paths import UserPath


def test_a_link_that_leads_back_to_itself_is_refused(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop, loop / "below"):
        with pytest.raises(click.BadParameter, match="leads back to itself"):
            UserPath().convert(str(path), None, None)


def test_a_dead_link_is_a_path(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead.symlink_to(tmp_path / "nowhere")
    assert UserPath().convert(str(dead), None, None) == dead
