"""Every frame as a row of the table beside the gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.data.listing import natural
from metrics.strata import STRATA, add_stratum

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.report.page.content import PageContent


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A frame's row.

    Attributes:
        frame: Its identifier.
        place: Its centre, sequence, test set or dataset.
        stratum: Size of its polyp: none, small, medium or large.
        f1: Of each model.
        gain: F1 of the ensemble minus the members' mean; 0 without members.
        disagreement: 1 minus the mean IoU over pairs of members; ``None`` without them.
    """

    frame: str
    place: str
    stratum: str
    f1: Mapping[str, float]
    gain: float
    disagreement: float | None


@dataclass(frozen=True, kw_only=True)
class FrameList:
    """All rows, and the places and sizes that they can be filtered by."""

    entries: Sequence[Entry]
    places: Sequence[str]
    strata: Sequence[str]

    def of(self, frame: str) -> Entry:
        """The row of a frame."""
        return next(entry for entry in self.entries if entry.frame == frame)

    def plain(self) -> list[dict[str, Any]]:
        """The rows as the page's script reads them, F1 in the models' order."""
        return [
            {
                "frame": entry.frame,
                "place": entry.place,
                "stratum": entry.stratum,
                "f1": list(entry.f1.values()),
                "gain": entry.gain,
                "disagreement": entry.disagreement or 0.0,
            }
            for entry in self.entries
        ]


def frame_list(content: PageContent) -> FrameList:
    """Every frame with its place, its size and the F1 of each model, in the frames' order."""
    polyp = add_stratum(content.polyp)
    ensemble, members = content.ensemble, content.members
    f1: dict[str, dict[str, float]] = {}
    for row in polyp.to_dict("records"):
        f1.setdefault(row["frame"], {})[row["model"]] = row["f1"]
    spread: dict[str, float] = {}
    if members is not None:
        rows = members.divergence
        spread = dict(zip(rows["frame"], rows["disagreement"].tolist(), strict=True))
    entries = [
        Entry(
            frame=row["frame"],
            place=row["place"],
            stratum=row["stratum"],
            f1={name: f1[row["frame"]][name] for name in content.models},
            gain=f1[row["frame"]][ensemble] - members.f1[row["frame"]] if members else 0.0,
            disagreement=spread.get(row["frame"]),
        )
        for row in polyp.drop_duplicates("frame").to_dict("records")
    ]
    places = sorted({entry.place for entry in entries}, key=natural)
    there = {entry.stratum for entry in entries}
    strata = [name for name in STRATA if name in there]
    return FrameList(entries=entries, places=places, strata=strata)
