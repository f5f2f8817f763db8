"""Rank scores, with the paper's official results beside them.

Only comparable scores are ranked together: of one round, one protocol and one truth, or of one set
of frames (``data``, a fingerprint). Of several scores of one team's model the best is ranked. The
paper's rows are of other frames: they are marked by their ``source`` and have no rank.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pandas as pd

from metrics.averages import Average
from metrics.endocv import FIGURES
from metrics.paper import official
from metrics.utils.errors import UserError

GROUPS: Final = ("round", "split", "protocol", "truth_sha256", "data")
"""Scores are ranked within the groups of these columns, as far as a table has them."""

COLUMNS: Final = (
    "rank", "source", "round", "split", "team", "model", "average", "score", "sd", "sd_name", "f1",
    "f2", "ppv", "recall", "score_sets", "score_frames", "n", "latency_ms", "protocol",
    "truth_sha256", "data",
)  # fmt: skip

SD_NAMES: Final = ("sd_frames", "sd_sets", "sd_metrics")
PAPER: Final = "paper"
OURS: Final = "scored"


def averaged(rows: pd.DataFrame, average: Average) -> pd.DataFrame:
    """Scores over all test sets by one of their two averages.

    Args:
        rows: As ``Ledger.scores`` gives them, or the last row of ``PackageScore.figures``: figures
            over all frames, and over the test sets as ``NAME_sets``.
        average: The average wanted.

    Returns:
        The rows with the figures by that average under their plain names, the column ``average``
        that names it, and the score by both: ``score_sets`` and ``score_frames``.

    Example:
        >>> rows = pd.DataFrame({"model": ["a"], "score": [0.8], "score_sets": [0.7]})
        >>> averaged(rows, "sets")[["average", "score", "score_frames"]].to_dict("records")
        [{'average': 'sets', 'score': 0.7, 'score_frames': 0.8}]
    """
    out = rows.assign(average=average, score_frames=rows["score"])
    if average == "frames":
        return out
    names = [name for name in ("score", *FIGURES) if f"{name}_sets" in rows]
    return out.assign(**{name: rows[f"{name}_sets"] for name in names})


def by_name(rows: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Each score by its team and model, or by one of them where both are the same.

    Example:
        >>> list(by_name(pd.DataFrame({"team": ["", "b", "c"], "model": ["a", "b", "a"]})))
        ['a', 'b', 'c a']
    """
    both = list(zip(rows["team"], rows["model"], strict=True))
    short = [" ".join(dict.fromkeys(filter(None, pair))) for pair in both]
    # Where our own 'unet' meets the package unet.zip, the latter is called 'unet unet'.
    full = [" ".join(filter(None, pair)) for pair in both]
    names = [full[at] if short.count(name) > 1 else name for at, name in enumerate(short)]
    records = rows.to_dict("records")
    return {
        name: {str(k): v for k, v in row.items()} for name, row in zip(names, records, strict=True)
    }


def full_names(rows: pd.DataFrame) -> pd.Series[str]:
    """Each score's 'TEAM MODEL'; of our own models, which have no team, the model alone."""
    return (rows["team"] + " " + rows["model"]).str.strip()


def without(rows: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The scores but those of some names, each a team or 'TEAM MODEL'.

    Raises:
        UserError: A name has no score, or nothing is left.
    """
    full = full_names(rows)
    if missing := set(names) - {*rows["team"], *full}:
        raise UserError(
            f"nothing to leave out for {', '.join(sorted(missing))}; scored are, as TEAM MODEL: "
            f"{', '.join(sorted(set(full)))}."
        )
    left = rows[~(rows["team"].isin(names) | full.isin(names))]
    if left.empty:
        raise UserError("every scored package is left out; name fewer by --without.")
    return left


def of_models(rows: pd.DataFrame, wanted: Collection[str], round_name: str) -> pd.DataFrame:
    """The scores of some names: ``MODEL`` is every team's, ``TEAM MODEL`` one team's.

    Raises:
        UserError: A name has no score.
    """
    full = full_names(rows)
    if missing := set(wanted) - {*rows["model"], *full}:
        raise UserError(
            f"no scored package of {', '.join(sorted(missing))} in round {round_name}; there are: "
            f"{', '.join(sorted(set(full)))} (as TEAM MODEL; MODEL alone is every team's)."
        )
    return rows[rows["model"].isin(wanted) | full.isin(wanted)]


def best_first(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores in their order: the best first, equal ones by name, of one name the newest first."""
    names = [name for name in ("team", "model") if name in rows]
    rows = rows.assign(score=rows["score"].astype(float))  # from NULL alone it is no number
    return rows.sort_values(["score", *names], ascending=[False, *[True for _ in names]])


def rank(rows: pd.DataFrame, *, sd: str = "sd_frames", source: str = OURS) -> pd.DataFrame:
    """Rank scored packages, or evaluations of a split.

    Args:
        rows: One row a score, newest first, with the columns model and score, and of the rest those
            that are known: round or split, team, protocol, truth_sha256, data, sd_frames, sd_sets,
            sd_metrics, f1, f2, ppv, recall, n, latency_ms, and those of :func:`averaged`.
        sd: Which of the SDs to show; its name stands beside it, as ``sd_name``.
        source: The value of the column ``source``.

    Returns:
        The best row of each model and team in each group of ``GROUPS``, by group (the truth of the
        newest score first) and rank, with those of ``COLUMNS`` that apply. Equal scores share a
        rank, by name. What has no score stands last in its group, without a rank. Empty for no
        rows.

    Raises:
        UserError: The rows mix protocols, or ``sd`` names no SD.
    """
    if sd not in SD_NAMES:
        raise UserError(f"no SD {sd!r}; there are {', '.join(SD_NAMES)}.")
    if "protocol" in rows and rows["protocol"].nunique() > 1:
        raise UserError(
            f"scores by several protocols ({', '.join(sorted(rows['protocol'].unique()))}) cannot "
            "be ranked together. Choose one with --protocol."
        )
    groups = [name for name in GROUPS if name in rows]
    who = [*groups, *(name for name in ("team", "model") if name in rows)]
    best = best_first(rows).drop_duplicates(who)
    scores = best.groupby(groups, sort=False, dropna=False)["score"] if groups else best["score"]
    ranks = scores.rank(method="min", ascending=False).astype("Int64")
    best = best.assign(rank=ranks, source=source, sd_name=sd)
    best["sd"] = best[sd] if sd in best else float("nan")
    # By the order of the rows, newest first, and not by the digests, which mean nothing.
    truths = rows["truth_sha256"].unique().tolist() if "truth_sha256" in rows else []
    ordered = best.sort_values(
        [*groups, "rank"],
        kind="stable",
        key=lambda column: column.map(truths.index) if column.name == "truth_sha256" else column,
    )
    return ordered[[name for name in COLUMNS if name in ordered]].reset_index(drop=True)


def with_paper(ranking: pd.DataFrame) -> pd.DataFrame:
    """Add the rows of the paper's Table 4 under each round of a ranking.

    Returns:
        The ranking, followed in each round by the paper's rows: source 'paper', no rank, and
        ``sd_name`` 'as printed', because the paper does not say which SD it is.
    """
    table = official()
    printed = pd.DataFrame(
        {
            "source": PAPER,
            "round": table["round"].astype(str),
            "team": "",
            "model": table["model"],
            "score": table["score"],
            "sd": table["sd"],
            "sd_name": "as printed",
            "protocol": "official",
        }
    ).sort_values("score", ascending=False)
    records = [
        row
        for name in dict.fromkeys(ranking["round"])
        for part in (ranking, printed)
        for row in part[part["round"] == name].to_dict("records")
    ]
    columns = [name for name in COLUMNS if name in {*ranking, *printed}]
    stacked = pd.DataFrame.from_records(records, columns=columns)
    return stacked.astype({name: "Int64" for name in ("rank", "n") if name in stacked})
