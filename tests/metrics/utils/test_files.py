"""Files that are there whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metrics.utils.errors import UserError
from metrics.utils.files import atomic_path, write_json


def test_content_takes_the_final_name(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"

    write_json(path, {"a": [1, 2]})

    assert json.loads(path.read_text()) == {"a": [1, 2]}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")

    with pytest.raises(RuntimeError), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_text("half of the n")
        raise RuntimeError

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")

    with pytest.raises(UserError, match=r"cannot write in .*taken.*--workspace"):
        write_json(tmp_path / "taken" / "file.json", {})


def test_the_usual_rights_apply(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.write_text("")

    write_json(tmp_path / "ours", {})

    assert (tmp_path / "ours").stat().st_mode == usual.stat().st_mode
