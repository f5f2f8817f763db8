from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.data import listing
from harness.data.layouts import list_frames
from harness.data.listing import Listing
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def test_digits_sort_as_numbers() -> None:
    names = ["seq10", "seq2", "a", "seq2_neg", "2", "10", "seq02"]
    assert sorted(names, key=listing.natural) == [
        "2", "10", "a", "seq02", "seq2", "seq2_neg", "seq10",
    ]  # fmt: skip


def test_a_mask_serves_one_frame_only(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "images/a.jpg")
    draw.frame(tmp_path / "images/a_.jpg")
    draw.mask(tmp_path / "masks/a_mask.jpg")
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    assert [frame.name for frame in found.frames] == ["a"]
    assert [Path(fault.path).name for fault in found.faults] == ["a_.jpg"]


def test_a_missing_mask_is_a_fault_and_a_lone_mask_an_oddity(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "images/a.jpg")
    draw.mask(tmp_path / "masks/b.jpg")
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="endocv2021")
    assert not found.frames
    assert "a_mask.*" in found.faults[0].message
    assert found.oddities[0].path == str(tmp_path / "masks/b.jpg")


def test_masks_that_are_all_named_otherwise_are_one_fault(draw: Drawer, tmp_path: Path) -> None:
    for number in range(5):
        draw.frame(tmp_path / f"images/{number}.jpg")
        draw.mask(tmp_path / f"masks/label{number}.png")
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    (fault,) = [*found.faults, *found.oddities]
    expected = "expected 0.* or 0_mask.* for 0.jpg, found label0.png, label1.png, label2.png and 2"
    assert expected in fault.message
    assert "--mask-name" in fault.message


def test_two_files_of_one_name_are_a_fault(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "a.jpg")
    draw.frame(tmp_path / "a.png")
    found = Listing(layout="", root=tmp_path)
    found.add_single(tmp_path, dataset="plain", truth="withheld")
    assert [frame.image.name for frame in found.frames] == ["a.jpg"]
    assert "a.jpg" in found.faults[0].message


def test_empty_and_missing_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    assert [fault.message for fault in found.oddities] == [
        "the folder is missing; expected masks",
        "the folder is empty; expected frames",
    ]


def test_hidden_files_are_no_images(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "._a.jpg")
    draw.frame(tmp_path / "b.TIFF")
    (tmp_path / "c.txt").write_text("")
    assert [path.name for path in listing.images_in(tmp_path)] == ["b.TIFF"]


def test_the_only_folder_of_a_kind_serves_where_the_exact_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert listing.part(tmp_path, "images", "C1") == tmp_path / "images"
    (tmp_path / "images_C1").mkdir()
    assert listing.part(tmp_path, "images", "C1") == tmp_path / "images_C1"
    assert listing.part(tmp_path, "masks", "C1") == tmp_path / "masks_C1"


def test_each_frame_has_the_mask_that_fits_its_name_best(draw: Drawer, tmp_path: Path) -> None:
    for name in ("1", "p1"):
        draw.frame(tmp_path / f"images/{name}.png")
    for name in ("p1", "pp1"):
        draw.mask(tmp_path / f"masks/{name}.png")
    found = Listing(layout="", root=tmp_path)
    names = ("{stem}", "p{stem}")
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain", mask_names=names)
    assert [(f.name, f.mask and f.mask.name) for f in found.frames] == [("p1", "p1.png")]
    assert [Path(fault.path).name for fault in found.faults] == ["1.png"]


def test_a_frame_and_its_mask_may_spell_a_letter_in_two_ways(draw: Drawer, tmp_path: Path) -> None:
    composed, parts = "p\u00f6lyp", "po\u0308lyp"
    draw.frame(tmp_path / f"images/{parts}.png")
    draw.mask(tmp_path / f"masks/{composed}.png")
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    assert [frame.frame for frame in found.frames] == [f"plain/{composed}"]
    assert not found.faults + found.oddities


def test_a_name_that_is_no_utf8_is_listed_as_text(draw: Drawer, tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        draw.mask(tmp_path / folder / "a.png")
        (tmp_path / folder / "a.png").rename(tmp_path / folder / os.fsdecode(b"caf\xe9.png"))
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    assert [frame.frame for frame in found.frames] == ["plain/caf\\xe9"]
    assert found.frames[0].image.exists()


def test_a_folder_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=f"{tmp_path} cannot be read: Permission denied"):
        listing.folders_in(tmp_path)


def test_a_dead_link_is_a_fault_wherever_a_frame_or_a_folder_may_be_meant(draw: Drawer) -> None:
    root = draw.pairs("sets/a")
    draw.pairs("sets/b")
    dead = [root / "images/x9.png", root.parent / "c", root.parent / "d/images"]
    (root.parent / "d").mkdir()
    for path in (*dead, root.parent / "notes.txt", root.parent / ".hidden"):
        path.symlink_to("nowhere")
    draw.mask(root.parent / "d/masks/y.png")
    found = list_frames(root.parent)
    assert len(found.frames) == 4
    assert sorted(fault.path for fault in found.faults) == sorted(map(str, dead))
    assert all("a dead link" in fault.message for fault in found.faults)


def test_folders_that_are_dead_links_are_faults_and_not_empty(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "images/a.jpg")
    (tmp_path / "masks").symlink_to("nowhere")
    found = Listing(layout="", root=tmp_path)
    found.add_pairs(tmp_path / "images", tmp_path / "masks", dataset="plain")
    assert "a dead link" in found.faults[0].message
    assert not found.oddities
