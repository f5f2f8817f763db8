from __future__ import annotations

from typing import TYPE_CHECKING

from harness.data.layouts import list_frames
from harness.data.other_files import find_other_files

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def test_what_the_release_ships_is_counted_and_the_rest_named(draw: Drawer) -> None:
    root = draw.endocv()
    (root / "data_C1/masks_C1/notes.txt").write_text("")
    (root / "data_C1/bbox_C1/._C1.txt").write_text("")
    listing = list_frames(root)
    used = [path for frame in listing.frames for path in (frame.image, frame.mask) if path]
    known, others = find_other_files(listing.root, used)
    assert known == {
        "archives": 1,
        "bounding boxes": 2,
        "copies in imagesAll_positive": 1,
        "system files": 3,
        "tables": 1,
    }
    assert others == [root / "data_C1/masks_C1/notes.txt"]


def test_a_folder_of_frames_alone_leaves_nothing(draw: Drawer) -> None:
    root = draw.pairs("own")
    assert find_other_files(root, root.rglob("*.jpg")) == ({}, [])
