"""A page for each model of a round, beside the round's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from submissions.platforms.page import Picture, SubmissionPage

if TYPE_CHECKING:
    from harness.report.page.content import PageContent

PATTERN: Final = "[0-9][0-9]*-*.html"
"""What the files of :func:`names_of` match."""

RESAMPLES: Final = 2_000
"""Of a page; 50 models would take minutes with those of one."""


def names_of(content: PageContent) -> dict[str, str]:
    """The file of each model, which a file system takes whatever the model is called."""
    return {
        name: f"{number:02d}-{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')[:60]}.html"
        for number, name in enumerate(content.models, 1)
    }


def write(content: PageContent, folder: Path, up: str) -> None:
    """Write the pages into a folder that is there, under the names of :func:`names_of`.

    ``up`` is the link from them to the round's page.
    """
    tables = dict(list(content.frames.groupby("model", sort=False)))
    for name, file in names_of(content).items():
        page = SubmissionPage(
            title=f"{content.styles[name].label}, {content.name}",
            frames=tables[name],
            protocol="official",
            average=content.average,
            facts={key: content.facts[key] for key in (name, "frames") if key in content.facts},
            pictures=_pictures(content, name),
            resamples=RESAMPLES,
            up=(up, f"All models of {content.name}"),
        )
        (folder / file).write_text(page.html(), encoding="utf-8")


def _pictures(content: PageContent, name: str) -> dict[str, Picture]:
    cards = {card.frame: card for card in content.cards if name in card.contours}
    return {
        frame: Picture(
            image=cards[frame].image,
            width=cards[frame].width,
            height=cards[frame].height,
            truth=cards[frame].truth,
            mask=cards[frame].contours[name],
        )
        for frame in content.worst(name, cards)
    }
