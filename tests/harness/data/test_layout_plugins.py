"""A dataset that a plug-in knows is found, checked and used like the built-in ones."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from harness.config.settings import Settings
from harness.data import layouts
from harness.data.catalogue import catalogue, listings_of
from harness.data.layouts import DatasetLayout
from harness.data.listing import Listing, folders_in
from metrics.utils.errors import UserError
from tests.harness.conftest import Drawer


class Entry:
    value = "package:layout"

    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self) -> object:
        return self.loaded


def fill(listing: Listing, dataset: str) -> None:
    """Each case is a sequence: ``case3/`` with its masks in ``case3_GT/``."""
    for folder in folders_in(listing.root, r"case\d+"):
        masks = folder.with_name(f"{folder.name}_GT")
        listing.add_pairs(folder, masks, dataset=dataset, sequence=folder.name)


CASES = DatasetLayout(
    name="cases with ground truth",
    expects="case1/ with case1_GT/",
    kind="cases",
    matches=lambda root: bool(folders_in(root, r"case\d+_GT")),
    fill=fill,
)


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Entry]]:
    found: list[Entry] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: found)
    layouts.known_layouts.cache_clear()
    yield found
    layouts.known_layouts.cache_clear()


@pytest.fixture
def cases(draw: Drawer) -> Path:
    for case, name in (("case1", "a"), ("case1", "b"), ("case2", "c")):
        draw.pair(draw.root / f"cases/{case}/{name}.png", draw.root / f"cases/{case}_GT/{name}.png")
    return draw.root / "cases"


def test_its_frames_are_listed(entries: list[Entry], cases: Path) -> None:
    with pytest.raises(UserError, match="laid out as no dataset known"):
        layouts.read_headers(layouts.list_frames(cases))
    layouts.known_layouts.cache_clear()
    entries.append(Entry(CASES))
    frames = layouts.read_headers(layouts.list_frames(cases))

    assert frames["frame"].tolist() == ["case1/a", "case1/b", "case2/c"]
    assert set(frames["dataset"]) == {"cases"}
    assert frames["sequence"].tolist() == ["case1", "case1", "case2"]


def test_it_may_take_the_place_of_the_test_set(entries: list[Entry], cases: Path) -> None:
    entries.append(Entry(CASES))
    frames = catalogue(Settings(hyperkvasir=cases), needs=["test"])
    assert frames["split"].tolist() == ["test"] * 3
    found, faults = listings_of({"hyperkvasir": cases})
    assert not faults
    assert found["hyperkvasir"].layout == "cases with ground truth"


@pytest.mark.parametrize("setting", ["endocv", "hyperkvasir"])
def test_one_without_truth_does_not(entries: list[Entry], cases: Path, setting: str) -> None:
    def fill_without(listing: Listing, dataset: str) -> None:
        listing.add_single(listing.root / "case1", dataset=dataset, truth="withheld")

    entries.append(Entry(CASES._replace(fill=fill_without)))
    found, faults = listings_of({setting: cases})
    assert not found
    assert "has no masks; frames without are for --test-frames" in str(faults[0])


def test_a_frame_without_its_mask_is_a_fault_there_too(entries: list[Entry], cases: Path) -> None:
    entries.append(Entry(CASES))
    (cases / "case2_GT/c.png").unlink()
    with pytest.raises(UserError, match="its mask is missing"):
        layouts.read_headers(layouts.list_frames(cases))


def test_a_taken_kind_is_named_and_left_out(entries: list[Entry]) -> None:
    entries.append(Entry(CASES._replace(kind="plain")))
    with pytest.warns(UserWarning, match="'plain' is taken"):
        assert layouts.known_layouts() == layouts.BUILT_IN


def test_cvc_clinicdb_may_stand_in_for_hyperkvasir(draw: Drawer) -> None:
    draw.pair(draw.root / "cvc/Original/1.png", draw.root / "cvc/Ground Truth/1.png")
    frames = catalogue(Settings(hyperkvasir=draw.root / "cvc"), needs=["test"])
    assert frames["split"].tolist() == ["test"]
