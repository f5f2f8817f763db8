"""Each dataset's folders as they are downloaded are recognised, and its masks found."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from harness.data import layouts
from harness.data.other_files import find_other_files
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


class Case(NamedTuple):
    """Files of a dataset, frame and mask, and the frames that they are."""

    layout: str
    pairs: tuple[tuple[str, str], ...]
    frames: tuple[str, ...]
    dataset: str = "plain"


CASES = {
    "capitals": Case("images and masks", (("Images/a.png", "Masks/a.png"),), ("plain/a",)),
    "gt": Case("images and masks", (("Images/a.png", "GT/a.png"),), ("plain/a",)),
    "imgs": Case("images and masks", (("imgs/a.png", "mask/a.png"),), ("plain/a",)),
    "pranet-train": Case(
        "images and masks", (("TrainDataset/image/a.png", "TrainDataset/mask/a.png"),), ("plain/a",)
    ),
    "pranet-test": Case(
        "several sets",
        (
            ("TestDataset/CVC-300/images/1.png", "TestDataset/CVC-300/masks/1.png"),
            ("TestDataset/Kvasir/images/1.png", "TestDataset/Kvasir/masks/1.png"),
        ),
        ("CVC-300/1", "Kvasir/1"),
    ),
    "etis": Case(
        "images and masks",
        (("images/1.tif", "masks/p1.tif"), ("images/10.tif", "masks/p10.tif")),
        ("plain/1", "plain/10"),
    ),
    "etis-as-published": Case(
        "images and masks", (("ETIS-LaribPolypDB/1.tif", "Ground Truth/p1.tif"),), ("plain/1",)
    ),
    "clinicdb": Case(
        "CVC-ClinicDB",
        (("CVC-ClinicDB/PNG/Original/1.png", "CVC-ClinicDB/PNG/Ground Truth/1.png"),),
        ("cvc-clinicdb/1",),
        "cvc-clinicdb",
    ),
    "bkai": Case("BKAI", (("train/a.jpeg", "train_gt/a.jpeg"),), ("bkai-igh/a",), "bkai-igh"),
    "bkai-as-zipped": Case(
        "BKAI", (("train/train/a.jpeg", "train_gt/train_gt/a.jpeg"),), ("bkai-igh/a",), "bkai-igh"
    ),
    "isic": Case(
        "ISIC",
        (
            (
                "ISIC2018_Task1-2_Training_Input/ISIC_0000001.jpg",
                "ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png",
            ),
        ),
        ("train/ISIC_0000001",),
        "isic",
    ),
    "nnunet": Case(
        "nnU-Net",
        (
            ("Dataset001_Polyp/imagesTr/polyp_1_0000.png", "Dataset001_Polyp/labelsTr/polyp_1.png"),
            ("Dataset001_Polyp/imagesTs/polyp_2_0000.png", "Dataset001_Polyp/labelsTs/polyp_2.png"),
        ),
        ("train/polyp_1", "test/polyp_2"),
        "nnunet",
    ),
    "polypdb": Case(
        "PolypDB",
        (
            ("PolypDB_modality_wise/BLI/images/1.jpg", "PolypDB_modality_wise/BLI/masks/1.jpg"),
            ("PolypDB_modality_wise/WLI/images/1.jpg", "PolypDB_modality_wise/WLI/masks/1.jpg"),
        ),
        ("BLI/1", "WLI/1"),
        "polypdb",
    ),
    "polypdb-as-documented": Case(
        "PolypDB", (("WLI/images/1.jpg", "WLI/annotations/1.jpg"),), ("WLI/1",), "polypdb"
    ),
    "polypdb-by-centre": Case(
        "PolypDB",
        (
            (
                "PolypDB_center_wise/BKAI/NBI/images/1.jpg",
                "PolypDB_center_wise/BKAI/NBI/masks/1.jpg",
            ),
            ("PolypDB_center_wise/Simula/images/1.jpg", "PolypDB_center_wise/Simula/masks/1.jpg"),
        ),
        ("NBI/BKAI/1", "Simula/1"),
        "polypdb",
    ),
    "sun-seg-test": Case(
        "SUN-SEG",
        (
            ("TestEasyDataset/Seen/Frame/case2_3/a.jpg", "TestEasyDataset/Seen/GT/case2_3/a.png"),
            ("TestEasyDataset/Unseen/Frame/case1/a.jpg", "TestEasyDataset/Unseen/GT/case1/a.png"),
        ),
        ("Seen/case2_3/a", "Unseen/case1/a"),
        "sun-seg",
    ),
    "sun-seg": Case(
        "SUN-SEG",
        (
            ("SUN-SEG/TrainDataset/Frame/case1_1/a.jpg", "SUN-SEG/TrainDataset/GT/case1_1/a.png"),
            ("SUN-SEG/TrainDataset/Frame/case1_2/a.jpg", "SUN-SEG/TrainDataset/GT/case1_2/a.png"),
            ("SUN-SEG/TrainDataset/Frame/case2/a.jpg", "SUN-SEG/TrainDataset/GT/case2/a.png"),
        ),
        ("case1_1/a", "case1_2/a", "case2/a"),
        "sun-seg",
    ),
    "split-inside": Case(
        "divided inside",
        (("images/train/1.png", "masks/train/1.png"), ("images/val/1.png", "masks/val/1.png")),
        ("train/1", "val/1"),
    ),
    "by-sequence": Case(
        "a folder a patient or video",
        (("images/p1/1.png", "masks/p1/1_mask.png"), ("images/p2/1.png", "masks/p2/1_mask.png")),
        ("p1/1", "p2/1"),
    ),
    "split-outside": Case(
        "divided outside",
        (
            ("train/images/1.png", "train/masks/1.png"),
            ("validation/images/1.png", "validation/masks/1.png"),
        ),
        ("train/1", "val/1"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_dataset_as_it_is_unpacked_is_read(draw: Drawer, name: str) -> None:
    case = CASES[name]
    for image, mask in case.pairs:
        draw.pair(draw.root / name / image, draw.root / name / mask)
    listing = layouts.list_frames(draw.root / name)
    assert case.layout in listing.layout
    assert [frame.frame for frame in listing.frames] == list(case.frames)
    assert {frame.dataset for frame in listing.frames} == {case.dataset}
    assert [(f.image, f.mask) for f in listing.frames] == [
        (draw.root / name / image, draw.root / name / mask) for image, mask in case.pairs
    ]
    assert (listing.faults, listing.oddities, listing.notes) == ([], [], [])


def test_what_the_folders_say_of_frames_is_kept(draw: Drawer) -> None:
    for case in ("case1_1", "case1_2", "case2"):
        draw.pair(draw.root / f"sun/Frame/{case}/a.jpg", draw.root / f"sun/GT/{case}/a.png")
    frames = layouts.list_frames(draw.root / "sun").frames
    assert [frame.sequence for frame in frames] == ["case1", "case1", "case2"]

    for part in ("Training", "val"):
        draw.pair(draw.root / f"own/images/{part}/a.png", draw.root / f"own/masks/{part}/a.png")
    frames = layouts.list_frames(draw.root / "own").frames
    assert [frame.split for frame in frames] == ["train", "val"]

    for patient in ("p1", "p2"):
        draw.pair(draw.root / f"by/images/{patient}/a.png", draw.root / f"by/GT/{patient}/a.png")
    frames = layouts.list_frames(draw.root / "by").frames
    assert [frame.sequence for frame in frames] == ["p1", "p2"]


def test_of_two_formats_one_is_read_and_the_other_named(draw: Drawer) -> None:
    for ending in ("png", "tif"):
        folder = draw.root / "cvc" / ending.upper()
        draw.pair(folder / f"Original/1.{ending}", folder / f"Ground Truth/1.{ending}")
    listing = layouts.list_frames(draw.root / "cvc")
    assert [frame.image.suffix for frame in listing.frames] == [".png"]
    (note,) = listing.notes
    assert "PNG/Original is read" in note
    assert "TIF/Original beside it is not" in note


def test_a_set_without_masks_is_named(draw: Drawer) -> None:
    for name in ("a", "b", "c"):
        draw.pair(draw.root / f"sets/{name}/images/1.png", draw.root / f"sets/{name}/masks/1.png")
    (draw.root / "sets/c/masks/1.png").unlink()
    (draw.root / "sets/c/masks").rmdir()
    listing = layouts.list_frames(draw.root / "sets")
    assert len(listing.frames) == 2
    assert [oddity.path for oddity in listing.oddities] == [str(draw.root / "sets/c/images")]


def test_a_second_folder_of_masks_is_named(draw: Drawer) -> None:
    draw.pair(draw.root / "own/imgs/1.png", draw.root / "own/GT/1.png")
    draw.mask(draw.root / "own/labels/1.png")
    listing = layouts.list_frames(draw.root / "own")
    assert [frame.mask for frame in listing.frames] == [draw.root / "own/GT/1.png"]
    assert [oddity.path for oddity in listing.oddities] == [str(draw.root / "own/labels")]


def test_folders_beside_masks_are_no_second_masks(draw: Drawer) -> None:
    root = draw.pairs("own")
    draw.mask(root / "labels/x1.png")
    listing = layouts.list_frames(root)
    assert {frame.mask.parent.name for frame in listing.frames if frame.mask} == {"masks"}
    assert listing.oddities == []


def test_frames_beside_a_sub_folder_of_a_splits_name_are_what_is_meant(draw: Drawer) -> None:
    root = draw.pairs("own")
    draw.pair(root / "images/train/y.jpg", root / "masks/train/y.jpg")
    assert [frame.name for frame in layouts.list_frames(root).frames] == ["x1", "x2"]


def test_masks_in_a_folder_for_each_class_are_one_fault(draw: Drawer) -> None:
    for name in ("a", "b", "c"):
        draw.frame(draw.root / f"own/images/{name}.png")
        for class_ in ("shaft", "tip"):
            draw.mask(draw.root / f"own/masks/{class_}/{name}.png")
    (fault,) = layouts.list_frames(draw.root / "own").faults
    assert fault.path == str(draw.root / "own/masks")
    assert "folders of masks: shaft, tip. If each is of a class, join them" in fault.message


def test_a_channel_of_its_own_is_refused(draw: Drawer) -> None:
    draw.pair(draw.root / "nn/imagesTr/a_0000.png", draw.root / "nn/labelsTr/a.png")
    draw.frame(draw.root / "nn/imagesTr/a_0001.png")
    (fault,) = layouts.list_frames(draw.root / "nn").faults
    assert fault.message == "expected a name that ends in _0000"


def test_many_datasets_are_not_all_listed(draw: Drawer) -> None:
    for number in range(10):
        draw.frame(draw.root / f"all/x/d{number}/EndoCV_DATA1/a.jpg")
    with pytest.raises(UserError, match="and 2 more"):
        layouts.list_frames(draw.root / "all")


def test_the_superpixels_of_isic_2017_are_no_frames(draw: Drawer) -> None:
    images = draw.root / "ISIC-2017_Training_Data"
    masks = draw.root / "ISIC-2017_Training_Part1_GroundTruth"
    draw.pair(images / "ISIC_0000001.jpg", masks / "ISIC_0000001_segmentation.png")
    draw.frame(images / "ISIC_0000001_superpixels.png")
    found = layouts.list_frames(draw.root)
    assert [frame.name for frame in found.frames] == ["ISIC_0000001"]
    assert found.faults == found.oddities == found.others == []
    used = [path for path in (found.frames[0].image, found.frames[0].mask) if path]
    assert find_other_files(draw.root, used)[0] == {"superpixels": 1}
