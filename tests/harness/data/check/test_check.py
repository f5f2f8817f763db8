from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from harness.config.settings import load
from harness.data import catalogue
from harness.data.check.check import DataReport, check
from harness.data.listing import Listing
from harness.data.splits import Rule, Splits, load_splits
from metrics.utils.errors import FaultsError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def listed(paths: dict[str, Path]) -> list[Listing]:
    listings, faults = catalogue.listings_of(paths)
    assert not faults
    return list(listings.values())


def checked(endocv: Path, *others: tuple[str, Path]) -> DataReport:
    return check(listed({"endocv": endocv, **dict(others)}), load_splits())


def test_a_sound_dataset_has_no_faults(draw: Drawer) -> None:
    report = checked(
        draw.endocv(), ("hyperkvasir", draw.hyperkvasir()), ("test_frames", draw.test_frames())
    )
    assert report.faults == ()
    totals = report.table[report.table["source"] == "all"]
    assert totals[["split", "frames", "polyp", "non_polyp"]].values.tolist() == [
        ["train", 5, 3, 2],
        ["val", 4, 3, 1],
        ["test", 2, 2, 0],
    ]
    assert any("In no split of 'paper'" in note and "C6 (1)" in note for note in report.notes)
    assert any("bounding boxes (2)" in note for note in report.notes)


def test_splits_that_overlap_are_refused_before_frames_are_decoded(draw: Drawer) -> None:
    both = Rule(datasets=("endocv2021",))
    with pytest.raises(FaultsError, match="overlap"):
        check(
            listed({"endocv": draw.endocv()}),
            Splits(train=both, val=both),
            track=lambda _reports, _total: pytest.fail("frames are decoded"),
        )


def test_every_fault_is_found_at_once(draw: Drawer) -> None:
    root = draw.endocv()
    centre = root / "data_C1"
    (centre / "masks_C1/C1_2_mask.jpg").unlink()
    cut = centre / "images_C1/C1_10.jpg"
    cut.write_bytes(cut.read_bytes()[:-100])
    draw.mask(centre / "masks_C1/C1_1_mask.jpg", (10, 10))
    draw.mask(root / "data_C6/masks_C6/C6_1_mask.jpg", fill=100)
    draw.mask(centre / "masks_C1/lonely_mask.jpg")
    (root / "sequenceData/negativeOnly/seq9_neg").mkdir()
    positive = root / "sequenceData/positive"
    shutil.copy(
        root / "sequenceData/negativeOnly/seq1_neg/a1.jpg", positive / "seq2/images_seq2/seq2_1.jpg"
    )
    (root / "stray.dat").write_text("")
    (root / "edges/seq2").mkdir(parents=True)
    for number in range(12):
        draw.mask(root / f"edges/seq2/{number}.png")
    report = checked(root)
    text = [str(fault).replace(str(root), "") for fault in report.faults]
    expected = [
        ("/data_C1/images_C1/C1_2.jpg", "its mask is missing"),
        ("/data_C1/masks_C1/lonely_mask.jpg", "without its frame"),
        ("seq9_neg", "is empty"),
        ("C1_1_mask.jpg", "expected 56 x 40"),
        ("C1_10.jpg", "truncated"),
        ("C6_1_mask.jpg", "no pixel counts as polyp"),
        ("a1.jpg", "same pixels"),
    ]
    for name, message in expected:
        assert any(name in line and message in line for line in text), (name, text)
    assert len(text) == len(expected)
    assert f"Stray files in {root}: edges/ (12), stray.dat." in report.notes


def test_a_copy_of_a_training_frame_among_the_test_frames_is_found(draw: Drawer) -> None:
    endocv, test_frames = draw.endocv(), draw.test_frames()
    shutil.copy(
        endocv / "data_C1/images_C1/C1_2.jpg",
        test_frames / "EndoCV_DATA1/Endocv2021_test_data1_0.jpg",
    )
    report = checked(endocv, ("test_frames", test_frames))
    assert len(report.faults) == 1
    assert "in test frames, has the same pixels" in report.faults[0].message


def test_a_dataset_whose_every_mask_is_missing(draw: Drawer) -> None:
    root = draw.pairs("own")
    shutil.rmtree(root / "masks")
    (root / "masks").mkdir()
    report = check(listed({"hyperkvasir": root}), load_splits())
    assert report.table.empty
    assert sum("mask is missing" in fault.message for fault in report.faults) == 2


def test_an_inverted_mask_is_no_fault_but_noted(draw: Drawer) -> None:
    root = draw.endocv()
    mask = root / "data_C1/masks_C1/C1_2_mask.jpg"
    assert not any("perhaps inverted" in note for note in checked(root).notes)
    Image.fromarray(255 - np.asarray(Image.open(mask))).save(mask)

    report = checked(root)

    assert report.faults == ()
    assert [note for note in report.notes if "perhaps inverted" in note] == [
        f"Polyp along nearly all of the border, so perhaps inverted: {mask}."
    ]


def test_frames_with_an_orientation_tag_are_noted(draw: Drawer) -> None:
    root = draw.endocv()
    turned = root / "data_C1/images_C1/C1_2.jpg"
    tag = Image.Exif()
    tag[274] = 3  # by half a turn, which leaves the size as it is
    Image.open(turned).save(turned, exif=tag)
    report = checked(root)
    assert report.faults == ()
    assert [note for note in report.notes if "Orientation" in note] == [
        "Orientation tags of frames are not followed, so masks have to lie as pixels are stored: "
        f"{turned}."
    ]


def test_empty_masks_are_no_fault_but_noted(draw: Drawer) -> None:
    root = draw.endocv()
    draw.mask(root / "data_C1/masks_C1/C1_2_mask.jpg", fill=0)
    report = checked(root)
    assert report.faults == ()
    assert any(note.startswith("1 mask holds no polyp") for note in report.notes)
    train = report.table[(report.table["split"] == "train") & (report.table["source"] == "C1")]
    assert train[["frames", "polyp", "non_polyp"]].values.tolist() == [[3, 2, 1]]


def test_a_table_that_tells_the_sequences_is_used(draw: Drawer, tmp_path: Path) -> None:
    root = tmp_path / "ClinicDB"
    draw.frame(root / "Original/1.png")
    draw.mask(root / "Ground Truth/1.png")
    (root / "metadata.csv").write_text("sequence_id,png_image_path\n1,PNG/Original/1.png\n")
    (root / "class_dict.csv").write_text("name,r,g,b\n")
    report = checked(draw.endocv(), ("hyperkvasir", root))
    assert f"Not used in {root}: tables (1)." in report.notes


def test_progress_sees_every_frame(draw: Drawer) -> None:
    seen = []

    def track(stream, total):  # type: ignore[no-untyped-def]
        for inspection in stream:
            seen.append(total)
            yield inspection

    check(listed({"endocv": draw.endocv()}), load_splits(), track=track)
    assert seen == [10] * 10


@pytest.mark.realframes
def test_the_real_frames_are_sound() -> None:
    settings = load(env=os.environ)
    names = ("endocv", "hyperkvasir", "test_frames")
    paths = [getattr(settings, name) for name in names]
    if None in paths:
        pytest.skip("HARNESS_ENDOCV, HARNESS_HYPERKVASIR and HARNESS_TEST_FRAMES are not set")
    report = check(listed(dict(zip(names, paths, strict=True))), load_splits())
    assert report.faults == ()
    totals = report.table[report.table["source"] == "all"]
    assert totals["frames"].tolist() == [418, 168, 61]
    assert totals["polyp"].tolist() == [342, 105, 61]
