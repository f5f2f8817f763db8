from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest

from metrics.utils.errors import FaultsError, UserError
from metrics.utils.files import remove_stale_partials
from submissions.reading.archive import Limits
from submissions.reading.validate import inspect_package
from submissions.writing.package import PackageWriter
from submissions.writing.publish import manifest_path


def write(path: Path, masks, order=None, **options) -> Path:
    frames = [(t, n, m) for t, names in masks.items() for n, m in names.items()]
    if order is not None:
        order.shuffle(frames)
    with PackageWriter(path, **options) as writer:
        for test_set, name, mask in frames:
            writer.add(test_set=test_set, name=name, mask=mask, latency_ms=len(name) + 0.25)
    return path


def test_every_mask_comes_back_by_the_organisers_reader(package, masks, tmp_path) -> None:
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tmp_path / "out")
        names = archive.namelist()
    assert names == sorted(names)
    for test_set, frames in masks.items():
        folder = tmp_path / "out" / "EndoCV2021" / "segmentation" / f"{test_set}_pred"
        assert {path.name for path in folder.glob("*.jpg")} == {f"{n}_mask.jpg" for n in frames}
        for name, mask in frames.items():
            read = cv2.imread(str(folder / f"{name}_mask.jpg"), cv2.IMREAD_GRAYSCALE)
            np.testing.assert_array_equal(read, mask * np.uint8(255))
        timing = (folder / f"timeElaspsed{test_set}.txt").read_text().splitlines()
        assert timing[0] == f"{min(frames)} -----> 10.000"
        assert timing[-1].startswith("average_t -----> ")
        assert len(timing) == len(frames) + 1


def test_a_package_of_the_writer_has_no_faults(package, sizes) -> None:
    assert inspect_package(package, sizes).faults() == []
    assert inspect_package(package).faults() == []


def test_the_same_input_gives_the_same_bytes_in_any_order(tmp_path, masks, sizes) -> None:
    first = write(tmp_path / "a" / "p.zip", masks, expected=sizes)
    second = write(tmp_path / "b" / "p.zip", masks, random.Random(3), expected=sizes)
    assert first.read_bytes() == second.read_bytes()
    assert manifest_path(first).read_bytes() == manifest_path(second).read_bytes()


def test_masks_may_come_from_several_threads(tmp_path, package, masks) -> None:
    frames = [(t, n) for t, names in masks.items() for n in names]
    latencies = {name: 10.0 + i for names in masks.values() for i, name in enumerate(names)}
    path = tmp_path / "threads.zip"
    with PackageWriter(path) as writer, ThreadPoolExecutor(4) as pool:

        def add(frame: tuple[str, str]) -> None:
            test_set, name = frame
            mask = masks[test_set][name]
            writer.add(test_set=test_set, name=name, mask=mask, latency_ms=latencies[name])

        list(pool.map(add, reversed(frames)))
        pool.shutdown()
    assert path.read_bytes() == package.read_bytes()


def test_the_manifest_describes_the_package(tmp_path, masks, sizes) -> None:
    settings = {"model": "unet", "size": 128}
    path = write(tmp_path / "p.zip", masks, expected=sizes, settings=settings)
    manifest = json.loads(manifest_path(path).read_text())
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert manifest["bytes"] == path.stat().st_size
    assert manifest["frames"] == 5
    assert manifest["latency_ms"] == 3.25
    assert manifest["test_sets"]["EndoCV_DATA1"]["with_polyp"] == 2
    assert manifest["settings"] == settings
    assert "cost" not in manifest


def test_a_tif_package_is_the_same_under_other_names(tmp_path, masks, sizes) -> None:
    path = write(tmp_path / "p.zip", masks, expected=sizes, file_format="tif")
    assert inspect_package(path, sizes).faults() == []
    with zipfile.ZipFile(path) as archive:
        assert "EndoCV2021/segmentation/EndoCV_DATA1_pred/a_0_mask.tif" in archive.namelist()


def test_a_jpeg_package_says_what_it_costs(tmp_path, masks, sizes) -> None:
    path = write(tmp_path / "p.zip", masks, expected=sizes, file_format="jpeg")
    cost = json.loads(manifest_path(path).read_text())["cost"]
    ppv = []
    with zipfile.ZipFile(path) as archive:
        for test_set, names in masks.items():
            for name, mask in names.items():
                member = f"EndoCV2021/segmentation/{test_set}_pred/{name}_mask.jpg"
                data = np.frombuffer(archive.read(member), np.uint8)
                read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) > 0
                ppv.append((mask & read).sum() / read.sum() if read.any() else 1.0)
    assert cost["ppv"] == pytest.approx(np.mean(ppv), abs=1e-12)
    assert cost["ppv"] < 1
    assert cost["ppv"] < cost["f1"] < 1


def test_what_jpeg_costs_is_said_once(tmp_path, masks) -> None:
    with PackageWriter(tmp_path / "p.zip", file_format="jpeg") as writer:
        for test_set, names in masks.items():
            for name, mask in names.items():
                writer.add(test_set=test_set, name=name, mask=mask, latency_ms=1.0)
        sealed = writer.seal()
        assert "cost" in sealed.manifest
        assert sealed.notes == ()
        assert "lossy JPEGs" in inspect_package(sealed.temporary).notes[0]


def test_missing_masks_are_named_at_once_and_nothing_is_left(tmp_path, masks, sizes) -> None:
    del masks["EndoCV_DATA1"]["a_1"]
    del masks["EndoCV_DATA2"]
    with pytest.raises(FaultsError) as caught:
        write(tmp_path / "p.zip", masks, expected=sizes)
    assert [fault.path for fault in caught.value.faults] == [
        "EndoCV_DATA1/a_1",
        "EndoCV_DATA2/b_0",
        "EndoCV_DATA2/b_1",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": np.zeros((41, 56), bool)}, "its frame's size"),
        ({"mask": np.zeros((40, 56), np.uint8)}, "boolean"),
        ({"name": "unheard_of"}, "not part of the round"),
        ({"test_set": "EndoCV_DATA9"}, "not part of the round"),
        ({"latency_ms": -1.0}, "milliseconds"),
    ],
)
def test_a_wrong_mask_is_refused_when_it_is_added(tmp_path, sizes, change, message) -> None:
    right = {"test_set": "EndoCV_DATA1", "name": "a_0", "latency_ms": 1.0}
    with (
        pytest.raises(UserError, match=message),
        PackageWriter(tmp_path / "p.zip", expected=sizes) as writer,
    ):
        writer.add(**{**right, "mask": np.zeros((40, 56), bool), **change})
    assert list(tmp_path.iterdir()) == []


def test_a_mask_is_not_taken_twice(tmp_path) -> None:
    frame = {"test_set": "EndoCV_DATA1", "name": "a", "mask": np.ones((4, 4), bool)}
    with PackageWriter(tmp_path / "p.zip") as writer:
        writer.add(**frame, latency_ms=1.0)
        with pytest.raises(UserError, match="added before"):
            writer.add(**frame, latency_ms=1.0)


def test_the_size_may_be_given_with_the_mask(tmp_path) -> None:
    frame = {"test_set": "EndoCV_DATA1", "name": "a", "mask": np.ones((4, 5), bool)}
    with PackageWriter(tmp_path / "p.zip") as writer:
        with pytest.raises(UserError, match=r"\(5, 4\)"):
            writer.add(**frame, latency_ms=1.0, size=(5, 4))
        writer.add(**frame, latency_ms=1.0, size=(4, 5))


@pytest.mark.parametrize("name", ["a", "e\u0301"])
def test_own_masks_are_read_beyond_the_limit_for_masks_of_unknown_size(
    tmp_path, monkeypatch, name
) -> None:
    monkeypatch.setattr("submissions.reading.validate.Limits", partial(Limits, work=10))
    path = tmp_path / "p.zip"
    with PackageWriter(path) as writer:
        mask = np.ones((4, 5), bool)
        writer.add(test_set="EndoCV_DATA1", name=name, mask=mask, latency_ms=1.0)
    assert "give the frames too" in inspect_package(path).findings[0].message


def test_an_empty_package_is_refused(tmp_path) -> None:
    with pytest.raises(FaultsError, match="no mask was added"), PackageWriter(tmp_path / "p.zip"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_taken_name_is_refused(package) -> None:
    before = package.read_bytes()
    with pytest.raises(UserError, match="already there"):
        PackageWriter(package)
    assert package.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_a_clear_fault(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write in"):
        PackageWriter(tmp_path / "file" / "p.zip")


class Full(BytesIO):
    def write(self, _data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_names_the_packages_folder(tmp_path) -> None:
    with PackageWriter(tmp_path / "ws" / "p.zip") as writer:
        spool, writer._spool = writer._spool, Full()
        mask = np.eye(9, dtype=bool)
        with pytest.raises(UserError, match=f"cannot write in {tmp_path / 'ws'}"):
            writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=1)
        writer._spool = spool
        writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=1)


def test_a_full_disk_is_still_named_when_the_rest_cannot_be_written_either(tmp_path) -> None:
    class FullFile(Full):
        def close(self) -> None:
            if not self.closed:
                super().close()
                self.write(b"what is left")

    writer = PackageWriter(tmp_path / "p.zip")
    mask = np.eye(9, dtype=bool)
    writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=1)
    writer._file.close()
    writer._file = FullFile()
    with pytest.raises(UserError, match=f"cannot write in {tmp_path}"), writer:
        writer.seal()
    assert list(tmp_path.iterdir()) == []


def test_sealing_gives_no_final_name_until_it_is_published(tmp_path, masks, sizes) -> None:
    path = tmp_path / "p.zip"
    with PackageWriter(path, expected=sizes) as writer:
        for test_set, names in masks.items():
            for name, mask in names.items():
                writer.add(test_set=test_set, name=name, mask=mask, latency_ms=1.0)
        sealed = writer.seal()
        assert writer.seal() is sealed
        assert sealed.temporary.exists()
        assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_memory_stays_flat_however_many_masks_come(tmp_path, run_python) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from submissions.writing.package import PackageWriter
rng = np.random.default_rng(0)
# VmHWM starts anew with the program; ru_maxrss would carry over the peak of the parent.
def peak(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
mask = rng.random((400, 500)) > 0.5
with PackageWriter(Path(sys.argv[1]), file_format="jpeg") as writer:
    for number in range(400):
        writer.add(test_set="EndoCV_DATA1", name=f"f{number}", mask=mask, latency_ms=1.0)
        if number == 40:
            early = peak()
    late = peak()
    print((late - early) // 1024, writer._spool.seek(0, 2) >> 20)
    raise SystemExit
"""
    process = run_python(code, tmp_path / "p.zip")
    output, errors = process.communicate(timeout=120)
    grown_mib, written_mib = map(int, output.split())
    assert written_mib > 50, errors
    assert grown_mib < written_mib * 0.8


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from submissions.writing.package import PackageWriter
with PackageWriter(Path(sys.argv[1])) as writer:
    for number in range(3):
        writer.add(
            test_set="EndoCV_DATA1", name=f"f{number}", mask=np.ones((9, 9), bool), latency_ms=1.0
        )
    writer.seal()
    print("sealed", flush=True)
    sys.stdin.read()
"""


def test_a_killed_writer_leaves_a_partial_file_that_the_next_one_clears(
    tmp_path, run_python
) -> None:
    process = run_python(KILLED, tmp_path / "p.zip")
    assert process.stdout is not None
    assert process.stdout.readline() == "sealed\n"
    (partial,) = tmp_path.iterdir()
    old = time.time() - 3600
    os.utime(partial, (old, old))
    assert remove_stale_partials(tmp_path) == []  # its writer lives
    process.kill()
    process.communicate(timeout=60)
    assert remove_stale_partials(tmp_path) == [partial]
    assert list(tmp_path.iterdir()) == []
