"""Checkpoints are written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from harness.runs import checkpoints
from metrics.utils.errors import UserError
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


def test_what_ends_the_writing_of_a_state_is_not_hidden(tmp_path, monkeypatch):
    class Stopped(io.FileIO):
        def write(self, data):
            if self.tell():
                raise KeyboardInterrupt
            return super().write(data)

    monkeypatch.setattr(Path, "open", lambda path, mode: Stopped(path, mode))
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save_state(tmp_path / "file", {"a": torch.ones(30_000)})
    assert list(tmp_path.iterdir()) == []


def test_weights_can_be_read_by_those_who_can_read_the_other_files(tmp_path):
    checkpoints.save_weights(tmp_path / "weights", {"a": torch.ones(3)})
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_weights_that_two_layers_share_are_kept(tmp_path):
    def tied(seed):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
        network[1].weight = network[0].weight
        return network

    first, second = tied(0), tied(1)
    checkpoints.save_weights(tmp_path / "file", first.state_dict())
    checkpoints.load_weights(tmp_path / "file", second)
    assert torch.equal(first[0].weight, second[1].weight)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    network = torch.nn.Linear(2, 2)
    broken = {**network.state_dict(), "bias": torch.tensor([0.0, torch.nan])}
    checkpoints.save_weights(tmp_path / "file", broken)
    with pytest.raises(UserError, match="bias hold values that are infinite or no numbers"):
        checkpoints.load_weights(tmp_path / "file", network)


def test_a_file_of_weights_that_was_changed_is_refused(tmp_path):
    path = tmp_path / "file"
    digest = checkpoints.save_weights(path, {"a": torch.ones(3)})
    for registered in (digest, f"{'0' * 64}+{digest}", "", None, "None"):
        checkpoints.check_unchanged(path, registered)
    checkpoints.save_weights(path, {"a": torch.zeros(3)})
    with pytest.raises(UserError, match="is not the file that was registered"):
        checkpoints.check_unchanged(path, digest)
