"""The masks of an algorithm that grand-challenge.org has run, one job a frame."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from metrics.utils.errors import UserError
from submissions.layout import PackageLayout
from submissions.platforms.mha import read_mha
from submissions.reading.archive import Archive, Limits, name_fault
from submissions.reading.findings import Finding, found
from submissions.reading.mask import Content, Place
from submissions.reading.structure import Structure
from submissions.reading.validate import PackageReport, inspect_masks
from submissions.rounds import Sizes

PREDICTIONS: Final = "predictions.json"


def inspect_jobs(
    folder: Path, expected: Sizes, layout: PackageLayout, on_mask: Callable[[Content], None]
) -> PackageReport:
    """Inspect the masks that jobs have written.

    A job belongs to the frame whose name its input image has: ``TEST_SET_NAME``, or ``NAME`` alone
    where no two test sets share it, with any suffix.

    Args:
        folder: The platform's ``/input``, with ``predictions.json``.
        expected: Test set to frame name to height and width of every frame that needs a mask.
        layout: Says whether masks are grey.
        on_mask: Called with each mask, from several threads.

    Raises:
        UserError: ``predictions.json`` is no list of jobs.
    """
    frames = _frames_by_name(expected)
    places: dict[tuple[str, str], Place] = {}
    findings: list[Finding] = []
    for job in _jobs(folder / PREDICTIONS):
        frame = frames.get(image := _image_name(job))
        if frame is None:
            findings.append(found("extra", image, "no frame of the round has this image's name"))
        elif frame in places:
            findings.append(found("duplicate", image, "a second job for this frame"))
        elif isinstance(path := _output(folder, job), Finding):
            findings.append(path)
        else:
            test_set, name = frame
            size = expected[test_set][name]
            places[frame] = Place(path=path, test_set=test_set, name=name, size=size)
    seen = {*places, *(frames.get(finding.path) for finding in findings)}
    findings += _missing(expected, seen)
    structure = Structure(
        masks=tuple(places.values()), timings={}, findings=tuple(findings), junk=()
    )
    archive = Archive(read=lambda path: _read(folder / path, grey=layout.grey))
    return inspect_masks(archive, structure, expected, threshold=layout.threshold, on_mask=on_mask)


def _jobs(file: Path) -> list[dict[str, Any]]:
    try:
        jobs = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{PREDICTIONS}: cannot be read") from error
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise UserError(f"{PREDICTIONS}: expected a list of jobs")
    return jobs


def _frames_by_name(expected: Sizes) -> dict[str, tuple[str, str]]:
    """Test set and frame by the names that a job's image may have."""
    plain = [(name, test_set) for test_set, names in expected.items() for name in names]
    times = Counter(name for name, _ in plain)
    alone = {name: (test_set, name) for name, test_set in plain if times[name] == 1}
    return alone | {f"{test_set}_{name}": (test_set, name) for name, test_set in plain}


def _values(job: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    values = job.get(key)
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value


def _image_name(job: Mapping[str, Any]) -> str:
    """The name of a job's input image without its suffix; empty where it has none."""
    images = (value.get("image") for value in _values(job, "inputs"))
    names = [str(image["name"]) for image in images if isinstance(image, dict) and "name" in image]
    return unicodedata.normalize("NFC", Path(names[0]).stem) if names else ""


def _output(folder: Path, job: Mapping[str, Any]) -> str | Finding:
    """The one image that a job has written, relative to the folder."""
    sockets = (value.get("socket") or value.get("interface") for value in _values(job, "outputs"))
    paths = [str(one.get("relative_path", "")) for one in sockets if isinstance(one, dict)]
    images = [f"{job.get('pk')}/output/{path}" for path in paths if path.startswith("images/")]
    image = _image_name(job)
    if len(images) != 1:
        return found("missing", image, f"expected one output image, got {len(images)}")
    if fault := name_fault(images[0]):
        return found("missing", image, f"its output image has {fault}")
    place = folder / images[0]
    files = sorted(place.glob("*")) if place.is_dir() else []
    if len(files) != 1 or files[0].is_symlink() or not files[0].is_file():
        return found("missing", image, f"expected one file of its output image, got {len(files)}")
    return files[0].relative_to(folder).as_posix()


def _missing(expected: Sizes, seen: set[tuple[str, str] | None]) -> Iterator[Finding]:
    for test_set, names in expected.items():
        for name in names:
            if (test_set, name) not in seen:
                message = "the mask of this frame is missing"
                yield found("missing", f"{test_set}/{name}", message)


def _read(path: Path, *, grey: bool) -> bytes:
    """A mask's file; a MetaImage as a PNG, and 0 and 1, as masks have there, as 0 and 255.

    In a round of grey masks 1 is a probability of next to nothing, and stays one.
    """
    with path.open("rb") as stream:
        data = stream.read(Limits.entry_bytes + 1)
    if path.suffix.lower() != ".mha":
        return data
    pixels = read_mha(data)
    if pixels.max() == 1 and not grey:
        pixels = pixels * np.uint8(255)
    return bytes(cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
