"""The page in a headless Chromium: no error, and everything that can be clicked does its work."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.report.page import team_pages
from harness.report.page.content import PageContent
from harness.report.page.page import render
from harness.report.views.leaderboard import standings_view
from metrics.endocv import summarise
from submissions.leaderboard import rank

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
SHOWN = (
    "return [...document.querySelectorAll('%s')].filter(e => !e.hidden).map(e => e.dataset.frame)"
)
CARDS, ROWS = SHOWN % ".card", SHOWN % "#rows tbody tr"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Any]:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    helper = shutil.which("chromedriver")
    if browser is None or helper is None:
        pytest.skip("needs chromium and chromedriver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path / 'browser'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(helper))
    yield started
    started.quit()


@pytest.fixture(scope="module")
def page_file(content: PageContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("browser") / "page.html"
    file.write_text(render(content), encoding="utf-8")
    return file


@pytest.fixture
def opened(driver: Any, page_file: Path) -> Any:
    driver.set_window_size(1400, 1000)
    driver.get(page_file.as_uri())
    wait(driver, "return [...document.querySelectorAll('.chart')].every(c => 'drawn' in c.dataset)")
    return driver


def wait(driver: Any, script: str) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(driver, 30).until(lambda one: one.execute_script(script))


def choose(driver: Any, name: str, value: str) -> None:
    driver.execute_script(
        "const c = document.querySelector(`#controls [name=${arguments[0]}]`);"
        "c.value = arguments[1]; c.dispatchEvent(new Event('input', {bubbles: true}));",
        name,
        value,
    )


def f1_of(content: PageContent, model: str) -> dict[str, float]:
    rows = content.polyp[content.polyp["model"] == model]
    return dict(zip(rows["frame"], rows["f1"], strict=True))


def test_it_loads_without_a_word_on_the_console(opened: Any) -> None:
    assert opened.get_log("browser") == []
    assert opened.find_element("id", "shown").text == "14 of 14 frames"


def is_within(driver: Any, width: int) -> bool:
    """Whether nothing sticks out sideways of a window of that width."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    return bool(driver.execute_script("return document.documentElement.scrollWidth") <= width)


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_sticks_out_sideways(opened: Any, width: int) -> None:
    assert is_within(opened, width)
    # Vega follows the window's size; a plot fills its place and does not leave it.
    filled = (
        "return [...document.querySelectorAll('.chart')].every(c => "
        "Math.abs(c.querySelector('svg').clientWidth - c.clientWidth) <= 1)"
    )
    wait(opened, filled)


def test_a_click_on_a_dot_opens_its_frame(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    chart = opened.find_element("css selector", "#disagreement .chart")
    # The last one is drawn on top.
    mark = chart.find_elements("css selector", "svg [aria-roledescription=point]")[-1]
    opened.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", mark
    )
    label = mark.get_attribute("aria-label")
    ActionChains(opened).move_to_element(mark).click().perform()
    assert opened.execute_script("return document.getElementById('full').open")
    title = opened.find_element("id", "full-title").text
    assert title.split(":")[0] in label


def test_cards_and_rows_are_sorted(opened: Any, content: PageContent) -> None:
    f1 = f1_of(content, "divergentnets")
    worst = opened.execute_script(CARDS)
    assert [f1[frame] for frame in worst] == sorted(f1.values())
    assert opened.execute_script(ROWS) == worst

    choose(opened, "sort", "best")
    assert [f1[frame] for frame in opened.execute_script(CARDS)] == sorted(f1.values())[::-1]

    choose(opened, "model", str(content.models.index("unet")))
    other = f1_of(content, "unet")
    assert [other[frame] for frame in opened.execute_script(ROWS)] == sorted(other.values())[::-1]

    assert content.members is not None
    choose(opened, "sort", "disagreement")
    spread = content.members.divergence.set_index("frame")["disagreement"]
    shown = [spread[frame] for frame in opened.execute_script(CARDS)]
    assert shown == sorted(spread, reverse=True)


def test_frames_are_filtered(opened: Any, content: PageContent) -> None:
    choose(opened, "place", "C2")
    assert {frame.split("/")[0] for frame in opened.execute_script(CARDS)} == {"C2"}
    assert opened.find_element("id", "shown").text == "5 of 14 frames"
    choose(opened, "place", "")
    choose(opened, "stratum", "none")
    assert len(opened.execute_script(ROWS)) == 3
    choose(opened, "stratum", "")
    choose(opened, "most", "0.75")
    expected = {frame for frame, value in f1_of(content, "divergentnets").items() if value <= 0.75}
    assert expected
    assert set(opened.execute_script(ROWS)) == set(opened.execute_script(CARDS)) == expected


def test_a_heading_sorts_its_table(opened: Any) -> None:
    opened.execute_script(
        "window.heads = document.querySelectorAll('#classes table')[0].tHead.rows[0].cells"
    )
    cells = (
        "return [...document.querySelectorAll('#classes table')[0].tBodies[0].rows]"
        ".map(r => +r.cells[2].textContent)"
    )
    opened.execute_script("heads[2].querySelector('button').click()")
    falling = opened.execute_script(cells)
    assert falling == sorted(falling, reverse=True)
    opened.execute_script("heads[2].querySelector('button').click()")
    assert opened.execute_script(cells) == falling[::-1]


def test_names_that_begin_with_the_same_number_are_sorted_by_the_rest(opened: Any) -> None:
    shown = opened.execute_script(
        "const table = document.querySelector('#classes table');"
        "['1/b', '10/a', '1/a', '2/a'].forEach((name, n) => "
        "{ table.tBodies[0].rows[n].cells[0].textContent = name; });"
        "const head = table.tHead.rows[0].cells[0].querySelector('button');"
        "head.click(); head.click();"
        "return [...table.tBodies[0].rows].map(r => r.cells[0].textContent);"
    )
    assert shown == ["1/a", "1/b", "2/a", "10/a"]


def test_the_papers_rows_stay_below_their_models(opened: Any) -> None:
    rows = (
        "const table = [...document.querySelectorAll('#classes table')][1];"
        "const said = () => [...table.tBodies[0].rows].map(r => r.cells[0].textContent.trim());"
        "const was = said(); table.tHead.rows[0].cells[6].querySelector('button').click();"
        "return [was, said()]"
    )
    before, after = opened.execute_script(rows)
    assert before != after
    assert set(after[::3]) == set(before[::3])
    assert [text.split()[0] for text in after[1::3]] == ["paper"] * 4


def test_a_click_shows_the_full_frame_with_each_model(opened: Any, content: PageContent) -> None:
    first = opened.execute_script(ROWS)[0]
    opened.execute_script("document.querySelector('#rows tbody tr button').click()")
    assert opened.execute_script("return document.getElementById('full').open")
    assert opened.find_element("id", "full-title").text.startswith(first)
    captions = [one.text for one in opened.find_elements("css selector", "#panels figcaption")]
    value = f1_of(content, "divergentnets")[first]
    assert captions[1:] == [
        "Frame",
        "Truth",
        *(f"{content.styles[m].label}, F1 {f1_of(content, m)[first]:.2f}" for m in content.models),
    ]
    assert f"F1 {value:.2f}" in captions[-1]
    painted = (
        "return [...document.querySelectorAll('#panels use')]"
        ".every(e => e.getBoundingClientRect().width > 100)"
    )
    assert opened.execute_script(painted)
    opened.find_element("css selector", "dialog [name=next]").click()
    assert opened.find_element("id", "full-title").text.startswith(opened.execute_script(CARDS)[1])


def test_each_model_beside_the_others(opened: Any, content: PageContent) -> None:
    choose(opened, "place", "C2")
    choose(opened, "show", "each")
    strips = opened.execute_script(
        "return [...document.querySelectorAll('.card')].filter(c => !c.hidden)"
        ".map(c => c.querySelectorAll('.panels figure').length)"
    )
    assert strips == [len(content.models) + 2] * 5
    choose(opened, "show", "one")
    assert opened.execute_script("return document.querySelectorAll('.panels').length") == 0


def test_colours_follow_the_reader_and_paper_is_white(opened: Any) -> None:
    look = (
        "return [getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill]"
    )
    seen = {}
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        seen[scheme] = opened.execute_script(look)
    light = ["rgb(255, 255, 255)", "rgb(28, 28, 28)"]
    assert seen == {"light": light, "dark": ["rgb(23, 23, 22)", "rgb(232, 232, 230)"]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", **feature})
    assert opened.execute_script(look) == light


def test_heads_of_tables_are_text_on_paper_which_the_next_page_repeats(opened: Any) -> None:
    """Of a head that it repeats on the next page, Chromium paints no button."""
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    shown = opened.execute_script(
        "return [...document.querySelectorAll('th button')].map(b => getComputedStyle(b).display)"
    )
    assert set(shown) == {"contents"}


def test_without_scripts_the_tables_are_there(driver: Any, page_file: Path) -> None:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver.get(page_file.as_uri())
    assert "need JavaScript" in driver.find_element("css selector", "header").text
    assert "DivergentNets" in driver.find_element("css selector", "#ranking table").text
    folded = driver.find_element("css selector", "#pairs details table")
    assert "U-Net" in folded.get_attribute("textContent")


@pytest.fixture(scope="module")
def round_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a round of twenty models with long names, and the models' own pages."""
    top = tmp_path_factory.mktemp("round")
    names = [f"team {n:02d} of a hospital with a long name" for n in range(20)]
    rows: list[dict[str, Any]] = [
        {"model": name, "frame": f"s{n % 2}/{n}", "test_set": f"s{n % 2}", "class": "polyp",
         "tp": 95 - 2 * m - n, "fp": 4, "fn": 5 + 2 * m + n, "tn": 800, "place": f"s{n % 2}",
         "dataset": "x", "centre": "", "sequence": "", "height": 30, "width": 30, "latency_ms": 1.0}
        for m, name in enumerate(names)
        for n in range(12)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    scored = summarise(table, ("model",)).assign(round="1", team="", sd_sets=0.0)
    of_round = PageContent(
        name="round 1", protocol="official", frames=table, cards=[], facts={}, average="sets",
        leaderboard=standings_view(rank(scored, sd="sd_sets"), protocol="official", group="round"),
    )  # fmt: skip
    files = team_pages.names_of(of_round)
    (top / "models").mkdir()
    team_pages.write(of_round, top / "models", "../page.html")
    links = {name: f"models/{file}" for name, file in files.items()}
    linked = dataclasses.replace(of_round, team_pages=links)
    (top / "page.html").write_text(render(linked), encoding="utf-8")
    return top / "page.html"


def test_the_leaderboard_of_a_round_sorts_filters_and_leads_to_the_models_pages(
    driver: Any, round_page: Path
) -> None:
    driver.set_window_size(1400, 1000)
    driver.get(round_page.as_uri())
    wait(driver, "return [...document.querySelectorAll('.chart')].every(c => 'drawn' in c.dataset)")
    board = "document.querySelector('#ranking table')"
    models = (
        f"return [...{board}.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[2].innerText)"
    )
    ranked = driver.execute_script(models)
    assert ranked == sorted(ranked)
    assert len(ranked) == 20
    driver.execute_script(f"{board}.tHead.rows[0].cells[2].querySelector('button').click()")
    assert driver.execute_script(models) == ranked[::-1]
    driver.find_element("css selector", "#ranking .filter input").send_keys("team 07")
    assert driver.execute_script(models) == [ranked[7]]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 1400
    driver.find_element("partial link text", "team 07").click()
    assert driver.find_element("css selector", "h1").text == f"{ranked[7]}, round 1"
    assert is_within(driver, 390)
    driver.find_element("link text", "All models of round 1").click()
    assert driver.current_url == round_page.as_uri()
    assert driver.get_log("browser") == []
