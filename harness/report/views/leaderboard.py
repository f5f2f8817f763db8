"""The leaderboard as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.tables.columns import Column
from harness.report.tables.formats import SD_MEANINGS
from harness.report.tables.view import View
from submissions.leaderboard import PAPER

if TYPE_CHECKING:
    import pandas as pd

HASH_SHOWN = 8
"""Characters of a hash that tell truths apart for a reader."""


def standings_view(ranking: pd.DataFrame, *, sd: str, protocol: str, group: str) -> View:
    """A ranking as it is shown.

    Args:
        ranking: What ``submissions.leaderboard.rank`` gave, the paper's rows among it or not.
        sd: Which standard deviation its column ``sd`` holds.
        protocol: How the scores were made.
        group: ``round`` or ``split``, within which ranks are counted.
    """
    truths = ranking.groupby(group)["truth_sha256"] if "truth_sha256" in ranking else None
    several = truths is not None and bool((truths.nunique() > 1).any())
    notes = [
        f"Score: mean of F1, F2, PPV and recall, \u00b1 {sd}: {SD_MEANINGS[sd]}.",
        "Of several scores of a model, the best is ranked.",
    ]
    if several:
        notes.append("Scores against different truths (see the column) are ranked apart.")
    frame = ranking.assign(paper=ranking["source"] == PAPER)
    if "truth_sha256" in frame:
        frame["truth"] = frame["truth_sha256"].str[:HASH_SHOWN]
    columns = _columns(frame, group, several=several)
    shown = {key for column in columns for key in column.keys}
    return View(
        frame=frame,
        columns=columns,
        data_only_columns=[str(name) for name in ranking if name not in shown],
        title=f"Leaderboard, {protocol} protocol",
        caption=" ".join(notes),
        group=group,
        reference_note="the paper's official result (Table 4), on the organisers' frames, with the "
        "SD as printed there; not ranked",
    )


def _columns(frame: pd.DataFrame, group: str, *, several: bool) -> list[Column]:
    score: dict[str, Any] = {"decimals": 3, "best": "max"}
    columns = [
        Column(key=group, title=group.capitalize()),
        Column(key="rank", title="Rank"),
        Column(key="model", title="Model"),
        Column(key="score", title="Score", sd="sd", **score),
        Column(key="sd_name", title="SD"),
        Column(key="f1", title="F1", **score),
        Column(key="f2", title="F2", **score),
        Column(key="ppv", title="PPV", **score),
        Column(key="recall", title="Recall", **score),
        Column(key="n", title="Frames", decimals=0),
        Column(key="latency_ms", title="ms/frame", decimals=1, best="min"),
    ]
    if "team" in frame and (frame["team"] != "").any():
        columns.insert(2, Column(key="team", title="Team"))
    if several:
        columns.append(Column(key="truth", title="Truth"))
    return [column for column in columns if column.key in frame]
