"""One self-contained HTML page of a split or a round: what was measured, and what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.report import detail, foretelling, further, leading, papertable, places, results
from harness.report.framelist import frame_list
from harness.report.results import title_of
from harness.report.source import Section, Source, table
from metrics.classes import ALL, chosen_class
from metrics.paper import results as paper_results
from metrics.samples import collect

if TYPE_CHECKING:
    from harness.report.columns import Table
    from harness.report.source import Plot
    from metrics.samples import Samples


def render(source: Source) -> str:
    """The page as HTML, with everything in it."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(**_context(source))


def _context(source: Source) -> dict[str, Any]:
    models = source.models
    samples = collect(source.frames, protocol=source.formulas) if len(models) > 1 else None
    return {
        "version": __version__,
        "name": source.name,
        "headline": leading.headline(samples) if samples else "",
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


def _sections(source: Source, samples: Samples | None) -> list[Section]:
    """Everything but the gallery, in the page's order."""
    leaderboard = [table(source.leaderboard)] if source.leaderboard is not None else []
    shown, classes = _classes(source)
    lost, further = places.gaps(source)
    return [
        Section(
            anchor="leaderboard",
            heading="Who leads",
            shown=[*leaderboard, *(leading.ranking(source, samples) if samples else [])],
        ),
        Section(anchor="classes", heading="Figures by class", shown=shown, folded=classes),
        Section(
            anchor="places",
            heading="By centre and size",
            shown=places.by_place(source),
            folded=places.folded(source),
        ),
        Section(anchor="gaps", heading="Does it generalise?", shown=lost, folded=further),
        Section(
            anchor="distribution", heading="Frame by frame", shown=[places.distribution(source)]
        ),
        Section(anchor="details", heading="Contours and polyps", shown=_details(source)),
        Section(
            anchor="pairs",
            heading="Is one better than another?",
            shown=leading.pairs(source, samples) if samples else [],
        ),
        Section(
            anchor="divergence",
            heading="Do the members disagree?",
            shown=foretelling.divergence(source),
        ),
        Section(anchor="training", heading="Training", shown=foretelling.training(source)),
    ]


def _classes(source: Source) -> tuple[list[Table | Plot], list[Table]]:
    """The chosen class's figures and the paper's table; the other classes to unfold."""
    summary = results.figures(source.frames, source.formulas)
    tables = {
        name: table(
            results.class_view(summary, name, split=source.name, protocol=source.protocol),
            title=f"{name.capitalize()} class" if name != ALL else "All classes (micro-average)",
        )
        for name in summary["class"].unique()
    }
    shown: list[Table | Plot] = [tables.pop(chosen_class(summary))]
    if source.split and source.plain and results.is_papers(source.frames):
        view = papertable.table_view(summary, source.split, paper_results())
        shown.append(table(view, title=f"{view.title} of the paper, and ours ({source.n})"))
    return shown, list(tables.values())


def _details(source: Source) -> list[Table | Plot]:
    summary = results.figures(source.frames, source.formulas)
    shown: list[Table | Plot] = []
    if "hd95_px" in source.frames:
        view = detail.contour_view(summary, split=source.name)
        shown.append(table(view, title="Contours of polyps"))
    if "polyps" in source.frames:
        view = detail.detection_view(source.frames, split=source.name)
        shown.append(table(view, title="Polyps and frames recognised"))
    if (plug_ins := further.plug_in_view(summary, split=source.name)) is not None:
        shown.append(table(plug_ins, title="Figures of plug-ins"))
    return shown
