"""Wheels are found by what their names say."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.export.pins import copy_wheels
from metrics.utils.errors import FaultsError


def test_a_file_that_is_called_like_a_wheel_is_passed_over(tmp_path: Path) -> None:
    source, target = tmp_path / "wheels", tmp_path / "copied"
    source.mkdir()
    for name in ("odd.whl", "some_thing-1.0-py3-none-any.whl", "other-2-py3-none-any.whl"):
        (source / name).write_bytes(b"")

    copy_wheels(["some-thing==1.0"], source, target)

    assert [path.name for path in target.iterdir()] == ["some_thing-1.0-py3-none-any.whl"]
    with pytest.raises(FaultsError, match="odd==1"):
        copy_wheels(["odd==1"], source, tmp_path / "none")
