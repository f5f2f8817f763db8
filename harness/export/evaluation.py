"""Export the evaluation of a round as a bundle for a challenge platform.

A bundle holds the source of ``metrics`` and ``submissions`` as it is installed here, so that the
platform scores by the lines of ``harness score``; ``submissions.platforms`` is what runs there. The
rest is made from the templates in the folder ``bundle``.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np

from harness import __version__
from harness.export import pins, self_test
from harness.export.self_test import bundle_templates
from harness.utils.folders import copy_folder, replace_folder
from metrics.masks.classes import ONE, Classes
from metrics.masks.read import Protocol
from metrics.utils.errors import UserError
from metrics.utils.files import write_json
from submissions.layout import FRAME, PackageLayout
from submissions.platforms import evaluation as platforms
from submissions.platforms.page import FRAMES
from submissions.rounds import Round, find_frames
from submissions.truth import Truth, find_truth
from submissions.writing.encoding import SUFFIXES
from submissions.writing.package import format_for

Platform = Literal["codabench", "grand-challenge", "evalai"]

COLUMNS: Final = {
    "score": "Score", "iou": "IoU", "f1": "F1", "f2": "F2", "ppv": "PPV", "recall": "Recall",
    "score_frames": "Score (frames)",
}  # fmt: skip
"""Columns of a leaderboard, with their headings; each test set's score follows."""

IMAGE: Final = f"python:{pins.python_of_image()}-slim"
"""The image that Codabench runs the program in, by default."""

_DAYS: Final = 365
_PAGES: Final = ("overview.html", "evaluation.html", "terms.html")
_PAGES_FOLDERS: Final[Mapping[Platform, str]] = {"codabench": "pages", "evalai": "templates"}
_WIDEST_SHOWN: Final = 560  # pixels


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a bundle is made for.

    ``truth`` is the folder of the true masks, ``frames`` one of frames, SET/NAME.*, that
    participants may see with the outlines of truth and mask (Codabench only), ``wheels`` one of all
    packages, which come from PyPI otherwise; Codabench runs the program in ``image``.
    """

    platform: Platform
    round: Round
    truth: Path
    protocol: Protocol = "official"
    classes: Classes = ONE
    frames: Path | None = None
    wheels: Path | None = None
    image: str = IMAGE


def export_evaluation(request: Request, out: Path) -> str:
    """Write the bundle as ``out``, a folder that appears when it is complete.

    Returns:
        str: The digest of its program.

    Raises:
        UserError: The folder exists, or the truth, the frames or the wheels cannot be used.
    """
    if out.exists():
        raise UserError(f"{out} is there already; give a folder that is not, or remove it")
    layout, protocol, classes = request.round.layout, request.protocol, request.classes
    truth = find_truth(request.truth, request.round.test_sets, layout, protocol, classes)
    round_ = replace(request.round, test_sets=tuple(truth.masks))
    request = replace(request, round=round_)
    program, reference = _FOLDERS[request.platform]
    with replace_folder(out) as folder:
        _write_program(folder / program, request)
        _copy_truth(truth, layout, folder / reference)
        if request.frames is not None:
            _copy_frames(request.frames, truth, round_, folder / reference / FRAMES)
        self_test.write(
            folder / "self_test",
            round_,
            protocol=protocol,
            classes=classes,
            as_jobs=request.platform == "grand-challenge",
        )
        digest = platforms.program_digest(folder / program)
        _render(folder, request, _words(request, truth, digest))
        _PACK[request.platform](folder)
    return digest


_FOLDERS: Final[Mapping[Platform, tuple[str, str]]] = {
    "codabench": ("scoring_program", "reference_data"),
    "grand-challenge": ("program", "ground_truth"),
    "evalai": ("evaluation_script", "truth"),
}
"""The folders of program and truth."""


def _write_program(folder: Path, request: Request) -> None:
    for name in ("metrics", "submissions"):
        source = Path(str(resources.files(name)))
        copy_folder(source, folder / name, leave_out=["__pycache__", "*.pyc"])
    shutil.copy(bundle_templates() / "common" / "score.py", folder)
    if request.platform == "evalai":
        for name in ("__init__.py", "main.py"):
            shutil.copy(bundle_templates() / "evalai" / name, folder)
    write_json(
        folder / platforms.SETTINGS,
        {
            "harness": __version__,
            "platform": request.platform.replace("-", "_"),
            "round": request.round.name,
            "protocol": request.protocol,
            "classes": asdict(request.classes),
        },
    )
    (folder / platforms.ROUND).write_text(_as_toml(request.round), encoding="utf-8")
    packages = pins.pinned(pins.with_all_they_need(platforms.PACKAGES))
    (folder / "packages.txt").write_text("\n".join(packages) + "\n", encoding="utf-8")
    if request.wheels is not None:
        pins.copy_wheels(packages, request.wheels, folder / "wheels")


def _as_toml(round_: Round) -> str:
    """A round as a file that ``submissions.rounds.load_rounds`` reads."""
    values = asdict(round_)
    name, layout = values.pop("name"), values.pop("layout")
    # JSON's texts, numbers and lists are TOML's as well, but for its escapes of emojis.
    as_json = partial(json.dumps, ensure_ascii=False)
    lines = [f"{key} = {as_json(value)}" for key, value in (values | layout).items()]
    return "\n".join([f"[rounds.{as_json(name)}]", *lines]) + "\n"


def _copy_truth(truth: Truth, layout: PackageLayout, folder: Path) -> None:
    for test_set, masks in truth.masks.items():
        (folder / test_set).mkdir(parents=True)
        for name, path in masks.items():
            stem = layout.masks.replace(FRAME, name)
            shutil.copy(path, folder / test_set / f"{stem}{path.suffix}")


def _copy_frames(source: Path, truth: Truth, round_: Round, folder: Path) -> None:
    """Copy frames in small, as the page of a submission shows them."""
    from harness.data.frames import read_image

    there = tuple(name for name in truth.masks if (source / name).is_dir())
    if not there:
        raise UserError(f"{source}: expected folders of frames such as {next(iter(truth.masks))}")
    for test_set, frames in find_frames(replace(round_, test_sets=there), source).items():
        (folder / test_set).mkdir(parents=True)
        for name, path in frames.items():
            image = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2BGR)
            scale = min(1.0, _WIDEST_SHOWN / image.shape[1])
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(folder / test_set / f"{name}.jpg"), small)


def _words(request: Request, truth: Truth, digest: str) -> dict[str, Any]:
    """What the templates put in."""
    round_ = request.round
    columns = [*COLUMNS.items(), *((f"score_{name}", f"Score {name}") for name in truth.masks)]
    first, names = next(iter(truth.masks.items()))
    layout, frame = round_.layout, next(iter(names))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    extra = [
        {"title": heading, "path": f"aggregates.{key}", "order": "desc"}
        for key, heading in columns
        if key != "score"
    ]
    return {
        "title": f"{layout.root}, round {round_.name}",
        "name": re.sub(r"[^a-z0-9]+", "-", f"{layout.root}-round-{round_.name}".lower()).strip("-"),
        "round": round_,
        "sets": list(truth.masks),
        "columns": columns,
        "extra_columns": json.dumps(extra, indent=2),
        "example": [layout.mask(first, frame), *([layout.timing(first)] if layout.timings else [])],
        "suffix": SUFFIXES[format_for(layout)],
        "image_name": f"{first}_{frame}.png",
        "protocol": request.protocol,
        "version": __version__,
        "digest": digest,
        "truth_sha256": truth.sha256,
        "program": _FOLDERS[request.platform][0],
        "frames": request.frames is not None,
        "wheels": request.wheels is not None,
        "image": request.image,
        "python": pins.python_of_image(),
        "start": f"{today:%Y-%m-%d %H:%M:%S}",
        "end": f"{today + timedelta(days=_DAYS):%Y-%m-%d %H:%M:%S}",
    }


def _render(folder: Path, request: Request, words: Mapping[str, Any]) -> None:
    """Write the platform's files from their templates."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(bundle_templates()),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    own = request.platform.replace("-", "_")
    names = sorted(path.name for path in (bundle_templates() / own).iterdir() if path.is_file())
    targets = {f"{own}/{name}": name for name in names if not name.endswith(".py")}
    if pages := _PAGES_FOLDERS.get(request.platform):
        targets |= {f"common/{name}": f"{pages}/{name}" for name in _PAGES}
        _draw_logo(folder / "logo.png")
    if request.platform == "codabench":
        targets["codabench/metadata.yaml"] = "scoring_program/metadata.yaml"
    for template, name in targets.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(environment.get_template(template).render(words), encoding="utf-8")
        if path.suffix == ".sh":
            path.chmod(0o755)


def _draw_logo(path: Path) -> None:
    """A bright disc on a dark one, since the platforms ask for a picture."""
    image = np.full((256, 256, 3), 32, dtype=np.uint8)
    cv2.circle(image, (128, 128), 116, (70, 80, 160), -1, cv2.LINE_AA)
    cv2.circle(image, (148, 112), 44, (150, 170, 235), -1, cv2.LINE_AA)
    cv2.imwrite(str(path), image)


def _pack_codabench(folder: Path) -> None:
    parts = ("competition.yaml", "logo.png", "pages", "scoring_program", "reference_data")
    _zip(folder, "codabench", parts)


def _pack_evalai(folder: Path) -> None:
    (folder / "annotations").mkdir()
    for name, into in (("truth", "annotations/truth"), ("evaluation_script", "evaluation_script")):
        shutil.make_archive(str(folder / into), "zip", folder / name)
        shutil.rmtree(folder / name)
    parts = ("challenge_config.yaml", "logo.png", "templates", "annotations")
    _zip(folder, "evalai", (*parts, "evaluation_script.zip"))


def _zip(folder: Path, name: str, parts: tuple[str, ...]) -> None:
    """Zip some files and folders of a folder."""
    from zipfile import ZIP_DEFLATED, ZipFile

    with ZipFile(folder / f"{name}.zip", "w", ZIP_DEFLATED) as archive:
        for part in parts:
            top = folder / part
            for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
                if path.is_file():
                    archive.write(path, path.relative_to(folder).as_posix())


_PACK: Final[Mapping[Platform, Callable[[Path], object]]] = {
    "codabench": _pack_codabench,
    "grand-challenge": lambda _folder: None,  # its files are uploaded as they are
    "evalai": _pack_evalai,
}
