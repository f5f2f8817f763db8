"""Every frame as a row of the table beside the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metrics.strata import add_stratum

if TYPE_CHECKING:
    from harness.report.page.content import PageContent


def frame_list(content: PageContent) -> list[dict[str, Any]]:
    """A row for each frame, in their order, as the page's script reads it.

    Returns:
        list: Of each frame ``frame``, ``place``, ``stratum`` (the size of its polyp), ``f1`` of
        every model in the models' order and, where the ensemble's members were measured, ``gain``
        (F1 of the ensemble minus the members' mean) and ``disagreement`` (1 minus the mean IoU over
        pairs of members).
    """
    polyp, members = add_stratum(content.polyp), content.members
    f1 = polyp.pivot(index="frame", columns="model", values="f1")[content.models]
    rows = polyp.drop_duplicates("frame").set_index("frame")[["place", "stratum"]]
    rows["f1"] = f1.loc[rows.index].to_numpy().tolist()
    if members is not None:
        rows["gain"] = f1[content.ensemble] - rows.index.map(members.f1)
        rows["disagreement"] = members.divergence.set_index("frame")["disagreement"]
    return [{"frame": frame, **row} for frame, row in rows.to_dict("index").items()]
