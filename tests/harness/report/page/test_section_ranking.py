from __future__ import annotations

import numpy as np
import pytest

from harness.report.page.section_ranking import headline
from metrics.statistics.samples import Samples


@pytest.mark.parametrize(
    ("models", "end"),
    [
        ("a b c far", "Not significantly worse: b, c."),
        ("c a b", "No other is significantly worse."),
        ("c a", "Not significantly worse: c."),
    ],
)
def test_the_headline_names_rivals_from_the_best_down(models: str, end: str) -> None:
    rng = np.random.default_rng(0)
    means = {"a": 0.50, "b": 0.49, "c": 0.48, "far": 0.1}
    values = {}
    for name, mean in means.items():
        noise = rng.normal(0, 0.1, 40)
        values[name] = mean + noise - noise.mean()
    samples = Samples(
        models=tuple(models.split()),
        figures=("score", "f1", "f2", "ppv", "recall"),
        values=np.stack([values[name] for name in models.split()])[..., None].repeat(5, axis=2),
        clusters=np.arange(40),
        frames=tuple(map(str, range(40))),
    )
    text = headline(samples)
    assert text.startswith("a ranks first with a score of 0.500")
    assert text.endswith(f" {end}")
