"""Locks keep others out as long as they are held, and no longer."""

from __future__ import annotations

import threading

import pytest

from metrics.utils.locks import locked, try_lock


def test_one_at_a_time_holds_a_file(tmp_path):
    path = tmp_path / "file"
    with path.open("w") as first, path.open("w") as second:
        assert try_lock(first)
        assert not try_lock(second)
        first.close()
        assert try_lock(second)


def test_the_next_waits_for_its_turn(tmp_path):
    said = []

    def work():
        with locked(tmp_path):
            said.append("second")

    other = threading.Thread(target=work)
    with locked(tmp_path):
        other.start()
        other.join(0.2)
        said.append("first")
    other.join(10)
    assert said == ["first", "second"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none"):
        pass
