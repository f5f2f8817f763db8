from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config.settings import Settings
from harness.config.sources import Pair
from harness.data import catalogue, roles
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def faults(settings: Settings) -> str:
    found = catalogue.listings_of_settings(settings)[1]
    return "\n".join(map(str, found))


def test_every_folder_gives_its_frames_their_split(draw: Drawer) -> None:
    for name in ("a", "b"):
        draw.pairs(f"TestDataset/{name}")
    settings = Settings(
        train=draw.pairs("A"),
        val=draw.pairs("B"),
        test={"own": draw.pairs("C"), "pranet": draw.root / "TestDataset"},
    )
    frames = catalogue.catalogue(settings)
    assert frames["frame"].tolist() == [
        "train/x1", "train/x2", "val/x1", "val/x2", "own/x1", "own/x2",
        "pranet/a/x1", "pranet/a/x2", "pranet/b/x1", "pranet/b/x2",
    ]  # fmt: skip
    assert frames["split"].tolist() == ["train"] * 2 + ["val"] * 2 + ["test"] * 6
    assert frames["test_set"].tolist() == [""] * 4 + ["own"] * 2 + ["a"] * 2 + ["b"] * 2
    assert not catalogue.is_paper_split(settings, "val")


def test_test_sets_join_the_papers_frames(draw: Drawer) -> None:
    settings = Settings(endocv=draw.endocv(), test={"own": draw.pairs("C")})
    frames = catalogue.catalogue(settings)
    assert frames.groupby("split").size().to_dict() == {"": 1, "test": 2, "train": 5, "val": 4}
    assert catalogue.is_paper_split(settings, "val")
    assert not catalogue.is_paper_split(settings, "test")


def test_hyperkvasir_is_tested_on_beside_own_training_frames(draw: Drawer) -> None:
    settings = Settings(train=draw.pairs("A"), val=draw.pairs("B"), hyperkvasir=draw.hyperkvasir())
    frames = catalogue.catalogue(settings)
    assert frames["frame"][frames["split"] == "test"].tolist() == [
        "hyperkvasir/k1", "hyperkvasir/k2",
    ]  # fmt: skip


def test_a_file_of_splits_divides_one_folder(draw: Drawer) -> None:
    path = draw.root / "splits.toml"
    path.write_text('[train]\nframes = ["plain/x1"]\n[val]\nframes = ["plain/x2"]\n')
    settings = Settings(train=draw.pairs("A"), splits=path, test={"own": draw.pairs("C")})
    frames = catalogue.catalogue(settings)
    assert frames["split"].tolist() == ["train", "val", "test", "test"]


def test_a_folder_that_is_divided_itself_serves_every_role(draw: Drawer) -> None:
    for part in ("train", "val", "test"):
        draw.pairs(f"D/{part}")
    frames = catalogue.catalogue(Settings(train=draw.root / "D"))
    assert dict(zip(frames["frame"], frames["split"], strict=True)) == {
        f"{part}/{name}": part for part in ("test", "train", "val") for name in ("x1", "x2")
    }

    settings = Settings(train=draw.pairs("A"), val=draw.root / "D")
    listings, found = catalogue.listings_of_settings(settings)
    assert not found
    assert [frame.frame for frame in listings["--val"].frames] == ["val/x1", "val/x2"]
    assert "not: test (2), train (2)" in listings["--val"].notes[0]


def test_a_part_that_is_not_there_is_said(draw: Drawer) -> None:
    for part in ("train", "test"):
        draw.pairs(f"D/{part}")
    settings = Settings(train=draw.pairs("A"), val=draw.root / "D")
    assert "is divided into test, train; none of them is val" in faults(settings)


def test_one_folder_needs_something_that_divides_it(draw: Drawer) -> None:
    said = faults(Settings(train=draw.pairs("A")))
    assert "nothing says what to validate on" in said
    assert "--splits FILE" in said


def test_contradictions_and_wrong_folders_are_named_together(draw: Drawer) -> None:
    for name in ("a", "b"):
        draw.pairs(f"TestDataset/{name}")
    settings = Settings(
        train=draw.root / "TestDataset",
        val=draw.root / "nowhere",
        test={"withheld": draw.test_frames()},
        endocv=draw.endocv(),
        splits=draw.root / "s.toml",
    )
    said = faults(settings)
    for part in (
        "--train and --endocv both", "--val and --splits both", "several datasets in",
        "nowhere does not exist", "has no masks; frames without are for --test-frames",
    ):  # fmt: skip
        assert part in said
    assert "--val needs --train" in faults(Settings(val=draw.pairs("B")))


def test_test_sets_of_one_name_are_told_apart_by_their_folders(draw: Drawer) -> None:
    for top, names in {"one": "ab", "two": "ac"}.items():
        for name in names:
            draw.pairs(f"{top}/{name}")
    sets = {top: draw.root / top for top in ("one", "two")}
    settings = Settings(train=draw.pairs("A"), val=draw.pairs("B"), test=sets)
    test = catalogue.of_split(catalogue.catalogue(settings), "test")
    assert list(test["test_set"].unique()) == ["one a", "b", "two a", "c"]
    beside = Settings(hyperkvasir=draw.hyperkvasir(), test={"hyperkvasir": draw.hyperkvasir()})
    assert "is called hyperkvasir/k1" not in faults(beside)  # the same files, checked as duplicates


def test_two_folders_with_a_name_of_their_masks(draw: Drawer) -> None:
    draw.pair(draw.root / "frames/a.png", draw.root / "truth/a-seg.png")
    pair = Pair(images=draw.root / "frames", masks=draw.root / "truth", mask_name="{stem}-seg")
    assert [frame.frame for frame in roles.list_source(pair).frames] == ["plain/a"]
    usual = Pair(images=pair.images, masks=pair.masks)
    assert "its mask is missing" in roles.list_source(usual).faults[0].message
    with pytest.raises(UserError, match="holds the frames, too"):
        roles.list_source(Pair(images=pair.images, masks=draw.root / "truth/../frames"))


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_a_missing_folder_of_a_pair_is_named(tmp_path: Path, missing: str) -> None:
    for name in {"images", "masks"} - {missing}:
        (tmp_path / name).mkdir()
    pair = Pair(images=tmp_path / "images", masks=tmp_path / "masks")
    assert f"{tmp_path / missing} is no folder" in faults(Settings(train=pair, val=pair))


@pytest.mark.parametrize(("images", "masks"), [("A", "A/masks"), ("A/images", "A")])
def test_two_folders_may_lie_in_each_other(draw: Drawer, images: str, masks: str) -> None:
    draw.frame(draw.root / images / "x.png")
    draw.mask(draw.root / masks / "x.png")
    listing = roles.list_source(Pair(images=draw.root / images, masks=draw.root / masks))
    assert [frame.mask for frame in listing.frames] == [draw.root / masks / "x.png"]
    assert listing.remark == ""
