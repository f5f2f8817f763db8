"""The figures that the DivergentNets paper prints, for reference beside our own.

Source: Thambawita et al., DivergentNets: Medical Image Segmentation by Network Ensemble,
EndoCV 2021, Tables 2 to 4.
"""

from __future__ import annotations

from importlib import resources

import pandas as pd

_MISPRINTS = (("test", "deeplabv3+", "background"),)


def results() -> pd.DataFrame:
    """Tables 2 (validation) and 3 (test): one row a model and class.

    Returns:
        Columns table, split ('val' or 'test'), model, class ('all', 'polyp', 'background'), iou,
        f1, recall, ppv (the paper's PREC), and misprint: True for Table 3's DeepLabv3+
        background row, which repeats the polyp row.

    Example:
        >>> table = results()
        >>> table[(table["model"] == "unet") & (table["class"] == "polyp")]["split"].tolist()
        ['val', 'test']
    """
    table = _read("results.csv").rename(columns={"precision": "ppv"})
    table["split"] = table["split"].replace({"validation": "val"})
    keys = zip(table["split"], table["model"], table["class"], strict=True)
    table["misprint"] = [key in _MISPRINTS for key in keys]
    return table


def official() -> pd.DataFrame:
    """Table 4, the organisers' scores: columns table, round (1 or 2), model, score, sd.

    Example:
        >>> official().columns.tolist()
        ['table', 'round', 'model', 'score', 'sd']
    """
    return _read("official-results.csv")


def _read(name: str) -> pd.DataFrame:
    with resources.files("metrics").joinpath("reference", name).open(encoding="utf-8") as stream:
        return pd.read_csv(stream)
