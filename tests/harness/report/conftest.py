"""The content of a page: drawn frames, and masks that miss the truth by known amounts."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from harness.data.frames import truth_of
from harness.evaluation import tables
from harness.evaluation.calibration import calibration_of
from harness.evaluation.curves import curves_of
from harness.evaluation.frame_table import rows_of
from harness.evaluation.map_table import map_row
from harness.report.page import from_split
from harness.report.page.content import PageContent
from harness.report.views.by_class import with_place
from metrics.masks.class_indices import read_labels, write_mask

SIZE = (48, 64)
MEMBERS = ("fpn", "triunet")
SHIFTS = {"unet": 9, "fpn": 6, "triunet": 3, "divergentnets": 1}
"""Columns by which each model's masks lie beside the truth; more from frame to frame."""

HOLDS = {"C1": (6, 20), "C2": (5, 9), "seq6_neg": (3, 0)}
"""Frames of each place, and the side of the square polyp in them, in pixels."""


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Fourteen frames of three places, one of them without polyps."""
    folder = tmp_path_factory.mktemp("frames")
    return pd.DataFrame(
        [row for place, holds in HOLDS.items() for row in _frames(folder, place, *holds)]
    )


@pytest.fixture(scope="session")
def content(catalogue: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> PageContent:
    """The results of four models on the catalogue."""
    folder = tmp_path_factory.mktemp("page")
    masks = {model: folder / model for model in SHIFTS}
    found = {}
    for number, (model, shift) in enumerate(SHIFTS.items()):
        rows: list[dict[str, object]] = []
        for place, record in enumerate(catalogue.to_dict("records")):
            truth = truth_of(record)
            mask = np.roll(truth, shift + place % 4, axis=1)
            if model == "unet" and record["truth"] == "empty":
                mask[:4, :4] = True
            write_mask(masks[model] / f"{record['frame']}.png", mask)
            rows += rows_of(record, truth, mask, latency_ms=10.0 * (number + 1))
        found[model] = pd.DataFrame(rows)
    table = with_place(tables.join(found))
    own = {name: masks[name] for name in MEMBERS}
    members = from_split.members_of(table[table["model"].isin(MEMBERS)], catalogue, own)
    curves, calibrations = {}, {}
    for model in ("unet", "divergentnets"):
        maps = []
        for record in catalogue.to_dict("records"):
            mask = read_labels(masks[model] / f"{record['frame']}.png")
            soft = cv2.blur(mask.astype(np.float32), (5, 5))
            maps.append(map_row(record, soft, truth_of(record)))
        curves[model] = curves_of(pd.DataFrame(maps))
        calibrations[model] = calibration_of(pd.DataFrame(maps), 1.3)
    history = pd.DataFrame({"epoch": [1, 2, 3], "f1": [0.1, 0.4, 0.6], "loss": [0.9, 0.5, 0.3]})
    return PageContent(
        name="val split",
        split="val",
        protocol="paper",
        frames=table,
        histories={"unet": history, "fpn": history.assign(f1=[0.2, 0.3, 0.5])},
        cards=from_split.cards_of(table, catalogue, masks, "divergentnets", members),
        facts={"unet": "run unet; <preset>"},
        ensemble="divergentnets",
        members=members,
        curves=curves,
        calibrations=calibrations,
        elsewhere={"test split": table[table["centre"] == "C1"]},
        notes=["something is left out"],
    )


def _frames(folder: Path, place: str, count: int, side: int) -> list[dict[str, object]]:
    rows = []
    for number in range(count):
        frame = f"{place}/{number + 1}"
        image, mask = folder / "frames" / f"{frame}.png", folder / "truth" / f"{frame}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(60, 200, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(image)
        truth = np.zeros(SIZE, bool)
        truth[10 : 10 + side, 10 : 10 + side] = True
        write_mask(mask, truth)
        centre = place if place.startswith("C") else ""
        rows.append(
            {
                "frame": frame, "dataset": "endocv2021", "centre": centre,
                "sequence": "" if centre else place, "test_set": "", "split": "val",
                "height": SIZE[0], "width": SIZE[1], "image": str(image),
                "mask": str(mask) if side else "", "truth": "mask" if side else "empty",
            }
        )  # fmt: skip
    return rows
