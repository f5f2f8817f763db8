"""A small round drawn for the tests, and packages made from it, sound and broken."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

import submissions
from submissions.timing import format_timing
from submissions.writing.encoding import encode_mask
from submissions.writing.package import PackageWriter

Masks = dict[str, dict[str, np.ndarray]]
Entries = dict[str, bytes]

SIZES = {
    "EndoCV_DATA1": {"a_0": (40, 56), "a_1": (40, 56), "a_2": (33, 47)},
    "EndoCV_DATA2": {"b_0": (64, 30), "b_1": (64, 30)},
}


@pytest.fixture
def sizes() -> dict[str, dict[str, tuple[int, int]]]:
    return {test_set: dict(names) for test_set, names in SIZES.items()}


@pytest.fixture
def masks() -> Masks:
    """One disc a frame, at a place of its own; a_2 has no polyp."""
    drawn: Masks = {}
    for test_set, names in SIZES.items():
        drawn[test_set] = {}
        for number, (name, (height, width)) in enumerate(names.items()):
            rows, columns = np.ogrid[:height, :width]
            centre = (10 + 3 * number, 12 + 2 * number)
            disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= (6 + number) ** 2
            drawn[test_set][name] = disc & (name != "a_2")
    return drawn


@pytest.fixture
def truth_folder(tmp_path: Path, masks: Masks) -> Path:
    """The truth: each prediction, moved four pixels to the right; a_2 has a polyp after all."""
    folder = tmp_path / "truth"
    for test_set, names in masks.items():
        (folder / test_set).mkdir(parents=True)
        for name, mask in names.items():
            truth = np.roll(mask, 4, axis=1)
            if name == "a_2":
                truth[5:9, 5:9] = True
            cv2.imwrite(str(folder / test_set / f"{name}_mask.png"), truth * np.uint8(255))
    return folder


@pytest.fixture
def package(tmp_path: Path, masks: Masks, sizes: Mapping[str, Mapping[str, tuple[int, int]]]):
    """A sound package, from the writer."""
    path = tmp_path / "sound" / "package.zip"
    with PackageWriter(path, expected=sizes) as writer:
        for test_set, names in masks.items():
            for number, (name, mask) in enumerate(names.items()):
                writer.add(test_set=test_set, name=name, mask=mask, latency_ms=10.0 + number)
    return path


@pytest.fixture
def entries(masks: Masks) -> Entries:
    """What a sound package holds, to be broken and zipped by hand."""
    files: Entries = {}
    for test_set, names in masks.items():
        folder = f"EndoCV2021/segmentation/{test_set}_pred"
        for name, mask in names.items():
            files[f"{folder}/{name}_mask.jpg"] = encode_mask(mask, "tif").data
        timing = format_timing(dict.fromkeys(names, 12.5))
        files[f"{folder}/timeElaspsed{test_set}.txt"] = timing.encode()
    return files


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[[Mapping[str, bytes]], Path]:
    """Zips entries; their names go in as they are."""

    def make(files: Mapping[str, bytes], name: str = "broken.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry, data in files.items():
                archive.writestr(entry, data)
        return path

    return make


@pytest.fixture
def run_python() -> Callable[..., subprocess.Popen[str]]:
    """Starts Python on a piece of code, with the project importable and one thread a process."""
    root = str(Path(submissions.__file__).parents[1])

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        )

    return start
