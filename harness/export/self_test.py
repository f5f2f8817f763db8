"""Drawn masks on which a bundle is tried, with the figures that they must give."""

from __future__ import annotations

import json
import shutil
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from metrics.masks.class_indices import write_mask
from metrics.masks.classes import Classes
from metrics.masks.read import Mask, Protocol
from metrics.utils.files import write_json
from submissions.layout import FRAME
from submissions.platforms.evaluation import figures
from submissions.platforms.jobs import PREDICTIONS
from submissions.platforms.mha import write_mha
from submissions.rounds import Round
from submissions.scoring import score_package
from submissions.truth import find_truth
from submissions.writing.package import PackageWriter, format_for

_SIZE: Final = (48, 64)  # height and width in pixels
_NAMES: Final = ("drawn_1", "drawn_2")
_SOCKET: Final = {"slug": "polyp-segmentation", "relative_path": "images/polyp-segmentation"}


def bundle_templates() -> Path:
    """The folder of the templates."""
    return Path(str(resources.files("harness.export") / "bundle"))


def write(
    folder: Path, round_: Round, *, protocol: Protocol, classes: Classes, as_jobs: bool
) -> None:
    """Write truth, submission and the expected figures into a new folder.

    With ``as_jobs`` the submission is an algorithm's, as grand-challenge.org gives it.
    """
    masks = _draw(folder / "truth", round_, classes)
    package = folder / "package.zip"
    layout = round_.layout
    with PackageWriter(package, layout=layout, file_format=format_for(layout)) as writer:
        for (test_set, name), mask in masks.items():
            writer.add(test_set=test_set, name=name, mask=mask, latency_ms=10.0)
    truth = find_truth(folder / "truth", round_.test_sets, layout, protocol, classes)
    scored = score_package(package, truth, protocol, layout=layout)
    write_json(folder / "expected.json", figures(scored))
    shutil.copy(bundle_templates() / "common" / "check.py", folder)
    if as_jobs:
        _write_jobs(folder / "input", masks)
        package.unlink()


def _draw(folder: Path, round_: Round, classes: Classes) -> dict[tuple[str, str], Mask]:
    """Write true discs, and return discs beside them as predictions."""
    rows, columns = np.ogrid[: _SIZE[0], : _SIZE[1]]
    masks = {}
    for i, test_set in enumerate(round_.test_sets or ()):
        for j, name in enumerate(_NAMES):
            radius, place = 8 + i + 3 * j, 24 + 5 * j
            true = (rows - 22) ** 2 + (columns - place) ** 2 <= radius**2
            stem = round_.layout.masks.replace(FRAME, name)
            labels = true * np.uint8(classes.channel) if classes.values else true
            write_mask(folder / test_set / f"{stem}.png", labels, classes)
            masks[test_set, name] = np.roll(true, 2 + i + j, axis=1)
    return masks


def _write_jobs(folder: Path, masks: dict[tuple[str, str], Mask]) -> None:
    """The masks as grand-challenge.org gives those of an algorithm, one job a frame."""
    jobs = []
    for number, ((test_set, name), mask) in enumerate(masks.items()):
        place = folder / f"job-{number}" / "output" / _SOCKET["relative_path"]
        place.mkdir(parents=True)
        (place / "output.mha").write_bytes(write_mha(mask * np.uint8(255)))
        image = {"image": {"name": f"{test_set}_{name}.png"}, "socket": {"slug": "frame"}}
        outputs = [{"socket": _SOCKET}]
        jobs.append({"pk": f"job-{number}", "inputs": [image], "outputs": outputs})
    (folder / PREDICTIONS).write_text(json.dumps(jobs, indent=2) + "\n", encoding="utf-8")
