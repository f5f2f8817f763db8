"""A split or a round as one self-contained HTML page."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.data.listing import natural
from harness.report.page import (
    section_centres,
    section_consensus,
    section_curves,
    section_disagreement,
    section_ranking,
    section_teams,
    section_training,
)
from harness.report.page.content import PageContent, Plot, Section
from harness.report.tables.view import capitalised, title_of
from harness.report.views import by_class, detail
from harness.report.views import paper as paper_table
from metrics.averages import average_of
from metrics.masks.classes import ALL
from metrics.paper import results as paper_results
from metrics.statistics.samples import Samples, collect
from metrics.strata import STRATA, add_stratum
from metrics.utils.names import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.report.tables.columns import Line, Table


def render(content: PageContent) -> str:
    """The page as HTML, with everything in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("harness.report.page"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**_context(content))


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, so that the page needs no network."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed")


def _context(content: PageContent) -> dict[str, Any]:
    models = content.models
    rows = {row["frame"]: row for row in _frame_rows(content)}
    samples = None
    if len(models) > 1:
        over = average_of(content.frames, content.average)
        samples = collect(content.frames, average=over)
    return {
        "version": __version__,
        "content": content,
        "title": f"{capitalised(content.name)}: {counted(len(models), 'model')} on "
        f"{counted(len(rows), 'frame')}",
        "headline": section_ranking.headline(samples) if samples else "",
        "drawn": [(models.index(name), name, content.styles[name]) for name in content.leading],
        "sections": [section for section in _sections(content, samples) if section],
        "by_frame": rows,
        "places": sorted({row["place"] for row in rows.values()}, key=natural),
        "strata": [name for name in STRATA if name in {row["stratum"] for row in rows.values()}],
        "title_of": title_of,
        "capitalised": capitalised,
        "page_of": partial(
            _page_of,
            content.team_pages,
            {title_of(model): href for model, href in content.team_pages.items()},
        ),
        "vega": _vega(),
    }


def _page_of(
    by_name: Mapping[str, str], by_title: Mapping[str, str], table: Table, line: Line, place: int
) -> str:
    """The link to the own page of the model that a cell names; empty without one."""
    key = table.columns[place].key
    if key in ("title", "a", "b", "by", "ties"):
        return by_title.get(line.cells[place].text, "")
    if key != "model" or line.reference:
        return ""
    # On the leaderboard several teams may have a model of one name, which only the team tells.
    cells = zip(table.columns, line.cells, strict=True)
    named = [cell.text for column, cell in cells if column.key in ("team", "model") and cell.text]
    return by_name.get(" ".join(dict.fromkeys(named)), "")


def _frame_rows(content: PageContent) -> list[dict[str, Any]]:
    """A row for each frame of the table beside the gallery, as the page's script reads it.

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
    records = rows.reset_index().to_dict("records")
    return [{str(key): cell for key, cell in record.items()} for record in records]


def _sections(content: PageContent, samples: Samples | None) -> list[Section]:
    """Everything but the gallery, in the page's order."""
    ranking = section_ranking.ranking(content, samples) if samples else []
    if content.leaderboard is not None and content.split:
        ranking.append(content.leaderboard.table("Submissions to the rounds"))
    elif content.leaderboard is not None:
        ranking.insert(0, content.leaderboard.table())
    pairs, pair_tables = section_ranking.pairs(content, samples) if samples else ([], [])
    classes, other_classes = _classes(content)
    gaps, gap_tables = section_centres.gaps(content)
    curves, epochs = section_training.training(content)
    centres, centre_tables = section_centres.by_centre(content), section_centres.tables(content)
    return [
        Section("ranking", "Ranking", ranking),
        Section("consensus", "Consensus and podium", section_consensus.consensus(content, samples)),
        Section("teams", "Frames and test sets", section_teams.teams(content, samples)),
        Section("classes", "Results by class", classes, other_classes),
        Section("centres", "By centre and size", centres, centre_tables),
        Section("generalisation", "Generalisation", gaps, gap_tables),
        Section("distribution", "Frame by frame", [section_centres.distribution(content)]),
        Section("details", "Contours and detection", _details(content)),
        Section("curves", "Thresholds", section_curves.curves(content)),
        Section("calibration", "Calibration", section_curves.calibration(content)),
        Section("pairs", "Pairwise differences", pairs, pair_tables),
        Section("disagreement", "Disagreement", section_disagreement.disagreement(content)),
        Section("training", "Training", curves, epochs),
    ]


def _classes(content: PageContent) -> tuple[list[Table | Plot], list[Table]]:
    """The chosen class's figures and the paper's table; the other classes to unfold."""
    summary = content.summary
    tables = {
        name: by_class.class_view(
            summary, name, split=content.name, protocol=content.protocol
        ).table(f"{capitalised(name)} class" if name != ALL else "All classes (micro-average)")
        for name in summary["class"].unique()
    }
    shown: list[Table | Plot] = [tables.pop(content.class_)]
    if content.split and content.is_paper_split and by_class.is_papers(content.frames):
        view = paper_table.table_view(summary, content.split, paper_results())
        shown.append(view.table(f"{view.title} of the paper, and ours ({content.n})"))
    return shown, list(tables.values())


def _details(content: PageContent) -> list[Table | Plot]:
    summary = content.summary
    shown: list[Table | Plot] = []
    if "hd95_px" in content.frames:
        view = detail.contour_view(summary, split=content.name)
        shown.append(view.table(f"{capitalised(content.class_)} contours"))
    if "polyps" in content.frames:
        view = detail.detection_view(content.frames, split=content.name, average=content.average)
        named = capitalised(by_class.regions(content.class_))
        shown.append(view.table(f"{named} found and frames recognised"))
    if (plug_ins := detail.plug_in_view(summary, split=content.name)) is not None:
        shown.append(plug_ins.table("Figures of plug-ins"))
    return shown
