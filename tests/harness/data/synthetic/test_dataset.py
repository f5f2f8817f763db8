from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from harness.data import frames
from harness.data.layouts import list_frames, read_headers
from harness.data.splits import assign, load_splits
from harness.data.synthetic import dataset
from metrics.masks.read import read_mask
from metrics.utils.errors import UserError

FRAMES, HEIGHT = 80, 96


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dataset.Synthetic:
    return dataset.write_dataset(
        tmp_path_factory.mktemp("drawn"), frames=FRAMES, seed=3, height=HEIGHT
    )


@pytest.fixture(scope="module")
def labelled(drawn: dataset.Synthetic) -> pd.DataFrame:
    parts = [
        read_headers(list_frames(drawn.endocv)),
        read_headers(list_frames(drawn.hyperkvasir, kinds=["plain"], dataset="hyperkvasir")),
    ]
    return assign(pd.concat(parts, ignore_index=True), load_splits(None))


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.*"))
    }


def test_everything_follows_from_the_seed(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        dataset.write_dataset(tmp_path / name, frames=40, seed=seed, height=64)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    same = [name for name in set(first) & set(other) if first[name] == other[name]]
    assert all("mask" in name for name in same)


def test_a_full_disk_is_told_by_the_folder_that_was_given(
    tmp_path: Path, no_room: Callable[[int], AbstractContextManager[None]]
) -> None:
    with no_room(1000), pytest.raises(UserError, match=f"cannot write in {tmp_path}: File too"):
        dataset.write_dataset(tmp_path / "drawn", frames=40, height=64)
    assert not list(tmp_path.glob("*drawn*"))


def test_is_read_as_the_real_datasets_are(drawn: dataset.Synthetic, labelled: pd.DataFrame) -> None:
    tests = read_headers(list_frames(drawn.test_frames))
    assert len(labelled) + len(tests) == drawn.frames
    assert drawn.frames == pytest.approx(FRAMES, rel=0.2)
    assert set(labelled["centre"]) == {"", "C1", "C2", "C3", "C4", "C5"}
    assert set(tests["test_set"]) == {f"EndoCV_DATA{number}" for number in range(1, 5)}
    assert set(tests["truth"]) == {"withheld"}
    counts = labelled["split"].value_counts()
    assert counts["train"] > counts["val"] > 0
    assert counts["test"] > 0
    assert counts.sum() == len(labelled)


def test_every_test_frame_has_its_truth_apart(drawn: dataset.Synthetic) -> None:
    tests = read_headers(list_frames(drawn.test_frames))
    for row in tests.itertuples():
        mask = read_mask(drawn.truth / str(row.test_set) / f"{row.name}_mask.png")
        assert mask.shape == (row.height, row.width)
    assert len(list(drawn.truth.rglob("*.png"))) == len(tests)


def test_masks_are_jpegs_of_their_frames_sizes(labelled: pd.DataFrame) -> None:
    for row in labelled.itertuples():
        if not row.mask:
            continue
        assert Path(str(row.mask)).read_bytes()[:2] == b"\xff\xd8"
        assert read_mask(str(row.mask)).shape == (row.height, row.width)


def test_negative_sequences_have_no_masks_and_most_other_frames_a_polyp(
    labelled: pd.DataFrame,
) -> None:
    negative = labelled["sequence"].str.endswith("_neg")
    assert set(labelled[negative]["truth"]) == {"empty"}
    centres = labelled[labelled["centre"] != ""]
    with_polyp = [read_mask(path).any() for path in centres["mask"]]
    assert 0.7 < np.mean(with_polyp) <= 1
    segmented = labelled[labelled["dataset"] == "hyperkvasir"]
    assert all(read_mask(path).any() for path in segmented["mask"])


def test_polyps_are_of_many_sizes(labelled: pd.DataFrame) -> None:
    shares = [read_mask(path).mean() for path in labelled["mask"] if path]
    seen = [share for share in shares if share > 0]
    assert min(seen) < 0.02
    assert max(seen) > 0.12


def test_centres_look_different(labelled: pd.DataFrame) -> None:
    assert labelled.groupby("centre")["width"].nunique().loc["C1"] == 1
    assert labelled[labelled["centre"] != ""]["width"].nunique() >= 3
    corners = {
        centre: frames.read_image(rows["image"].iloc[0])[:6, :6].mean()
        for centre, rows in labelled[labelled["centre"] != ""].groupby("centre")
    }
    assert corners["C1"] < 20
    assert corners["C5"] > 40


def test_neighbours_in_a_sequence_are_alike_and_not_the_same(labelled: pd.DataFrame) -> None:
    sequence = labelled[labelled["sequence"] == "seq1"]["image"].tolist()
    other = labelled[labelled["sequence"] == "seq2"]["image"].tolist()
    first, second, foreign = (
        frames.resize_image(frames.read_image(path), 32).astype(float)
        for path in (sequence[0], sequence[1], other[0])
    )
    assert 0.5 < np.abs(first - second).mean() < np.abs(first - foreign).mean()


def test_colour_alone_does_not_find_the_polyps(labelled: pd.DataFrame) -> None:
    """The best linear rule on a pixel's colour, fitted on its own frames, does not do."""
    rows = labelled[labelled["mask"] != ""]
    pixels, truths = [], []
    for row in rows.itertuples():
        pixels.append(frames.resize_image(frames.read_image(str(row.image)), 48).reshape(-1, 3))
        truths.append(frames.resize_mask(read_mask(str(row.mask)), 48).reshape(-1))
    assert _best_linear_f1(np.concatenate(pixels) / 255, np.concatenate(truths) == 1) < 0.6


def _best_linear_f1(colours: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """F1 of Fisher's discriminant at its best threshold."""
    spread = sum(np.cov(colours[truth == side].T) for side in (False, True))
    direction = np.linalg.solve(spread, colours[truth].mean(0) - colours[~truth].mean(0))
    scores = colours @ direction
    found = [scores > level for level in np.quantile(scores, np.linspace(0.5, 0.99, 40))]
    return max(float(2 * (p & truth).sum() / (p.sum() + truth.sum())) for p in found)


@pytest.mark.parametrize(("count", "height"), [(10, 96), (100, 32)])
def test_too_little_is_refused(tmp_path: Path, count: int, height: int) -> None:
    with pytest.raises(UserError, match="at least"):
        dataset.write_dataset(tmp_path, frames=count, height=height)


def test_an_interrupted_dataset_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def write(path: Path, _pixels: object) -> None:
        written.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        if len(written) == 30:
            raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "_write", write)
    with pytest.raises(KeyboardInterrupt):
        dataset.write_dataset(tmp_path / "drawn", frames=40, height=64)
    assert list(tmp_path.iterdir()) == []


def test_only_a_new_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(UserError, match="exists and is not an empty folder"):
            dataset.write_dataset(taken, frames=40, height=64)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match="is the current folder"):
        dataset.write_dataset(Path(), frames=40, height=64)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write in"):
        dataset.write_dataset(tmp_path / "file" / "drawn", frames=40, height=64)
