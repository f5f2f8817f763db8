from __future__ import annotations

import os
import pickle
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.data import cache, fingerprint, frames
from harness.data.cache import FrameCache
from harness.data.fingerprint import data_fingerprint, rows_of
from harness.data.layouts import list_frames, read_headers
from metrics.masks.read import read_mask
from metrics.utils.errors import FaultsError, UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer

SIZE = 32


@pytest.fixture
def found(draw: Drawer) -> pd.DataFrame:
    """Ten frames, three of them without a mask file."""
    return read_headers(list_frames(draw.endocv()))


def test_holds_what_the_files_hold(found: pd.DataFrame, tmp_path: Path) -> None:
    cache = FrameCache.build(found, SIZE, tmp_path / "cache")
    assert cache.frames == tuple(found["frame"])
    assert (len(cache), cache.size) == (len(found), SIZE)
    assert (cache.images.shape, cache.images.dtype) == ((10, SIZE, SIZE, 3), np.uint8)
    assert (cache.masks.shape, cache.masks.dtype) == ((10, SIZE, SIZE), np.uint8)
    for row in found.itertuples():
        image = frames.resize_image(frames.read_image(str(row.image)), SIZE)
        np.testing.assert_array_equal(cache.images[row.Index], image)
        mask = cache.masks[row.Index]
        if row.mask:
            expected = frames.resize_mask(read_mask(str(row.mask)), SIZE)
            np.testing.assert_array_equal(mask, expected)
            assert mask.any()
        else:
            assert not mask.any()
    assert cache.contents == data_fingerprint(found)


def test_inverted_masks_are_warned_of_each_time(
    found: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FrameCache.build(found, SIZE, tmp_path)
    frames.check_truth(rows_of(found))
    assert "perhaps inverted" not in capsys.readouterr().err
    file = found["mask"][found["mask"] != ""].iloc[0]
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)

    for read in (lambda: frames.check_truth(rows_of(found)),
                 lambda: FrameCache.build(found, SIZE, tmp_path),
                 lambda: FrameCache.build(found, SIZE, tmp_path)):  # fmt: skip
        read()
        said = capsys.readouterr().err
        assert "Polyp along nearly all of the border, so perhaps inverted" in said
        assert Path(file).name in said.replace("\n", "")


def test_is_read_only(found: pd.DataFrame, tmp_path: Path) -> None:
    cache = FrameCache.build(found, SIZE, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        cache.images[0] = 0


def test_is_decoded_once(found: pd.DataFrame, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    first = FrameCache.build(
        found, SIZE, tmp_path, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 10) for done in range(1, 11)]
    again = FrameCache.build(found, SIZE, tmp_path, progress=lambda *_: pytest.fail("decoded"))
    assert again.folder == first.folder
    np.testing.assert_array_equal(again.images, first.images)


def test_one_core_gives_the_same_as_many(
    found: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "cores", lambda: 1)
    one = FrameCache.build(found, SIZE, tmp_path / "one")
    monkeypatch.setattr(cache, "cores", lambda: 5)
    many = FrameCache.build(found, SIZE, tmp_path / "many")
    np.testing.assert_array_equal(one.images, many.images)
    np.testing.assert_array_equal(one.masks, many.masks)


def test_size_and_frames_are_in_the_key(found: pd.DataFrame, tmp_path: Path) -> None:
    def folder(catalogue: pd.DataFrame, size: int = SIZE) -> Path:
        return FrameCache.build(catalogue, size, tmp_path).folder

    first = folder(found)
    others = {folder(found, 64), folder(found.iloc[1:])}
    others.add(folder(found.iloc[::-1]))
    assert len(others | {first}) == 4


def test_neither_place_nor_times_of_files_are_in_the_key(
    found: pd.DataFrame, draw: Drawer, tmp_path: Path
) -> None:
    first = FrameCache.build(found, SIZE, tmp_path / "cache")
    moved = read_headers(list_frames(shutil.copytree(draw.root, tmp_path / "moved")))
    os.utime(moved["image"][0], ns=(0, 0))
    again = FrameCache.build(
        moved, SIZE, tmp_path / "cache", progress=lambda *_: pytest.fail("decoded")
    )
    assert again.folder == first.folder


@pytest.mark.parametrize("column", ["image", "mask"])
def test_a_file_corrected_in_place_is_decoded_anew(
    found: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """Size, inode and time of modification stay; only the content and the ctime differ."""
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", 0)
    path = Path(found[column][0])
    pixels = np.zeros((*read_mask(found["mask"][0]).shape, 3), np.uint8)
    Image.fromarray(pixels).save(path, format="BMP")
    stat = path.stat()
    before = FrameCache.build(found, SIZE, tmp_path / "cache")
    pixels[: len(pixels) // 2] = 255
    Image.fromarray(pixels).save(path, format="BMP")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_ino) == (stat.st_size, stat.st_ino)
    after = FrameCache.build(found, SIZE, tmp_path / "cache")
    assert after.folder != before.folder
    assert after.contents == data_fingerprint(found) != before.contents


def test_a_frame_that_changed_is_decoded_anew(found: pd.DataFrame, tmp_path: Path) -> None:
    before = FrameCache.build(found, SIZE, tmp_path)
    Path(found["image"][0]).write_bytes(Path(found["image"][1]).read_bytes())
    after = FrameCache.build(found, SIZE, tmp_path)
    assert not np.array_equal(before.images[0], after.images[0])
    assert before.contents != after.contents


def test_a_worker_process_gets_the_folder_not_the_pixels(
    found: pd.DataFrame, tmp_path: Path
) -> None:
    cache = FrameCache.build(found, SIZE, tmp_path)
    sent = pickle.dumps(cache)
    assert len(sent) < 1000
    np.testing.assert_array_equal(pickle.loads(sent).images, cache.images)


def test_all_faults_are_told_at_once_and_nothing_is_left(
    found: pd.DataFrame, draw: Drawer, tmp_path: Path
) -> None:
    image, mask, small = (Path(found[column][row]) for column, row in
                          (("image", 0), ("mask", 1), ("mask", 3)))  # fmt: skip
    image.write_bytes(image.read_bytes()[:200])
    mask.unlink()
    draw.mask(small, (20, 20))
    folder = tmp_path / "cache"
    with pytest.raises(FaultsError) as caught:
        FrameCache.build(found, SIZE, folder)
    assert len(caught.value.faults) == 3
    for path in (image, mask, small):
        assert str(path) in caught.value.message
    assert not list(folder.iterdir())


def test_a_build_that_is_broken_off_leaves_nothing(found: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "cache"

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FrameCache.build(found, SIZE, folder, progress=interrupt)
    assert not list(folder.iterdir())
    assert len(FrameCache.build(found, SIZE, folder)) == 10


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_is_reported(found: pd.DataFrame, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    with no_file_above(9000), pytest.raises(UserError, match="cannot write the frame cache"):
        FrameCache.build(found, SIZE, folder)
    assert not list(folder.iterdir())


def test_a_folder_that_cannot_be_made_is_reported(found: pd.DataFrame, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(UserError, match="cannot write the frame cache"):
        FrameCache.build(found, SIZE, blocked / "cache")


@pytest.mark.parametrize("name", ["images.u8", "masks.u8", "index.json"])
def test_a_damaged_cache_is_built_anew(found: pd.DataFrame, tmp_path: Path, name: str) -> None:
    cache = FrameCache.build(found, SIZE, tmp_path)
    pixels = cache.images.copy()
    damaged = cache.folder / name
    damaged.write_bytes(damaged.read_bytes()[:10])
    np.testing.assert_array_equal(FrameCache.build(found, SIZE, tmp_path).images, pixels)


@pytest.mark.parametrize("broken", [False, True])
def test_builds_at_once_do_not_disturb_each_other(
    found: pd.DataFrame, tmp_path: Path, broken: bool
) -> None:
    if broken:
        (FrameCache.build(found, SIZE, tmp_path).folder / "index.json").write_text("{")
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: FrameCache.build(found, SIZE, tmp_path), range(4)))
    for one in caches:
        np.testing.assert_array_equal(one.images, caches[0].images)
        hidden = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
        assert hidden == [".lock"]


def test_withheld_truth_is_refused(draw: Drawer, tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match="withheld"):
        FrameCache.build(read_headers(list_frames(draw.test_frames())), SIZE, tmp_path)


def test_no_frames_are_refused(found: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frames"):
        FrameCache.build(found.iloc[:0], SIZE, tmp_path)


def test_opening_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="harness data cache"):
        FrameCache.open(tmp_path / "none")
