"""Per-frame figures of several models, paired by frame, as the statistics take them.

Frames of one video are not independent, so they are resampled together: a sequence is one
cluster, and a frame outside any sequence is a cluster by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from metrics.averages import Average
from metrics.endocv import FIGURES, MEASURED, SCORED, add_figures
from metrics.masks.classes import chosen_class
from metrics.masks.read import Protocol
from metrics.registry import frame_metrics
from metrics.statistics.clusters import clusters_of, effective_number
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.groups import Floats, combine_codes
from metrics.utils.validation import require_columns

TIE: Final = 1e-12
"""Values closer than this share of their :func:`scale_of` are equal: sums differ by rounding."""

LOWER_IS_BETTER: Final = frozenset(
    {"hausdorff_px", "hd95_px", "assd_px", "latency_ms",
     "hausdorff_rows", "false_polyps", "fp", "fn"}
)  # fmt: skip
"""Of the columns of a frame table and its figures; see :func:`lower_is_better`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Samples:
    """Figures of M models on the same N frames.

    Attributes:
        models: The M names.
        figures: The names of the K figures; the last is 'score' where it could be formed.
        values: Float array (M, N, K); NaN where a figure is undefined. A frame's score is the
            mean of its F1, F2, PPV and recall.
        clusters: Int array (N,), each frame's cluster, 0 to C - 1.
        frames: The N frame ids.
        sets: Int array (N,), each frame's test set, 0 to S - 1, where means are over test sets of
            each set's mean over frames; no cluster is in two sets. ``None`` where means are over
            all frames.
        weights: Float array (M, N, K), how much each value counts; ``None`` where all count alike.
    """

    models: tuple[str, ...]
    figures: tuple[str, ...]
    values: Floats
    clusters: npt.NDArray[np.int64]
    frames: tuple[str, ...]
    sets: npt.NDArray[np.int64] | None = None
    weights: Floats | None = None

    @property
    def n_clusters(self) -> int:
        """How many sequences and single frames there are to resample."""
        return int(self.clusters.max(initial=-1)) + 1

    @property
    def effective_clusters(self) -> float:
        """(sum n)^2 / sum n^2 over clusters of n frames: their number if they are equally long.

        For a mean over test sets it is such that one less are the degrees of freedom by Welch and
        Satterthwaite, for sets whose clusters vary equally.
        """
        if self.sets is None:
            return effective_number(self.clusters)
        sets = range(int(self.sets.max()) + 1)
        n = np.array([effective_number(self.clusters[self.sets == one]) for one in sets])
        return float(1 + np.sum(1 / n) ** 2 / np.sum(1 / n**2 / np.maximum(n - 1, TIE)))

    @property
    def averaged(self) -> str:
        """What the means are over, in words."""
        over_sets = "means over the test sets of each set's mean over frames"
        return "means over frames" if self.sets is None else over_sets

    def clusters_by_set(self) -> list[npt.NDArray[np.int64]]:
        """The clusters of each test set; all of them at once where means are over all frames."""
        if self.sets is None:
            return [np.arange(self.n_clusters)]
        of_cluster = self.sets[np.unique(self.clusters, return_index=True)[1]]
        return [np.flatnonzero(of_cluster == one) for one in range(int(self.sets.max()) + 1)]

    def position(self, model: str) -> int:
        """Where a model stands in the first axis of values; a ``UserError`` if it does not."""
        if model not in self.models:
            raise UserError(f"no model {model!r} here; there are {', '.join(self.models)}.")
        return self.models.index(model)

    def cluster_sums(self) -> tuple[Floats, Floats]:
        """Per cluster, model and figure (C, M, K), the sum of the defined values and their number.

        Both are weighted. The mean over any choice of clusters follows from them.
        """
        defined = ~np.isnan(self.values)
        weights = np.where(defined, 1.0 if self.weights is None else self.weights, 0.0)
        filled = np.where(defined, self.values, 0.0) * weights
        shape = (self.n_clusters, len(self.models), len(self.figures))
        sums, numbers = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, self.clusters, filled.transpose(1, 0, 2))
        np.add.at(numbers, self.clusters, weights.transpose(1, 0, 2))
        return sums, numbers


def lower_is_better(figure: str) -> bool:
    """Whether a smaller figure is the better one, also of a plug-in's.

    Example:
        >>> lower_is_better("hd95_px"), lower_is_better("f1")
        (True, False)
    """
    plug_in = frame_metrics().get(figure)
    return figure in LOWER_IS_BETTER or (plug_in is not None and plug_in.better == "min")


def collect(
    table: pd.DataFrame,
    *,
    figures: Sequence[str] = FIGURES,
    protocol: Protocol = "official",
    class_name: str = "",
    average: Average = "frames",
) -> Samples:
    """Pair the frames of all models in a frame table.

    Args:
        table: A frame table; without a model column it is one model named ''.
        figures: Names from ``FIGURES``, or numeric columns of the table such as ``MEASURED``.
            The score is added where its four figures are among them, and brings them along.
        protocol: As for ``metrics.endocv.add_figures``.
        class_name: Whose rows to use; by default the chosen class's.
        average: What means are over; ``sets`` needs the column ``test_set``.

    Raises:
        FaultsError: A model lacks a frame that another has, or has one twice.
        UserError: A column is missing, there are no rows of the class, or a figure is unknown.

    Example:
        >>> row = {"class": "polyp", "tp": 3, "fp": 1, "fn": 0, "tn": 6}
        >>> rows = [{**row, "model": model, "frame": frame} for model in "ab" for frame in "xyz"]
        >>> samples = collect(pd.DataFrame(rows), figures=["iou", "f1"])
        >>> samples.models, samples.frames, samples.values.shape
        (('a', 'b'), ('x', 'y', 'z'), (2, 3, 2))
    """
    require_columns(table, ["frame", "class", *(["test_set"] if average == "sets" else [])])
    class_name = class_name or chosen_class(table)
    rows = table[table["class"] == class_name]
    if rows.empty:
        raise UserError(f"expected frames of the class {class_name!r}, but the table has none.")
    full = add_figures(rows, protocol)
    figures = _columns_of(figures, full)
    names = full["model"] if "model" in full else pd.Series("", index=full.index)
    model_codes, models = pd.factorize(names)
    frame_codes, frames = pd.factorize(full["frame"])
    _refuse_unpaired(model_codes, frame_codes, models, frames)
    values = np.empty((len(models), len(frames), len(figures)))
    try:
        values[model_codes, frame_codes] = full[figures].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise UserError(f"expected figures that are numbers, but {error}.") from error
    chosen, values = _with_score(tuple(figures), values)
    frames_once, sets = full.drop_duplicates("frame"), None
    if average == "sets":
        sets = combine_codes(np.zeros(len(frames), dtype=np.int64), frames_once["test_set"])
    return Samples(
        models=tuple(str(name) for name in models),
        figures=chosen,
        values=values,
        clusters=clusters_of(frames_once),
        frames=tuple(str(name) for name in frames),
        sets=sets,
    )


def from_values(
    values: Mapping[str, npt.ArrayLike],
    figure: str = "f1",
    *,
    clusters: npt.NDArray[np.int64] | None = None,
) -> Samples:
    """One figure of some models on the same frames, from N values each.

    ``clusters`` are each frame's, 0 to C - 1; by default each frame is one.

    Raises:
        UserError: There is no model, or the lengths differ.

    Example:
        >>> from_values({"a": [0.9, 0.8, 0.4], "b": [0.5, 0.6, 0.4]}).values.shape
        (2, 3, 1)
    """
    columns = [np.asarray(one, dtype=np.float64) for one in values.values()]
    lengths = {one.shape for one in (*columns, *([] if clusters is None else [clusters]))}
    if not columns or len(lengths) > 1 or columns[0].ndim != 1:
        raise UserError(
            f"expected as many values of each model as there are frames, but got {lengths or None}."
        )
    return Samples(
        models=tuple(values),
        figures=(figure,),
        values=np.stack(columns)[..., None],
        clusters=np.arange(len(columns[0])) if clusters is None else clusters,
        frames=tuple(map(str, range(len(columns[0])))),
    )


def select(samples: Samples, figures: Sequence[str]) -> Samples:
    """The samples with some of their figures only, in the order given.

    Example:
        >>> row = {"frame": "x", "class": "polyp", "tp": 3, "fp": 1, "fn": 0, "tn": 6}
        >>> select(collect(pd.DataFrame([row])), ["f1"]).values.shape
        (1, 1, 1)
    """
    chosen = [samples.figures.index(name) for name in figures]
    weights = None if samples.weights is None else samples.weights[..., chosen]
    return replace(
        samples, figures=tuple(figures), values=samples.values[..., chosen], weights=weights
    )


def scale_of(values: Floats) -> float:
    """The largest finite absolute value, of which rounding errors are a share; 1 for none.

    Example:
        >>> scale_of(np.array([0.0, -2000.0, np.nan])), scale_of(np.zeros(3))
        (2000.0, 1.0)
    """
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0


def with_parts(figures: Sequence[str]) -> list[str]:
    """Some figures, each once, and behind them those that the score among them is the mean of.

    Example:
        >>> with_parts(["score", "iou", "f1"])
        ['score', 'iou', 'f1', 'f2', 'ppv', 'recall']
    """
    return list(dict.fromkeys([*figures, *(SCORED if "score" in figures else ())]))


def _columns_of(figures: Sequence[str], table: pd.DataFrame) -> list[str]:
    """The columns of a table that figures are taken or, as the score, formed from."""
    figures = [figures] if isinstance(figures, str) else figures
    columns = [name for name in with_parts(figures) if name != "score"]
    if unknown := [name for name in columns if name not in table]:
        measured = ", ".join((*MEASURED, "false_polyps", *frame_metrics()))
        raise UserError(
            f"no figure {', '.join(unknown)} here; there are score, {', '.join(FIGURES)}, and "
            f"where the evaluation measured them {measured}."
        )
    return columns


def _with_score(figures: tuple[str, ...], values: Floats) -> tuple[tuple[str, ...], Floats]:
    if not set(SCORED) <= set(figures):
        return figures, values
    score = values[..., [figures.index(name) for name in SCORED]].mean(axis=-1, keepdims=True)
    return (*figures, "score"), np.concatenate([values, score], axis=-1)


def _refuse_unpaired(
    model_codes: npt.NDArray[np.intp],
    frame_codes: npt.NDArray[np.intp],
    models: pd.Index[str],
    frames: pd.Index[str],
) -> None:
    cells = model_codes * len(frames) + frame_codes
    seen = np.bincount(cells, minlength=len(models) * len(frames))
    if (seen == 1).all():
        return
    wrong = np.argwhere(seen.reshape(len(models), len(frames)) != 1)
    counts = seen[wrong[:, 0] * len(frames) + wrong[:, 1]]
    raise FaultsError(
        [
            Fault(
                path=str(frames[frame]),
                message=f"expected once for each model, but {models[model]} has it {times} times. "
                "Evaluate every model on the same frames.",
            )
            for (model, frame), times in zip(wrong, counts, strict=True)
        ],
        summary="the models cannot be compared frame by frame",
    )
