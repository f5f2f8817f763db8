"""The two averages over several test sets: over the sets, and over all frames.

Over sets, each set's mean over its frames counts the same; over frames, each frame does. Which of
them counts can decide who is first (docs/protocol.md, 'Several test sets').
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pandas as pd

from metrics.endocv import FIGURES, MEASURED, SET, summarise
from metrics.masks.read import Protocol
from metrics.registry import frame_metrics

Average = Literal["sets", "frames"]
"""``sets``: the mean over test sets of each set's mean over frames; ``frames``: over all frames."""

SD_OF: Final[Mapping[Average, str]] = {"sets": "sd_sets", "frames": "sd_frames"}
"""The SD that belongs to a score by each average."""


def has_several_sets(table: pd.DataFrame) -> bool:
    """Whether the frames of a table are of several test sets, so that the averages differ.

    Example:
        >>> has_several_sets(pd.DataFrame({"test_set": ["a", "a", "b"]}))
        True
    """
    return SET in table and table[SET].nunique() > 1


def average_of(table: pd.DataFrame, wanted: Average | None = None) -> Average:
    """The average of a table: the one wanted, or over sets, where it has several of them.

    Example:
        >>> average_of(pd.DataFrame({"test_set": ["a", "b"]}))
        'sets'
        >>> average_of(pd.DataFrame({"test_set": ["a", "a"]}), "sets")
        'frames'
    """
    return (wanted or "sets") if has_several_sets(table) else "frames"


def summarise_by(
    average: Average,
    table: pd.DataFrame,
    by: Sequence[str] = ("class",),
    protocol: Protocol = "official",
) -> pd.DataFrame:
    """As ``metrics.endocv.summarise``, with figures by one of the averages over test sets.

    Counts, SDs over frames and milliseconds a frame are the same in both. Of several test sets
    there are also ``average`` and the score by both, ``score_sets`` and ``score_frames``. A figure
    that is undefined in a whole set has no mean over the sets: left out, the set would be a gain.

    Example:
        >>> rows = pd.DataFrame({"class": "polyp", "test_set": list("aab"), "tp": [9, 9, 3]})
        >>> rows = rows.assign(fn=9 - rows["tp"], fp=0, tn=0)
        >>> [float(summarise_by(a, rows)["recall"].iloc[0].round(3)) for a in ("sets", "frames")]
        [0.667, 0.778]
    """
    by = [by] if isinstance(by, str) else list(by)
    over_frames = summarise(table, by, protocol)
    if not has_several_sets(table):
        return over_frames
    measured = (name for name in (*MEASURED, *frame_metrics()) if name in table)
    names = [*FIGURES, "score", *(name for name in measured if name != "latency_ms")]
    of_sets = summarise(table, [*by, SET], protocol)
    means = mean_over_sets(of_sets, by, names)
    out = over_frames.assign(average=average, score_frames=over_frames["score"])
    return out.assign(
        score_sets=means["score"].to_numpy(),
        sd_sets=means["sd_sets"].to_numpy(),
        **({name: means[name].to_numpy() for name in names} if average == "sets" else {}),
    )


def mean_over_sets(of_sets: pd.DataFrame, by: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    """The mean of each figure over the test sets of a group, each set counting the same.

    ``of_sets`` has a row a group and test set, ``by`` are the columns of the groups. Where the
    score is among the figures, ``sd_sets`` is its population SD over the sets, NaN for one set.

    Example:
        >>> of_sets = pd.DataFrame({"class": "polyp", "test_set": ["a", "b"], "score": [0.5, 0.7]})
        >>> row = mean_over_sets(of_sets, ["class"], ["score"]).iloc[0]
        >>> float(row["score"].round(3)), float(row["sd_sets"].round(3))
        (0.6, 0.1)
    """
    groups = of_sets.groupby(list(by), sort=False, dropna=False)
    sets = groups.size()
    is_whole = groups[list(names)].count().eq(sets, axis=0)
    means = groups[list(names)].mean().where(is_whole)
    if "score" in names:
        spread = groups["score"].std(ddof=0)
        means["sd_sets"] = spread.where(is_whole["score"] & (sets > 1))
    return means.reset_index()
