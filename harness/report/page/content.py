"""What a page holds, and what its sections are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from harness.report.page.style import Style, styles
from harness.report.tables.view import View, title_of
from harness.report.views.by_class import figures
from metrics.endocv import add_figures
from metrics.masks.classes import chosen_class, chosen_rows
from metrics.utils.names import counted

if TYPE_CHECKING:
    import pandas as pd

    from harness.evaluation.calibration import Calibration
    from harness.evaluation.curves import Curves
    from harness.report.page.gallery import Card
    from harness.report.tables.columns import Table
    from metrics.averages import Average

MANY: Final = 12
"""Of more models, plots with a mark for each frame or pair show so many, the best by score."""

WORST: Final = 12
"""Frames of the gallery on a model's own page: those of its lowest F1."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A plot's Vega-Lite specification, its heading, and the text below it with n and units.

    One that is ``wide`` has no other beside it.
    """

    title: str
    spec: Mapping[str, Any]
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading.

    Attributes:
        anchor: By which it is linked to.
        heading: Its heading.
        shown: Plots and tables, in order.
        folded: Tables that a click unfolds, and that are printed unfolded.
    """

    anchor: str
    heading: str
    shown: Sequence[Table | Plot] = ()
    folded: Sequence[Table] = ()

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.shown or self.folded)


@dataclass(frozen=True, kw_only=True)
class Members:
    """An ensemble's own members, measured on the page's frames.

    Attributes:
        names: Their names; two or more.
        f1: Frame to the mean F1 of the members.
        divergence: One row a frame with ``frame``, ``disagreement`` and ``vote_variance``.
    """

    names: Sequence[str]
    f1: Mapping[str, float]
    divergence: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """Everything that a page shows.

    Attributes:
        name: What was measured, such as 'test split' or 'round 2'.
        split: Name of the split whose table the paper prints; empty for a round.
        protocol: How the truth was taken, ``paper`` or ``official``, for titles; the formulas are
            the official ones of both, by which every figure of every frame is defined.
        frames: Frame tables of all models, with ``model`` and ``place``.
        histories: Model to its history, one row an epoch.
        cards: The gallery; empty where its files are not at hand.
        facts: What the figures depend on, name to text.
        ensemble: Name of the ensemble; empty without one.
        members: The ensemble's members; ``None`` unless two of them were measured.
        elsewhere: Frame tables of the same models on other sets, by the set's name.
        leaderboard: The leaderboard of scored submissions, or ``None``.
        curves: Model to its curves over thresholds, of those whose probability maps were measured.
        calibrations: The calibration of the same models.
        is_paper_split: Whether the split is the paper's.
        average: By which several test sets are averaged, here and in ``elsewhere``.
        notes: What is missing from the page, and how to get it.
        team_pages: Model to the link to its own page; empty without such pages.
    """

    name: str
    split: str = ""
    protocol: str
    frames: pd.DataFrame
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    cards: Sequence[Card]
    facts: Mapping[str, str]
    ensemble: str = ""
    members: Members | None = None
    elsewhere: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    leaderboard: View | None = None
    curves: Mapping[str, Curves] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    is_paper_split: bool = True
    average: Average = "sets"
    notes: Sequence[str] = ()
    team_pages: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def models(self) -> list[str]:
        """The models in their order."""
        return [str(name) for name in self.frames["model"].unique()]

    @cached_property
    def class_(self) -> str:
        """The chosen class, of which all figures of a single class are."""
        return chosen_class(self.frames)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """The figures of each model and class, as ``views.by_class.figures`` gives them."""
        return figures(self.frames, average=self.average)

    @cached_property
    def polyp(self) -> pd.DataFrame:
        """The chosen class's rows with their figures."""
        return add_figures(chosen_rows(self.frames))

    @cached_property
    def styles(self) -> dict[str, Style]:
        """How each model is drawn."""
        titles = [title_of(name) for name in self.models]
        highlighted = title_of(self.ensemble) if self.ensemble else ""
        return dict(zip(self.models, styles(titles, highlighted), strict=True))

    @cached_property
    def leading(self) -> list[str]:
        """The models with marks and outlines for each frame: all, or the best by mean F1."""
        if len(self.models) <= MANY:
            return self.models
        others = self._mean_f1.drop(self.main_model)
        return [self.main_model, *map(str, others.nlargest(MANY - 1).index)]

    def worst(self, model: str, frames: Collection[str], most: int = WORST) -> list[str]:
        """The frames, of those given, in which a model has its lowest F1."""
        rows = self.polyp[(self.polyp["model"] == model) & self.polyp["frame"].isin(frames)]
        ordered = rows.sort_values(["f1", "frame"])["frame"]
        return [str(frame) for frame in ordered[:most]]

    @cached_property
    def main_model(self) -> str:
        """The model that the gallery shows first: the ensemble, or else the best by mean F1."""
        return self.ensemble or str(self._mean_f1.idxmax())

    @property
    def _mean_f1(self) -> pd.Series[float]:
        return chosen_rows(self.summary).set_index("model")["f1"]

    @property
    def n(self) -> str:
        """How many frames, for captions."""
        return f"n = {counted(self.frames['frame'].nunique(), 'frame')}"
