from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.data.fingerprint import DIGITS, data_fingerprint
from harness.data.layouts import find_frames
from metrics.utils.errors import FaultsError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def test_neither_folder_nor_order_counts(draw: Drawer, tmp_path: Path) -> None:
    root = draw.hyperkvasir()
    found = find_frames(root)
    fingerprint = data_fingerprint(found)
    assert len(fingerprint) == DIGITS
    moved = shutil.copytree(root, tmp_path / "elsewhere" / "hyperkvasir")
    assert data_fingerprint(find_frames(moved)) == fingerprint
    assert data_fingerprint(found.iloc[::-1]) == fingerprint


def test_every_byte_and_every_frame_counts(draw: Drawer) -> None:
    found = find_frames(draw.hyperkvasir())
    fingerprint = data_fingerprint(found)
    assert data_fingerprint(found.iloc[:1]) != fingerprint
    mask = Path(found["mask"][0])
    data = bytearray(mask.read_bytes())
    data[-3] ^= 1
    mask.write_bytes(data)
    assert data_fingerprint(found) != fingerprint


def test_missing_files_are_all_named(draw: Drawer) -> None:
    found = find_frames(draw.hyperkvasir())
    for image in found["image"]:
        Path(image).unlink()
    with pytest.raises(FaultsError) as caught:
        data_fingerprint(found)
    assert len(caught.value.faults) == len(found)
