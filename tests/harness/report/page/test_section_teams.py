"""What a round's page says of many models: hard frames, test sets, and a page for each model."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.report.page import page, section_teams, team_pages
from harness.report.page.content import MANY, PageContent
from harness.report.page.gallery import Card
from harness.report.views.leaderboard import standings_view
from metrics.endocv import summarise
from metrics.statistics.samples import collect
from submissions.leaderboard import rank


def content_of(models: int) -> PageContent:
    """Models m0 (best) to mN on 40 frames of two sets; frame s0/0 is missed by all, s1 is easy."""
    rows = []
    generator = np.random.default_rng(0)
    for m in range(models):
        for n in range(40):
            hit = 5 if n == 0 else 98 if n % 2 else max(90 - 6 * m, 5) + int(generator.integers(3))
            rows.append(
                {"model": f"m{m}", "frame": f"s{n % 2}/{n}", "test_set": f"s{n % 2}", "tp": hit,
                 "class": "polyp", "fp": 4, "fn": 100 - hit, "tn": 800, "place": f"s{n % 2}",
                 "dataset": "x", "centre": "", "sequence": "", "height": 30, "width": 30,
                 "latency_ms": 1.0}
            )  # fmt: skip
    card = Card(
        frame="s0/0", image="data:image/jpeg;base64,", width=30, height=30, truth="M1 1L2 2Z",
        contours={f"m{m}": f"M{m} 0L9 9Z" for m in range(models)},
    )  # fmt: skip
    return PageContent(
        name="round 1", protocol="official", frames=pd.DataFrame(rows), cards=[card],
        facts={"frames": "40 frames"}, average="sets",
    )  # fmt: skip


def test_the_frame_that_all_miss_comes_first_and_the_easy_set_tells_nobody_apart() -> None:
    content = content_of(4)
    samples = collect(content.frames, average="sets")
    hardest, telling = section_teams.teams(content, samples)
    first = [cell.text for cell in hardest.lines[0].cells]
    assert first[0] == "s0/0"
    assert first[-1] == "4"
    assert "in 1 of 40 frames none of the 4 models reaches 0.5" in hardest.captions[0]
    few = content.frames[content.frames["frame"].isin(["s0/0", "s1/1"])]
    hardest = section_teams.hardest(dataclasses.replace(content, frames=few))
    assert hardest.captions[0].startswith("The 2 frames")
    rows = {line.cells[0].text: [cell.text for cell in line.cells] for line in telling.lines}
    assert float(rows["s1"][5]) == 0
    assert float(rows["s0"][5]) > 0
    assert float(rows["s0"][6]) == 1
    assert section_teams.teams(content_of(2), samples) == []
    renamed = content.frames.replace({"test_set": {"s0": "seq10", "s1": "seq2"}})
    telling = section_teams.telling_apart(dataclasses.replace(content, frames=renamed), samples)
    assert [line.cells[0].text for line in telling.lines] == ["seq2", "seq10"]


def test_a_page_for_each_model_is_linked_and_has_its_frames(tmp_path: Path) -> None:
    content = content_of(3)
    names = team_pages.names_of(content)
    team_pages.write(content, tmp_path, "../round.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names.values())
    text = (tmp_path / names["m2"]).read_text()
    assert "m2, round 1" in text
    assert '<path class="mask" d="M2 0L9 9Z"' in text
    assert all(f"s{n % 2}/{n}" in text for n in range(40))
    odd = content.frames.assign(model=content.frames["model"].str.replace("m", "../m/"))
    only_odd = PageContent(name="r", protocol="official", frames=odd, cards=[], facts={})
    assert all(
        re.fullmatch(r"\d+-m-\d\.html", name) for name in team_pages.names_of(only_odd).values()
    )


def test_a_leaderboard_leads_to_the_page_of_the_teams_own_model() -> None:
    content = content_of(3)
    who = [("sub", "sub", "sub"), ("red", "sub", "red sub"), ("blue", "other", "blue other")]
    names = {f"m{n}": name for n, (*_, name) in enumerate(who)}
    frames = content.frames.replace({"model": names})
    teams, models, _ = zip(*who, strict=True)
    scores = summarise(frames, ("model",)).assign(round="1", sd_sets=0.0, team=teams, model=models)
    board = standings_view(rank(scores, sd="sd_sets"), protocol="official", group="round")
    links = {name: f"{n}.html" for n, name in enumerate(names.values())}
    text = page.render(
        dataclasses.replace(content, frames=frames, leaderboard=board, team_pages=links, cards=[])
    )
    first = text[text.index("<tbody>") : text.index("</tbody>")]
    found = re.findall(r'<a href="(.*?)">(.*?)</a>', first)
    assert found == [("0.html", "sub"), ("1.html", "sub"), ("2.html", "other")]


def test_the_best_models_are_those_by_the_pages_own_average(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.report.page.content.MANY", 2)
    hits = {"m0": (9, 9, 9, 9), "m1": (8, 8, 8, 0), "m2": (4, 4, 4, 6)}
    rows = [
        {"model": model, "frame": str(n), "test_set": "y" if n == 3 else "x", "class": "polyp",
         "tp": tp, "fp": 0, "fn": 9 - tp, "tn": 90}
        for model, of_model in hits.items()
        for n, tp in enumerate(of_model)
    ]  # fmt: skip
    made = dataclasses.replace(content_of(1), frames=pd.DataFrame(rows))
    assert made.leading == ["m0", "m2"]
    assert dataclasses.replace(made, average="frames").leading == ["m0", "m1"]


def test_the_page_of_many_models_shows_marks_of_the_best_only() -> None:
    content = content_of(MANY + 2)
    text = page.render(content)
    for title in ("The hardest frames", "Significance map", "Podium"):
        assert f"<h3>{title}</h3>" in text
    assert "<h3>Difference in F1, row minus column</h3>" not in text
    assert f"The best {MANY} by mean F1" in text
    assert "1 of 40 frames have a picture: the worst and the best. The table" in text
    assert len(content.leading) == MANY
    assert content_of(3).leading == ["m0", "m1", "m2"]
