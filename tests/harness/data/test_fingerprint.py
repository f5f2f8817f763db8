from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.data import fingerprint
from harness.data.fingerprint import DIGITS, data_fingerprint
from harness.data.layouts import list_frames, read_headers
from metrics.masks.image import read_file
from metrics.utils.errors import FaultsError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def test_neither_folder_nor_order_counts(draw: Drawer, tmp_path: Path) -> None:
    root = draw.hyperkvasir()
    found = read_headers(list_frames(root))
    fingerprint = data_fingerprint(found)
    assert len(fingerprint) == DIGITS
    moved = shutil.copytree(root, tmp_path / "elsewhere" / "hyperkvasir")
    assert data_fingerprint(read_headers(list_frames(moved))) == fingerprint
    assert data_fingerprint(found.iloc[::-1]) == fingerprint


def test_every_byte_and_every_frame_counts(draw: Drawer) -> None:
    found = read_headers(list_frames(draw.hyperkvasir()))
    fingerprint = data_fingerprint(found)
    assert data_fingerprint(found.iloc[:1]) != fingerprint
    mask = Path(found["mask"][0])
    data = bytearray(mask.read_bytes())
    data[-3] ^= 1
    mask.write_bytes(data)
    assert data_fingerprint(found) != fingerprint


def test_missing_files_are_all_named(draw: Drawer) -> None:
    found = read_headers(list_frames(draw.hyperkvasir()))
    for image in found["image"]:
        Path(image).unlink()
    with pytest.raises(FaultsError) as caught:
        data_fingerprint(found)
    assert len(caught.value.faults) == len(found)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are read, in the order of reading."""
    seen: list[str] = []

    def reading(path: str) -> bytes:
        seen.append(path)
        return read_file(path)

    monkeypatch.setattr(fingerprint, "read_file", reading)
    return seen


def test_files_that_have_not_changed_are_read_once(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reads: list[str]
) -> None:
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", 0)
    found = read_headers(list_frames(draw.hyperkvasir()))
    first = data_fingerprint(found, tmp_path)
    assert sorted(reads) == sorted([*found["image"], *found["mask"]])
    reads.clear()
    assert data_fingerprint(found, tmp_path) == first
    assert reads == []
    Path(found["mask"][0]).touch()
    assert data_fingerprint(found, tmp_path) == first
    assert reads == [found["mask"][0]]


def test_a_file_that_changed_a_moment_ago_is_not_remembered(
    draw: Drawer, tmp_path: Path, reads: list[str]
) -> None:
    found = read_headers(list_frames(draw.hyperkvasir()))
    data_fingerprint(found, tmp_path)
    data_fingerprint(found, tmp_path)
    assert len(reads) == 4 * len(found)


@pytest.mark.parametrize("text", ["{", "[1]", "every path: 1", None])
def test_damaged_digests_are_computed_anew(draw: Drawer, tmp_path: Path, text: str | None) -> None:
    found = read_headers(list_frames(draw.hyperkvasir()))
    if text is None:
        (tmp_path / "digests.json").mkdir()
    elif text.startswith("every"):
        values = dict.fromkeys([*found["image"], *found["mask"]], 1)
        (tmp_path / "digests.json").write_text(json.dumps(values))
    else:
        (tmp_path / "digests.json").write_text(text)
    assert data_fingerprint(found, tmp_path) == data_fingerprint(found)
