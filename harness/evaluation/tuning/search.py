"""Choose members, threshold, clean-up and test-time augmentation, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.tuning.member_maps import Truths, mean_of
from harness.inference.clean_up import CleanUp
from harness.inference.postprocess import THRESHOLD

THRESHOLDS: Final = tuple(round(0.05 * step, 2) for step in range(4, 17))
"""0.2 to 0.8."""

CLEAN_UPS: Final = (
    CleanUp(fill=True),
    CleanUp(smallest=0.0005, fill=True),
    CleanUp(smallest=0.002, fill=True),
    CleanUp(smallest=0.005, fill=True),
    CleanUp(largest=True, fill=True),
)

RESAMPLES: Final = 2000

Maps = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How an ensemble predicts.

    Attributes:
        members: Names of its members, in the order in which their maps are added.
        threshold: A pixel is of the class above it.
        clean_up: What is changed of a mask.
        tta: Whether maps are means over flips and scales of the frame.
    """

    members: tuple[str, ...]
    threshold: float = THRESHOLD
    clean_up: CleanUp = CleanUp()  # noqa: RUF009 - frozen
    tta: bool = False


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A choice that was tried, compared with what was chosen until then.

    Attributes:
        step: ``members``, ``threshold``, ``clean-up`` or ``test-time augmentation``.
        value: The candidate in words.
        mean: The figure's mean over frames.
        difference: To what was chosen until then; NaN for that itself.
        low: Lower end of its interval over sequences.
        high: Upper end.
        taken: Whether it was chosen.
    """

    step: str
    value: str
    mean: float
    difference: float
    low: float
    high: float
    taken: bool = False

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


class Search:
    """Tries choices on maps that were predicted before.

    Args:
        truths: The frames' truth.
        figure: What is to become better: ``score`` or a figure of the frame table, such as ``f1``.
        only_certain: Whether a change is taken only where its interval leaves out 0.
    """

    def __init__(self, truths: Truths, *, figure: str, only_certain: bool) -> None:
        self.truths = truths
        self.figure = figure
        self.only_certain = only_certain
        self.tried: list[Candidate] = []

    def members(self, choice: Choice, maps: Maps) -> Choice:
        """Members one by one: each time the one that makes the mean best, until none does."""
        if len(choice.members) < 2:
            return choice
        chosen: list[str] = []
        best = -np.inf
        while left := [name for name in choice.members if name not in chosen]:
            means = {
                name: self._mean(self._rows(replace(choice, members=(*chosen, name)), maps))
                for name in left
            }
            name = max(means, key=means.__getitem__)
            if means[name] <= best:
                break
            chosen.append(name)
            best = means[name]
        # In the order of the ensemble, in which their maps are added up.
        found = tuple(name for name in choice.members if name in chosen)
        options = [choice, replace(choice, members=found)] if found != choice.members else [choice]
        return self._take("members", options, maps, lambda one: ", ".join(one.members))

    def threshold(self, choice: Choice, maps: Maps) -> Choice:
        """The best of a grid of thresholds."""
        options = [choice] + [
            replace(choice, threshold=one) for one in THRESHOLDS if one != choice.threshold
        ]
        return self._take("threshold", options, maps, lambda one: f"{one.threshold:g}")

    def clean_up(self, choice: Choice, maps: Maps) -> Choice:
        """The best of a list of changes to the masks."""
        options = [choice, *(replace(choice, clean_up=one) for one in CLEAN_UPS)]
        return self._take("clean-up", options, maps, lambda one: str(one.clean_up))

    def tta(self, choice: Choice, maps: Maps, augmented: Maps) -> Choice:
        """Whether test-time augmentation pays."""
        options = [choice, replace(choice, tta=True)]
        words = {False: "no", True: "flips and scales"}
        return self._take(
            "test-time augmentation", options, maps, lambda one: words[one.tta], augmented
        )

    def _take(
        self,
        step: str,
        options: Sequence[Choice],
        maps: Maps,
        words: Callable[[Choice], str],
        augmented: Maps | None = None,
    ) -> Choice:
        """The best of the options, of which the first is what was chosen until then."""
        tables = [self._rows(one, augmented if one.tta and augmented else maps) for one in options]
        found = list(self._compared(step, [words(one) for one in options], tables))
        able = [0] + [at for at, one in enumerate(found) if one.is_certain or not self.only_certain]
        # Of equal ones the first, so that nothing is changed for nothing.
        taken = max(able, key=lambda at: (found[at].mean, -at))
        self.tried += [replace(one, taken=at == taken) for at, one in enumerate(found)]
        return options[taken]

    def _rows(self, choice: Choice, maps: Maps) -> list[dict[str, Any]]:
        return self.truths.measure(
            mean_of(maps, choice.members), threshold=choice.threshold, clean_up=choice.clean_up
        )

    def _mean(self, rows: list[dict[str, Any]]) -> float:
        from metrics.statistics.bootstrap import estimates

        samples = _samples({"": rows}, self.figure)
        return float(estimates(samples)[0, samples.figures.index(self.figure)])

    def _compared(
        self, step: str, names: Sequence[str], tables: Sequence[list[dict[str, Any]]]
    ) -> Iterator[Candidate]:
        from metrics.statistics.comparison import compare

        first, *others = names
        samples = _samples(dict(zip(names, tables, strict=True)), self.figure)
        mean = self._mean(tables[0])
        none = float("nan")
        yield Candidate(step=step, value=first, mean=mean, difference=none, low=none, high=none)
        for other in others:
            rows = compare(samples, other, first, resamples=RESAMPLES)
            row = next(one for one in rows if one.figure == self.figure)
            yield Candidate(
                step=step,
                value=other,
                mean=row.mean_a,
                difference=row.difference,
                low=row.low,
                high=row.high,
            )


def _samples(tables: Mapping[str, list[dict[str, Any]]], figure: str) -> Any:
    import pandas as pd

    from metrics.statistics.samples import collect

    rows = [{**row, "model": name} for name, of_name in tables.items() for row in of_name]
    return collect(pd.DataFrame(rows), figures=[figure])
