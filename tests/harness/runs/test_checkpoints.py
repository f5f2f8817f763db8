"""Checkpoints are written whole or not at all."""

from __future__ import annotations

import pytest
import torch

from harness.runs import checkpoints
from metrics.utils.files import UnwritableError


@pytest.mark.parametrize("room", [0, 1000, 60_000])
@pytest.mark.parametrize("write", [checkpoints.save_state, checkpoints.save_weights])
def test_without_room_the_one_before_is_kept(tmp_path, no_room, write, room):
    path = tmp_path / "file"
    write(path, {"a": torch.ones(3)})
    before = path.read_bytes()

    with no_room(room), pytest.raises(UnwritableError, match=r"cannot write in .*make room"):
        write(path, {"a": torch.ones(30_000), "b": torch.ones(30_000)})

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
