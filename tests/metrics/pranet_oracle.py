"""Maps for the PraNet protocol, and their figures by pysodmetrics.

``tox run -e pranet`` writes the figures anew to ``pranet_oracle.json``, which test_pranet compares
with ours. It has its own environment, since pysodmetrics asks for older libraries than ours.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np

FIGURES = Path(__file__).with_suffix(".json")


def cases() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Maps (H, W) of 8 or 16 bits with their truths, bool (H, W), by name."""
    rng = np.random.default_rng(18)
    rows, columns = np.ogrid[:40, :56]
    distance = np.hypot(rows - 17.3, columns - 30.8)
    disc, none, full = distance < 9.4, np.zeros((40, 56), bool), np.ones((40, 56), bool)
    soft = np.rint(255 / (1 + np.exp(np.clip(distance - 11, -20, 20)))).astype(np.uint8)
    noise = rng.integers(0, 256, (40, 56)).astype(np.uint8)
    two = disc | (np.hypot(rows - 5, columns - 4) < 3)
    corner = none.copy()
    corner[:6, :9] = True
    pixel = none.copy()
    pixel[20, 11] = True
    faint = (soft // 60).astype(np.uint8)
    return {
        "perfect": (disc.astype(np.uint8) * 255, disc),
        "soft": (soft, disc),
        "moved": (np.roll(soft, (6, -7), (0, 1)), disc),
        "noisy": (np.clip(soft * 0.6 + noise * 0.4, 0, 255).astype(np.uint8), disc),
        "noise": (noise, two),
        "deep": (rng.integers(900, 40_000, (40, 56)).astype(np.uint16), two),
        "faint": (faint, disc),
        "faint on nothing": (faint, none),
        "black": (np.zeros((40, 56), np.uint8), disc),
        "black on nothing": (np.zeros((40, 56), np.uint8), none),
        "white": (np.full((40, 56), 255, np.uint8), disc),
        "white on nothing": (np.full((40, 56), 255, np.uint8), none),
        "grey": (np.full((40, 56), 77, np.uint8), disc),
        "all polyp": (soft, full),
        "corner": (soft, corner),
        "pixel": (np.roll(noise, 3), pixel),
        "not from 0 to 255": (np.clip(soft, 31, 201), two),
    }


def figures(pairs: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """The figures of some frames together, by pysodmetrics."""
    import py_sod_metrics as sod

    counts = sod.FmeasureV2(
        {"dice": sod.DICEHandler(True, False), "iou": sod.IOUHandler(True, False)}
    )
    wfm, sm, em, mae = sod.WeightedFmeasure(), sod.Smeasure(), sod.Emeasure(), sod.MAE()
    for map_, truth in pairs:
        for metric in (counts, wfm, sm, em, mae):
            metric.step(map_, truth.astype(np.uint8) * 255)
    curves = counts.get_results()
    dice, iou = curves["dice"]["dynamic"], curves["iou"]["dynamic"]
    e_measure = em.get_results()["em"]
    found = {
        "mdice": dice.mean(), "miou": iou.mean(), "maxdice": dice.max(), "maxiou": iou.max(),
        "wfm": wfm.get_results()["wfm"], "sm": sm.get_results()["sm"],
        "mem": e_measure["curve"].mean(), "maxem": e_measure["curve"].max(),
        "adpem": e_measure["adp"], "mae": mae.get_results()["mae"],
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    written = {name: figures([pair]) for name, pair in cases().items()}
    written["all"] = figures(list(cases().values()))
    FIGURES.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
