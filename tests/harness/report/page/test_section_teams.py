"""What a round's page says of many models: hard frames, test sets, and a page for each model."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from harness.report.page import page, section_teams, team_pages
from harness.report.page.content import MANY, PageContent
from harness.report.page.gallery import Card
from metrics.statistics.samples import collect


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
    rows = {line.cells[0].text: [cell.text for cell in line.cells] for line in telling.lines}
    assert float(rows["s1"][5]) == 0
    assert float(rows["s0"][5]) > 0
    assert float(rows["s0"][6]) == 1
    assert section_teams.teams(content_of(2), samples) == []


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


def test_the_page_of_many_models_shows_marks_of_the_best_only() -> None:
    content = content_of(MANY + 2)
    text = page.render(content)
    for title in ("Frames that nobody gets right", "Significance map", "Podium"):
        assert f"<h3>{title}</h3>" in text
    assert "<h3>Difference in F1, row minus column</h3>" not in text
    assert f"The best {MANY} by mean F1" in text
    assert len(content.leading) == MANY
    assert content_of(3).leading == ["m0", "m1", "m2"]
