"""One self-contained HTML page of a split: what was measured, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from harness import __version__
from harness.data.listing import natural
from harness.report import charts, detail, papertable, ranks, results
from harness.report.columns import Column, Table
from harness.report.gallery import Card
from harness.report.results import View, title_of
from harness.report.tables import laid_out
from metrics.comparison import compare, to_frame
from metrics.divergence import POOR, foretells
from metrics.endocv import add_figures, summarise
from metrics.paper import results as paper_results
from metrics.ranking import rank
from metrics.samples import collect, select
from metrics.strata import STRATA, add_stratum

if TYPE_CHECKING:
    import pandas as pd

    from metrics.samples import Samples

ENSEMBLE: Final = "divergentnets"
_LEVEL: Final = "95 %"


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot and what it says.

    Attributes:
        title: What stands above.
        svg: The plot.
        caption: What stands below, with n and units.
    """

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """All that a page is made of.

    Attributes:
        split: Name of the split.
        frames: Frame tables of all models, with ``model`` and ``place``.
        histories: Model to its history, one row an epoch.
        cards: The gallery.
        facts: What the figures depend on, name to text.
        leaderboard: The leaderboard of scored submissions, or ``None``.
        plain: Whether the split is the paper's.
    """

    split: str
    frames: pd.DataFrame
    histories: Mapping[str, pd.DataFrame]
    cards: Sequence[Card]
    facts: Mapping[str, str]
    leaderboard: View | None = None
    plain: bool = True


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
    models = list(dict.fromkeys(source.frames["model"]))
    samples = collect(source.frames) if len(models) > 1 else None
    return {
        "version": __version__,
        "split": source.split,
        "facts": source.facts,
        "models": [(name, title_of(name), charts.COLOURS[i % 8]) for i, name in enumerate(models)],
        "sections": _sections(source, samples),
        "cards": source.cards,
        "ensemble": ENSEMBLE if ENSEMBLE in models else models[0],
        "members": [name for name in models if name != ENSEMBLE],
        "frames": source.frames["frame"].nunique(),
    }


def _sections(source: Source, samples: Samples | None) -> list[tuple[str, str, list[Table | Plot]]]:
    """Anchor, heading, and what stands below."""
    frames, split = source.frames, source.split
    summary = results.figures(frames)
    leading: list[Table | Plot] = []
    if source.leaderboard is not None:
        leading.append(_table(source.leaderboard))
    if samples is not None:
        leading += [
            _ranking_plot(samples),
            _table(ranks.rank_view(samples, title=f"Ranks on the {split} split")),
        ]
    paper = paper_results() if source.plain else None
    classes: list[Table | Plot] = [
        _table(results.class_view(summary, name, split=split, protocol="paper", paper=paper))
        for name in results.CLASSES
    ]
    if source.plain:
        classes.append(_table(papertable.table_view(summary, split, paper_results())))
    sections: list[tuple[str, str, list[Table | Plot]]] = [
        ("leaderboard", "Who leads", leading),
        ("classes", "Figures by class", classes),
        ("places", "By centre and size", _places(frames, split)),
        ("frames", "Frame by frame", [_distribution(frames)]),
        ("details", "Contours and polyps", _details(frames, summary, split)),
        ("pairs", "Is one better than another?", _pairs(samples)),
        ("divergence", "Do the members disagree?", _divergence(source)),
        ("training", "Training", _training(source.histories)),
    ]
    return [section for section in sections if section[2]]


def _ranking_plot(samples: Samples) -> Plot:
    table = rank(samples).table
    estimates = [
        charts.Estimate(
            label=title_of(row["model"]), value=row["estimate"], low=row["low"], high=row["high"]
        )
        for row in table.to_dict("records")
    ]
    return Plot(
        title="Score",
        svg=charts.intervals(estimates, title="Score by model", axis="score, 0 to 1"),
        caption=f"Mean of F1, F2, PPV and recall over {len(samples.frames)} frames, with {_LEVEL} "
        f"intervals over {samples.n_clusters} sequences or single frames.",
    )


def _places(frames: pd.DataFrame, split: str) -> list[Table | Plot]:
    polyp = add_stratum(frames)
    polyp = polyp[polyp["class"] == "polyp"]
    shown: list[Table | Plot] = []
    if polyp["place"].nunique() > 1:
        shown.append(_heat(summarise(polyp, ("model", "place")), "place", "centre or sequence"))
    shown.append(_heat(summarise(polyp, ("model", "stratum")), "stratum", "size of the polyp"))
    shown.append(_table(detail.stratum_view(frames, split=split, formulas="official")))
    place = "centre" if frames["centre"].nunique() > 1 else "sequence"
    if frames.loc[frames[place] != "", place].nunique() > 1:
        title = f"What is lost from {place} to {place}"
        shown.append(
            _table(detail.generalisation_view(frames, place, title=title, formulas="official"))
        )
    return shown


def _heat(summary: pd.DataFrame, by: str, what: str) -> Table:
    """F1 of each model at each place, as a table."""
    wide = summary.pivot(index="model", columns=by, values="f1")
    n = summary.groupby(by, sort=False)["n"].first()
    order = {name: place for place, name in enumerate(STRATA)}
    names = sorted(dict.fromkeys(summary[by]), key=lambda name: (order.get(name, 0), natural(name)))
    wide = wide.loc[list(dict.fromkeys(summary["model"])), names].reset_index()
    wide["title"] = wide["model"].map(title_of)
    columns = [
        Column(key="title", title="Model"),
        *(Column(key=k, title=f"{k} (n = {n[k]})", decimals=3, best="max") for k in names),
    ]
    view = View(
        frame=wide, columns=columns, title=f"F1 by {what}", caption="Means over frames, polyp."
    )
    return _table(view)


def _distribution(frames: pd.DataFrame) -> Plot:
    polyp = add_figures(frames[frames["class"] == "polyp"])
    by_model = polyp.groupby("model", sort=False)
    values = {title_of(str(name)): rows["f1"].tolist() for name, rows in by_model}
    n = polyp["frame"].nunique()
    return Plot(
        title="F1 of each frame",
        svg=charts.distributions(values, title="F1 of each frame by model", axis="F1, 0 to 1"),
        caption=f"One dot a frame, n = {n}; box: quartiles; line and number: median.",
    )


def _details(frames: pd.DataFrame, summary: pd.DataFrame, split: str) -> list[Table | Plot]:
    return [
        _table(detail.contour_view(summary, split=split)),
        _table(detail.detection_view(frames, split=split)),
    ]


def _pairs(samples: Samples | None) -> list[Table | Plot]:
    """Every pair of models: the difference in F1 and its p, in one matrix."""
    if samples is None:
        return []
    import pandas as pd

    models = list(samples.models)
    f1 = select(samples, ["f1"])
    pairs = combinations(models, 2)
    found = to_frame([one for a, b in pairs for one in compare(f1, a, b, method="percentile")])
    text: dict[tuple[str, str], str] = {}
    for row in found.to_dict("records"):
        p = _probability(row["p_permutation"])
        text[row["a"], row["b"]] = f"{row['difference']:+.3f} ({p})"
        text[row["b"], row["a"]] = f"{-row['difference']:+.3f} ({p})"
    rows = [{"title": title_of(a), **{b: text.get((a, b), "") for b in models}} for a in models]
    columns = [
        Column(key="title", title="Model"),
        *(Column(key=b, title=f"than {title_of(b)}", justify="right") for b in models),
    ]
    view = View(
        frame=pd.DataFrame(rows),
        columns=columns,
        title="Difference in F1, row minus column",
        caption="Mean over frames of the same frame's difference; p: paired permutation test that "
        "swaps whole sequences, not corrected for the number of pairs.",
    )
    return [_table(view)]


def _probability(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _divergence(source: Source) -> list[Table | Plot]:
    measured = [card for card in source.cards if card.divergence and ENSEMBLE in card.f1]
    if not measured:
        return []
    import pandas as pd

    disagreement = np.array([card.divergence.disagreement for card in measured if card.divergence])
    f1 = np.array([card.f1[ENSEMBLE] for card in measured])
    told = foretells(disagreement, f1)
    row = {
        "frames": told.frames,
        "mean": float(disagreement.mean()),
        "spearman": told.spearman,
        "auroc": told.auroc,
        "poor": told.poor,
    }
    view = View(
        frame=pd.DataFrame([row]),
        columns=[
            Column(key="mean", title="Mean disagreement", decimals=3),
            Column(key="spearman", title="Spearman with F1", decimals=3),
            Column(key="auroc", title=f"AUROC for F1 below {POOR:g}", decimals=3),
            Column(key="poor", title="Poor frames"),
            Column(key="frames", title="Frames"),
        ],
        title="Does disagreement foretell a poor prediction?",
        caption="Disagreement: 1 minus the mean IoU over pairs of members. An AUROC of 0.5 is "
        "chance, 1 means that the frames not to trust are known without their truth.",
    )
    return [_table(view)]


def _training(histories: Mapping[str, pd.DataFrame]) -> list[Table | Plot]:
    known = {title_of(name): rows for name, rows in histories.items() if not rows.empty}
    if not known:
        return []
    shown: list[Table | Plot] = []
    for key, title in (("f1", "Validation F1"), ("loss", "Training loss")):
        series = {
            name: list(zip(rows["epoch"].astype(float), rows[key], strict=True))
            for name, rows in known.items()
        }
        caption = "Polyp, at the size that the epoch trained at." if key == "f1" else ""
        svg = charts.lines(series, title=f"{title} by epoch", axis=title)
        shown.append(Plot(title=title, svg=svg, caption=caption))
    return shown


def _table(view: View) -> Table:
    return laid_out(
        view.frame,
        columns=view.columns,
        title=view.title,
        caption=view.caption,
        group=view.group,
        reference="paper" if "paper" in view.frame else "",
        reference_note=view.reference_note,
    )
