"""The leaderboard as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from harness.report.tables.choices import AVERAGES, SD_MEANINGS
from harness.report.tables.columns import Column
from harness.report.tables.view import View, capitalised
from submissions.leaderboard import GROUPS, PAPER

if TYPE_CHECKING:
    import pandas as pd

HASH_SHOWN: Final = 8
"""Characters of a hash that are enough for a reader to tell two apart."""

_SETS: Final = {"truth_sha256": "Truth", "data": "Data"}
"""What identifies the frames of a score, and its heading."""


def standings_view(ranking: pd.DataFrame, *, protocol: str, group: str) -> View:
    """A ranking as it is shown.

    Ranks are counted within ``group``, a round or a split.
    """
    sds = [name for name in dict.fromkeys(ranking["sd_name"]) if name in SD_MEANINGS]
    meanings = "; ".join(f"{sd}: {SD_MEANINGS[sd]}" for sd in sds)
    notes = [
        f"Score: mean of F1, F2, PPV and recall, \u00b1 {meanings}.",
        *_average_notes(ranking),
        "Of several scores of a model, the best is ranked.",
    ]
    frame = ranking.assign(paper=ranking["source"] == PAPER)
    columns = _columns(frame, group)
    several = several_sets(ranking, group)
    if several:
        # Of a digest, and not of a class's name before it.
        short = frame[several].str.replace(rf"(\w{{{HASH_SHOWN}}})\w*$", r"\1", regex=True)
        # Ranks and best figures are of one set of frames: the separator follows it, too.
        frame = frame.assign(truth=short, ranked_in=frame[group] + " " + short.fillna(""))
        columns.append(Column("truth", _SETS[several]))
        of_class = " or of different classes" if short.str.contains(" ").any() else ""
        order = ", those on the newest first" if several == "truth_sha256" else ""
        notes.append(
            f"Scores on different frames{of_class} (see {_SETS[several]}) are ranked separately"
            f"{order}."
        )
    shown = {key for column in columns for key in column.keys}
    return View(
        frame=frame,
        columns=columns,
        data_only_columns=[str(name) for name in ranking if name not in shown],
        title=f"Leaderboard, {protocol} protocol",
        caption=" ".join(notes),
        group="ranked_in" if several else group,
        reference_note="the paper's official result (Table 4), on the organisers' frames, with the "
        "SD as printed there; not ranked",
    )


def _average_notes(ranking: pd.DataFrame) -> list[str]:
    """Which average the scores are ranked by, and why some have no rank."""
    ours = ranking[ranking["source"] != PAPER]
    notes = []
    if "average" in ours and ours["average"].notna().any():
        average = str(ours["average"].dropna().iloc[0])
        notes.append(f"Ranked by the average over {average}: {AVERAGES[average]}.")
    if ours["score"].isna().any():
        notes.append(
            "Without a rank: its score is undefined in a test set, or was registered before scores "
            "had two averages (score the package again)."
        )
    ranked = ours[ours["rank"].notna()]
    if ranked.duplicated([name for name in (*GROUPS, "rank") if name in ranked]).any():
        notes.append("Equal scores share a rank.")
    return notes


def several_sets(ranking: pd.DataFrame, group: str) -> str:
    """The column that tells sets of frames apart where a round or split has several of them."""
    for name in _SETS:
        if name in ranking and bool((ranking.groupby(group)[name].nunique() > 1).any()):
            return name
    return ""


def _columns(frame: pd.DataFrame, group: str) -> list[Column]:
    score: dict[str, Any] = {"decimals": 3, "best": "max"}
    columns = [
        Column(group, capitalised(group)),
        Column("rank", "Rank"),
        Column("model", "Model"),
        Column("score", "Score", sd="sd", **score),
        Column("sd_name", "SD"),
        Column("f1", "F1", **score),
        Column("f2", "F2", **score),
        Column("ppv", "PPV", **score),
        Column("recall", "Recall", **score),
        Column("n", "Frames", decimals=0),
        Column("latency_ms", "ms/frame", decimals=1, best="min"),
    ]
    for other in ("frames", "sets"):
        if "average" in frame and not (frame["average"].dropna() == other).any():
            columns.insert(5, Column(f"score_{other}", f"Score ({other})", **score))
    # A package that was scored without --team is named after its file, team and model alike.
    if "team" in frame and ((frame["team"] != "") & (frame["team"] != frame["model"])).any():
        columns.insert(2, Column("team", "Team"))
    return [column for column in columns if column.key in frame]
