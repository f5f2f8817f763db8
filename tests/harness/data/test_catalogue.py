from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.config.settings import Settings
from harness.data import catalogue
from metrics.utils.errors import Fault, FaultsError, UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def evaluation_settings(draw: Drawer) -> Settings:
    return Settings(
        endocv=draw.endocv(), hyperkvasir=draw.hyperkvasir(), test_frames=draw.test_frames()
    )


def test_both_datasets_with_the_papers_splits(draw: Drawer) -> None:
    found = catalogue.catalogue(evaluation_settings(draw))
    assert found.groupby("split").size().to_dict() == {"": 1, "test": 2, "train": 5, "val": 4}
    assert found["frame"].is_unique
    assert found.index.tolist() == list(range(12))


def test_test_frames_may_be_those_of_a_test_set(draw: Drawer) -> None:
    for name in ("A", "B"):
        draw.pairs(f"sets/{name}")
    rounds = draw.root / "rounds.toml"
    rounds.write_text('[rounds.own]\ndaily_limit = 1\ntest_sets = ["A", "B"]\n')
    folder = draw.root / "sets"
    settings = Settings(
        endocv=draw.endocv(), test={"own": folder / "A"}, test_frames=folder, rounds=rounds
    )
    listings, faults = catalogue.listings_of_settings(settings)
    assert faults == []
    assert [frame.test_set for frame in listings["test_frames"].frames] == ["B", "B"]
    assert listings["test_frames"].notes == ["2 test frames are set with masks, too."]


def test_test_sets_of_rounds_are_in_natural_order(draw: Drawer) -> None:
    rounds = draw.root / "rounds.toml"
    rounds.write_text('[rounds.own]\ndaily_limit = 1\nprefix = "site"\n')
    for name in ("site10", "site2"):
        draw.frame(draw.root / f"sets/{name}/a.png")
    listing = catalogue._of_rounds(draw.root / "sets", rounds)
    assert listing is not None
    assert [frame.test_set for frame in listing.frames] == ["site2", "site10"]


def test_splits_of_the_settings_replace_the_papers(draw: Drawer, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[test]\ncentres = ["C6"]\n')
    found = catalogue.catalogue(Settings(endocv=draw.endocv(), splits=path), needs=("train",))
    assert found["frame"][found["split"] == "test"].tolist() == ["C6/C6_1"]


def test_a_plain_folder_given_as_hyperkvasir_is_the_test_split(draw: Drawer) -> None:
    settings = Settings(hyperkvasir=draw.pairs("renamed"))
    found = catalogue.catalogue(settings, needs=("test",))
    assert set(found["dataset"]) == {"hyperkvasir"}
    assert set(found["split"]) == {"test"}


@pytest.mark.parametrize("needs", [("train", "test"), ()])
def test_missing_settings_are_named(needs: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="--endocv"):
        catalogue.catalogue(Settings(), needs=needs)


def test_a_dataset_under_the_wrong_setting_is_refused(draw: Drawer) -> None:
    with pytest.raises(UserError, match="expected images and masks"):
        catalogue.catalogue(Settings(hyperkvasir=draw.endocv()), needs=("test",))


def test_the_frames_of_a_split_are_numbered_anew(draw: Drawer) -> None:
    val = catalogue.of_split(catalogue.catalogue(evaluation_settings(draw)), "val")
    assert val["frame"].tolist() == ["seq2/seq2_1", "seq2/seq2_2", "seq10/seq10_1", "seq6_neg/b1"]
    assert val.index.tolist() == [0, 1, 2, 3]


def test_an_empty_split_says_what_there_is(draw: Drawer) -> None:
    found = catalogue.catalogue(Settings(endocv=draw.endocv()), needs=("train",))
    with pytest.raises(UserError, match="train 5, val 4, test 0"):
        catalogue.of_split(found, "test")


def test_files_that_cannot_be_read_or_decoded_are_named_at_once(draw: Drawer) -> None:
    endocv, hyperkvasir = draw.endocv(), draw.hyperkvasir()
    headless = endocv / "data_C1/images_C1/C1_2.jpg"
    cut = hyperkvasir / "segmented-images/masks/k1.jpg"
    other_size = draw.mask(endocv / "data_C1/masks_C1/C1_10_mask.jpg", (9, 9))
    dead = endocv / "sequenceData/positive/seq9"
    dead.symlink_to("nowhere")
    headless.write_bytes(b"no image")
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(FaultsError) as found:
        catalogue.catalogue(Settings(endocv=endocv, hyperkvasir=hyperkvasir))
    for path in (headless, cut, other_size, dead):
        assert sum(str(path) in str(fault) for fault in found.value.faults) == 1
    assert len(found.value.faults) == 4


def test_what_is_passed_over_is_counted_and_named(
    draw: Drawer, caplog: pytest.LogCaptureFixture
) -> None:
    root = draw.pairs("own")
    (root / "images/deeper").mkdir()
    draw.mask(root / "masks/lone.png")
    for name in ("x3.webp", "x4.gif", "Thumbs.db", ".hidden", "boxes.csv"):
        (root / "images" / name).write_bytes(b"")
    catalogue.catalogue(Settings(hyperkvasir=root), needs=["test"])
    assert (
        f"4 passed over in {root}: images/deeper, images/x3.webp, images/x4.gif, masks/lone.png"
    ) in caplog.text


def test_frames_that_a_file_of_splits_leaves_out_are_counted(
    draw: Drawer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[train]\nframes = ["plain/a*"]\n[val]\nframes = ["plain/b"]\n')
    settings = Settings(train=draw.pairs("own", ("a1", "a2", "b", "new")), splits=path)
    catalogue.catalogue(settings, needs=["train"])
    assert "In no split of 'mine', and so not used: plain (1)." in caplog.text


def test_files_in_two_splits_are_warned_of(draw: Drawer, caplog: pytest.LogCaptureFixture) -> None:
    train, val = draw.pairs("own", ("a", "b")), draw.pairs("val", ("c",))
    linked = draw.pairs("linked", ("d",)) / "images/a.png"
    linked.symlink_to(next((train / "images").glob("a.*")))
    (draw.root / "linked/masks/a.png").symlink_to(next((train / "masks").glob("a*")))
    catalogue.catalogue(Settings(train=train, val=val, test={"t": draw.root / "linked"}))
    assert f"In two splits, which makes figures too good: {linked}." in caplog.text


def test_what_was_unreadable_only_at_first_is_named_all_the_same(
    draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_listing: object) -> None:
        raise FaultsError([Fault(path="a.jpg", message="too many open files")])

    settings = evaluation_settings(draw)
    monkeypatch.setattr("harness.data.catalogue.read_headers", unreadable)
    with pytest.raises(FaultsError, match=r"a\.jpg: too many open files"):
        catalogue.catalogue(settings)
