"""One self-contained HTML page of a split or a round: what was measured, and what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.report.page import section_centres, section_disagreement, section_ranking
from harness.report.page.content import PageContent, Section, table
from harness.report.page.frame_list import frame_list
from harness.report.tables.view import title_of
from harness.report.views import by_class, detail, plugins
from harness.report.views import paper as paper_table
from metrics.masks.classes import ALL, chosen_class
from metrics.paper import results as paper_results
from metrics.statistics.samples import collect

if TYPE_CHECKING:
    from harness.report.page.content import Plot
    from harness.report.tables.columns import Table
    from metrics.statistics.samples import Samples


def render(source: PageContent) -> str:
    """The page as HTML, with everything in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("harness.report.page"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**_context(source))


def _context(source: PageContent) -> dict[str, Any]:
    models = source.models
    samples = collect(source.frames, protocol=source.formulas) if len(models) > 1 else None
    return {
        "version": __version__,
        "name": source.name,
        "headline": section_ranking.headline(samples) if samples else "",
        "facts": source.facts,
        "notes": source.notes,
        "models": [(name, source.styles[name]) for name in models],
        "sections": [section for section in _sections(source, samples) if section],
        "cards": source.cards,
        "list": frame_list(source),
        "leader": source.leader,
        "ensemble": source.ensemble,
        "members": source.members,
        "title_of": title_of,
        "frames": source.frames["frame"].nunique(),
    }


def _sections(source: PageContent, samples: Samples | None) -> list[Section]:
    """Everything but the gallery, in the page's order."""
    leaderboard = [table(source.leaderboard)] if source.leaderboard is not None else []
    shown, classes = _classes(source)
    lost, plugins = section_centres.gaps(source)
    return [
        Section(
            anchor="leaderboard",
            heading="Who leads",
            shown=[*leaderboard, *(section_ranking.ranking(source, samples) if samples else [])],
        ),
        Section(anchor="classes", heading="Figures by class", shown=shown, folded=classes),
        Section(
            anchor="places",
            heading="By centre and size",
            shown=section_centres.by_place(source),
            folded=section_centres.folded(source),
        ),
        Section(anchor="gaps", heading="Does it generalise?", shown=lost, folded=plugins),
        Section(
            anchor="distribution",
            heading="Frame by frame",
            shown=[section_centres.distribution(source)],
        ),
        Section(anchor="details", heading="Contours and polyps", shown=_details(source)),
        Section(
            anchor="pairs",
            heading="Is one better than another?",
            shown=section_ranking.pairs(source, samples) if samples else [],
        ),
        Section(
            anchor="divergence",
            heading="Do the members disagree?",
            shown=section_disagreement.divergence(source),
        ),
        Section(anchor="training", heading="Training", shown=section_disagreement.training(source)),
    ]


def _classes(source: PageContent) -> tuple[list[Table | Plot], list[Table]]:
    """The chosen class's figures and the paper's table; the other classes to unfold."""
    summary = by_class.figures(source.frames, source.formulas)
    tables = {
        name: table(
            by_class.class_view(summary, name, split=source.name, protocol=source.protocol),
            title=f"{name.capitalize()} class" if name != ALL else "All classes (micro-average)",
        )
        for name in summary["class"].unique()
    }
    shown: list[Table | Plot] = [tables.pop(chosen_class(summary))]
    if source.split and source.is_paper_split and by_class.is_papers(source.frames):
        view = paper_table.table_view(summary, source.split, paper_results())
        shown.append(table(view, title=f"{view.title} of the paper, and ours ({source.n})"))
    return shown, list(tables.values())


def _details(source: PageContent) -> list[Table | Plot]:
    summary = by_class.figures(source.frames, source.formulas)
    shown: list[Table | Plot] = []
    if "hd95_px" in source.frames:
        view = detail.contour_view(summary, split=source.name)
        shown.append(table(view, title="Contours of polyps"))
    if "polyps" in source.frames:
        view = detail.detection_view(source.frames, split=source.name)
        shown.append(table(view, title="Polyps and frames recognised"))
    if (plug_ins := plugins.plug_in_view(summary, split=source.name)) is not None:
        shown.append(table(plug_ins, title="Figures of plug-ins"))
    return shown
