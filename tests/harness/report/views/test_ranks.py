from __future__ import annotations

import numpy as np

from harness.report.views.ranks import rank_view
from metrics.statistics.samples import Samples, from_values


def test_what_the_data_cannot_tell_reads_as_a_tie() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.6, 0.1, 60)
    values = np.stack([hard + rng.normal(0, 0.05, 60) for _ in range(3)])
    values[2] -= 0.3
    samples = Samples(
        models=("a", "b", "c"),
        figures=("f1",),
        values=values[..., None],
        clusters=np.arange(60),
        frames=tuple(map(str, range(60))),
    )
    view = rank_view(samples, title="", figure="f1")
    places = view.frame.set_index("model")["place"].to_dict()
    assert places == {"a": "1 =", "b": "1 =", "c": "3"}
    assert "n = 60 frames in 60" in view.caption
    assert "seed 0" in view.caption


def test_intervals_of_few_sequences_are_said_to_be_too_narrow() -> None:
    values = np.random.default_rng(0).random(12)
    captions = [
        rank_view(
            from_values({"a": values, "b": values / 2}, clusters=np.arange(12) % sequences),
            title="",
            figure="f1",
        ).caption
        for sequences in (1, 4, 6)
    ]
    assert ["too narrow" in caption for caption in captions] == [False, True, False]


def test_what_is_undefined_has_no_rank_and_ties_with_nothing() -> None:
    values = np.tile(np.linspace(0.1, 0.9, 8), (3, 1))
    values[1] -= 0.01
    values[2] = np.nan
    samples = Samples(
        models=("a", "b", "void"),
        figures=("ppv",),
        values=values[..., None],
        clusters=np.arange(8),
        frames=tuple("abcdefgh"),
    )
    view = rank_view(samples, title="", figure="ppv")
    assert [row[:20].split()[0] for row in view.render().splitlines()[2:5]] == ["1", "2", "-"]
    rows = view.frame.set_index("model")
    assert rows.loc["void"].drop("title").isna().all()
    assert rows.loc[["a", "b"], "ties"].tolist() == ["", ""]
    assert "A dash: ppv is undefined." in view.caption


def test_ties_are_named_from_the_best_down() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.5, 0.1, 60)
    better = {"a": 0.0, "b": 0.02, "c": 0.01, "far": 0.4}
    values = np.stack([hard + gain + rng.normal(0, 0.1, 60) for gain in better.values()])

    def ties(*models: str) -> dict[str, str]:
        samples = Samples(
            models=models,
            figures=("f1",),
            values=values[[[*better].index(name) for name in models], :, None],
            clusters=np.arange(60),
            frames=tuple(map(str, range(60))),
        )
        view = rank_view(samples, title="", figure="f1")
        order = [name for name in view.frame["model"] if name != "far"]
        found = view.frame.set_index("model")["ties"].to_dict()
        for name in order:
            others = ", ".join(other for other in order if other != name)
            assert found.pop(name) == (others if "far" in models else "all others")
        return found

    assert ties("a", "b", "c", "far") == {"far": ""}
    assert ties("a", "b", "c") == {}
