from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from harness.data import layouts
from metrics.utils.errors import FaultsError, UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

HEIGHT, WIDTH = 40, 56


def test_endocv_with_its_irregularities(draw: Drawer) -> None:
    root = draw.endocv()
    found = layouts.read_headers(layouts.list_frames(root))
    assert list(found.columns) == list(layouts.COLUMNS)
    assert found["frame"].tolist() == [
        "C1/C1_1_", "C1/C1_2", "C1/C1_10", "C6/C6_1",
        "seq2/seq2_1", "seq2/seq2_2", "seq10/seq10_1",
        "seq1_neg/a1", "seq1_neg/a2", "seq6_neg/b1",
    ]  # fmt: skip
    assert found["centre"].tolist() == ["C1"] * 3 + ["C6"] + [""] * 6
    assert found["sequence"].tolist() == [""] * 4 + ["seq2"] * 2 + ["seq10"] + [
        "seq1_neg", "seq1_neg", "seq6_neg",
    ]  # fmt: skip
    assert found["truth"].tolist() == ["mask"] * 7 + ["empty"] * 3
    assert found["mask"].tolist()[0] == str(root / "data_C1/masks_C1/C1_1_mask.jpg")
    assert (found["mask"].tolist()[7:], set(found["dataset"])) == ([""] * 3, {"endocv2021"})
    assert set(found["height"]) == {HEIGHT}
    assert set(found["width"]) == {WIDTH}
    assert found["height"].dtype == np.int64
    assert not found["split"].any()


def test_a_sequence_whose_name_is_no_utf8_is_listed_as_text(draw: Drawer) -> None:
    root = draw.endocv()
    sequence = root / "sequenceData/negativeOnly/seq6_neg"
    sequence.rename(sequence.with_name(os.fsdecode(b"caf\xe9")))
    found = layouts.read_headers(layouts.list_frames(root))
    assert found["frame"][found["name"] == "b1"].item() == "caf\\xe9/b1"


def test_test_folders(draw: Drawer) -> None:
    found = layouts.read_headers(layouts.list_frames(draw.test_frames()))
    assert found["frame"].tolist() == [
        "EndoCV_DATA1/Endocv2021_test_data1_0",
        "EndoCV_DATA1/Endocv2021_test_data1_1",
        "EndoCV_DATA2/Endocv2021_test_data2_0",
    ]
    assert found["test_set"].tolist() == ["EndoCV_DATA1"] * 2 + ["EndoCV_DATA2"]
    assert set(found["truth"]) == {"withheld"}
    assert set(found["dataset"]) == {"endocv2021-test"}


def test_hyperkvasir_from_its_folder_and_the_one_around_it(draw: Drawer) -> None:
    around = layouts.read_headers(layouts.list_frames(draw.hyperkvasir()))
    assert around.equals(
        layouts.read_headers(layouts.list_frames(draw.root / "hyperkvasir/segmented-images"))
    )
    assert around["frame"].tolist() == ["hyperkvasir/k1", "hyperkvasir/k2"]


@pytest.mark.parametrize(
    ("folder", "beside", "dataset"),
    [
        ("Kvasir-SEG", None, "kvasir-seg"),
        ("kvasir", "kavsir_bboxes.json", "kvasir-seg"),
        ("seg", "bounding-boxes.json", "hyperkvasir"),
        ("own", None, "plain"),
    ],
)
def test_pairs_are_told_apart_by_what_lies_around(
    draw: Drawer, folder: str, beside: str | None, dataset: str
) -> None:
    root = draw.pairs(folder)
    if beside:
        (root / beside).write_text("{}")
    assert set(layouts.read_headers(layouts.list_frames(root))["dataset"]) == {dataset}
    assert set(layouts.read_headers(layouts.list_frames(root, dataset="other"))["dataset"]) == {
        "other"
    }


@pytest.mark.parametrize("ending", ["jpg", "jpeg", "png", "tif", "bmp", "PNG"])
def test_plain_pairs_of_every_format(draw: Drawer, ending: str) -> None:
    found = layouts.read_headers(layouts.list_frames(draw.pairs("own", ending=ending)))
    assert found["frame"].tolist() == ["plain/x1", "plain/x2"]
    assert set(zip(found["height"], found["width"], strict=True)) == {(HEIGHT, WIDTH)}


def test_clinicdb_with_its_odd_tiffs(draw: Drawer, tmp_path: Path) -> None:
    root = tmp_path / "CVC-ClinicDB"
    for name in ("1", "2", "10"):
        draw.odd_tiff(root / "Original" / f"{name}.tif", (24, 32))
        draw.mask(root / "Ground Truth" / f"{name}.tif", (24, 32))
    with pytest.raises(UnidentifiedImageError):
        Image.open(root / "Original/1.tif")
    found = layouts.read_headers(layouts.list_frames(root))
    assert found["frame"].tolist() == ["cvc-clinicdb/1", "cvc-clinicdb/2", "cvc-clinicdb/10"]
    assert not found["sequence"].any()
    (root / "metadata.csv").write_text(
        "frame_id,sequence_id,png_image_path\n1,1,PNG/Original/1.png\n10,2,PNG/Original/10.png\n"
    )
    known = layouts.read_headers(layouts.list_frames(root))
    assert known["sequence"].tolist() == ["cvc-clinicdb-1", "", "cvc-clinicdb-2"]
    assert known["frame"].tolist() == found["frame"].tolist()
    assert set(zip(found["height"], found["width"], strict=True)) == {(24, 32)}
    (root / "metadata.csv").write_bytes(b"\x89PNG\0" * 30_000)
    with pytest.raises(
        UserError, match=r"metadata\.csv: expected a table of the frames' sequences"
    ):
        layouts.list_frames(root)


def test_an_unknown_folder_says_what_was_expected_and_found(draw: Drawer, tmp_path: Path) -> None:
    draw.frame(tmp_path / "odd/a.jpg")
    (tmp_path / "odd/deeper").mkdir()
    with pytest.raises(UserError) as caught:
        layouts.read_headers(layouts.list_frames(tmp_path / "odd"))
    text = caught.value.message
    assert all(layout.expects in text for layout in layouts.known_layouts())
    assert "Found: deeper/, 1 image." in text


def test_the_folder_above_is_named_where_it_is_the_one_meant(draw: Drawer) -> None:
    root = draw.endocv()
    with pytest.raises(UserError, match=f"give {root}"):
        layouts.read_headers(layouts.list_frames(root / "data_C1"))


def test_several_datasets_in_a_folder_are_named(draw: Drawer, tmp_path: Path) -> None:
    roots = [draw.endocv(), draw.test_frames()]
    with pytest.raises(UserError) as caught:
        layouts.read_headers(layouts.list_frames(tmp_path))
    assert all(str(root) in caught.value.message for root in roots)


def test_another_layout_than_the_one_wanted_is_refused(draw: Drawer) -> None:
    with pytest.raises(UserError, match="expected EndoCV 2021 test frames: EndoCV_DATA1/"):
        layouts.read_headers(layouts.list_frames(draw.endocv(), kinds=["endocv2021-test"]))


@pytest.mark.parametrize("make_file", [True, False])
def test_a_path_that_is_no_folder_is_refused(tmp_path: Path, make_file: bool) -> None:
    path = tmp_path / "x"
    if make_file:
        path.write_text("")
    with pytest.raises(UserError, match="is a file" if make_file else "does not exist"):
        layouts.read_headers(layouts.list_frames(path))


def test_a_layout_without_frames_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    with pytest.raises(UserError, match="no frames in"):
        layouts.read_headers(layouts.list_frames(tmp_path))


def test_all_unusable_frames_are_named_together(draw: Drawer) -> None:
    root = draw.pairs("own", ("a", "b", "c"))
    (root / "masks/a.jpg").unlink()
    (root / "images/b.jpg").write_bytes(b"")
    (root / "images/c.jpg").write_text("no image")
    with pytest.raises(FaultsError) as caught:
        layouts.read_headers(layouts.list_frames(root))
    assert len(caught.value.faults) == 3
    assert all(f"{name}.jpg" in caught.value.message for name in "abc")


def test_a_tiff_cut_in_its_header_is_refused(draw: Drawer) -> None:
    root = draw.pairs("own", ending="tif")
    (root / "images/x1.tif").write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(FaultsError, match=r"x1\.tif"):
        layouts.read_headers(layouts.list_frames(root))


def test_sizes_are_those_of_the_file_not_of_its_orientation_tag(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (30, 20)).save(tmp_path / folder / "a.jpg", exif=exif)
    found = layouts.read_headers(layouts.list_frames(tmp_path))
    assert (found["height"][0], found["width"][0]) == (20, 30)
