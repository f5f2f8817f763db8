"""PraNet's table: probability maps of one test set or several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from harness.data.listing import natural
from harness.report.tables.choices import Format
from harness.report.tables.columns import Column
from harness.report.tables.view import View, in_order
from metrics.pranet import SETS

if TYPE_CHECKING:
    import pandas as pd

_TITLES: Final = {
    "mdice": "mDice", "miou": "mIoU", "wfm": "wFm", "sm": "Sm", "mem": "mEm", "maxem": "maxEm",
    "mae": "MAE", "adpem": "adpEm", "maxdice": "maxDice", "maxiou": "maxIoU",
    "dice_half": "Dice at 1/2", "iou_half": "IoU at 1/2",
}  # fmt: skip
_CAPTION: Final = (
    "Each map stretched to [0, 1]. mDice, mIoU, mEm: means over 256 thresholds; max: the best "
    "threshold; adpEm: at twice the map's mean. wFm: weighted F-measure, Sm: S-measure, Em: "
    "E-measure. Dice and IoU at 1/2: of the maps as they are. Means over frames."
)


def pranet_views(rows: pd.DataFrame, format_: Format) -> list[View]:
    """A row a model and test set; where there are several sets, also the sets side by side.

    Args:
        rows: ``metrics.pranet.summarise_maps`` of each, with the columns ``model``, ``title`` and
            ``test_set``.
        format_: CSV and JSON have the long table only.
    """
    ordered = in_order(rows, _place, "test_set")
    view = View(
        frame=ordered,
        data_only_columns=["model"],
        columns=[
            Column("test_set", "Test set"),
            Column("title", "Model"),
            *(
                Column(key, title, decimals=3, best="min" if key == "mae" else "max")
                for key, title in _TITLES.items()
            ),
            Column("n", "Frames"),
        ],
        title="PraNet's protocol, by test set",
        caption=_CAPTION,
        group="test_set",
    )
    if rows["test_set"].nunique() == 1 or format_ in ("csv", "json"):
        return [view]
    return [_side_by_side(ordered), view]


def _side_by_side(rows: pd.DataFrame) -> View:
    """MDice and mIoU of each test set in columns of their own, a row a model."""
    sets = list(dict.fromkeys(rows["test_set"]))
    wide = rows.pivot(index="model", columns="test_set", values=["mdice", "miou"])
    keys = [(figure, name) for name in sets for figure in ("mdice", "miou")]
    wide = wide[keys].set_axis([f"{figure} {name}" for figure, name in keys], axis=1)
    titles = rows.drop_duplicates("model").set_index("model")["title"]
    frame = wide.loc[titles.index].assign(title=titles).reset_index(drop=True)
    columns = [
        Column(f"{figure} {name}", f"{name} {_TITLES[figure]}", decimals=3, best="max")
        for figure, name in keys
    ]
    return View(
        frame=frame,
        columns=[Column("title", "Model"), *columns],
        title="PraNet's protocol, test sets side by side",
        caption="mDice, mIoU: means over frames and 256 thresholds, each map stretched to [0, 1].",
    )


def _place(test_set: str) -> tuple[int, object]:
    """PraNet's order of the test sets; others follow by name."""
    return (SETS.index(test_set) if test_set in SETS else len(SETS), natural(test_set))
