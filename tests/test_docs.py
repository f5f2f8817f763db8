"""The documents say what is true: their examples run, their commands and links exist."""

from __future__ import annotations

import doctest
import re
import shlex
import shutil
import sys
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from harness.cli import SECTIONS, cli
from harness.data import layouts
from harness.data.synthetic.dataset import write_dataset
from metrics import registry as metric_registry
from models import registry

ROOT: Final = Path(__file__).parents[1]
DOCUMENTS: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])


def commands(text: str) -> Iterator[list[str]]:
    """The words of every 'harness ...' line in a shell block, up to a comment."""
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        for line in block.splitlines():
            for part in re.split(r"&&|\||;", line.split(" #")[0]):
                words = part.split()
                if words[:1] == ["harness"]:
                    yield words[1:]


def test_examples_print_what_they_say() -> None:
    result = doctest.testfile(str(ROOT / "docs" / "protocol.md"), module_relative=False)
    assert result.attempted > 30
    assert result.failed == 0


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that words lead to, and the words after its name."""
    found: click.Command = cli
    left = list(words)
    while isinstance(found, click.Group) and left and not left[0].startswith("-"):
        name = left.pop(0)
        following = found.get_command(click.Context(found), name)
        assert following is not None, f"there is no command {name} in {words}"
        found = following
    return found, left


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_exist(document: Path) -> None:
    for words in commands(document.read_text(encoding="utf-8")):
        found, left = resolve(words)
        known = {option for one in found.params for option in [*one.opts, *one.secondary_opts]}
        used = {word.split("=")[0] for word in left if word.startswith("--")}
        assert used <= known | {"--help"}, words


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of docs/extending.md, installed; its metadata are read from the page as well."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    site = tmp_path / "site"
    written = site / "colonkit-1.0.dist-info"
    written.mkdir(parents=True)
    (site / "colonkit.py").write_text("\n".join(blocks(text, "python")))
    packaging, rounds = blocks(text, "toml")
    project = tomllib.loads(packaging)["project"]
    groups = project["entry-points"].items()
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in e.items()) for group, e in groups]
    (written / "entry_points.txt").write_text("\n".join(lines))
    (written / "METADATA").write_text("Metadata-Version: 2.1\nName: colonkit\nVersion: 1.0\n")
    place = tmp_path / "place"
    place.mkdir()
    (place / "rounds.toml").write_text(rounds)
    caches = (registry._plug_ins, layouts.known_layouts, metric_registry.frame_metrics)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(place)
    for one in caches:
        one.cache_clear()
    yield place
    for one in caches:
        one.cache_clear()
    sys.modules.pop("colonkit", None)


def test_the_plug_ins_of_the_page_do_what_it_says(plug_in: Path) -> None:
    drawn = write_dataset(plug_in / "drawn", frames=60, height=64)
    for number in (1, 2):
        for kind, folder in (("images", f"case{number}"), ("masks", f"case{number}_GT")):
            (found,) = drawn.hyperkvasir.glob(f"**/{kind}")
            files = sorted(found.iterdir())[2 * number : 2 * number + 2]
            (plug_in / "cases" / folder).mkdir(parents=True)
            for file in files:
                shutil.copy(file, plug_in / "cases" / folder)
    run(f"init --endocv {drawn.endocv} --hyperkvasir {drawn.hyperkvasir} "
        f"--test-frames {drawn.test_frames}")  # fmt: skip
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    output = {" ".join(words): run(words) for words in commands(text) if "A" not in words}

    assert re.search(r"^plain +Plain", output["models"], flags=re.MULTILINE)
    checked = output["data check --hyperkvasir cases"]
    assert re.search(r"^test +\w+ +4 ", checked, flags=re.MULTILINE)
    assert "Area error, left out" in output["evaluate --split test --model plain --table more"]
    assert "Plain" in output["evaluate --split test --model plain --hyperkvasir cases"]
    ranked = output["leaderboard --round 3 --rounds rounds.toml"]
    assert "plain" in ranked


@pytest.mark.slow
def test_the_tutorial_can_be_followed_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    assert len(lines) > 10
    for line in lines:
        words = [name for word in shlex.split(line) for name in (expanded(word))]
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
            continue
        assert words[0] == "harness"
        # Fewer frames and epochs than a reader waits for; everything else is as written.
        shorter = ["--frames", "60", "--epochs", "1"] if words[1] == "demo" else []
        printed = run([*words[1:], *shorter])
        # Of what the demo's commands print, only the leaderboard is left.
        assert words[1] != "demo" or len(printed.splitlines()) < 40
    assert Path("workspace/report-test.html").exists()
    assert Path("workspace/report-round-2.html").exists()
    assert Path("masks/uncertainty").is_dir()


def expanded(word: str) -> list[str]:
    """The files that a word with a star stands for, as a shell has it."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def run(words: str | list[str]) -> str:
    """What a command prints; it has to end well."""
    split = shlex.split(words) if isinstance(words, str) else words
    result = CliRunner().invoke(cli, split, catch_exceptions=False)
    assert result.exit_code == 0, (words, result.output)
    return result.stdout


def test_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [name for section in SECTIONS.values() for name in section]
    assert names
    assert [name for name in names if f"`harness {name}" not in readme] == []


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", text):
        if "://" in target:
            continue
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


def draw_cells(folder: Path, names: list[str], masks: Path) -> None:
    """Pictures of a cell with a nucleus, and masks of equal names (255 nucleus, 128 cell)."""
    folder.mkdir(parents=True)
    masks.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:64, :64]
    for number, name in enumerate(names):
        middle = 24 + number % 16
        distance = np.hypot(rows - middle, columns - 32)
        mask = np.select([distance < 8, distance < 20], [255, 128]).astype(np.uint8)
        noise = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 40, mask.shape)
        picture = np.stack([255 - mask // 2 - noise, 120 + noise, mask // 2 + noise], axis=-1)
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{name}.png")
        Image.fromarray(mask).save(masks / f"{name}.png")


def test_masks_of_single_classes_are_joined_as_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = np.eye(2, dtype=np.uint8) * 255
    for folder, name in (("images", "a"), ("images", "b"), ("shaft", "a"), ("tip", "a")):
        Path(folder).mkdir(exist_ok=True)
        Image.fromarray(found if folder != "tip" else found[::-1]).save(f"{folder}/{name}.png")
    exec("".join(blocks((ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), "python")))
    joined, empty = (np.asarray(Image.open(f"masks/{name}.png")) for name in "ab")
    assert joined.tolist() == [[128, 255], [255, 128]]
    assert not empty.any()


@pytest.mark.slow
def test_the_page_of_another_field_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    Path("rounds.toml").write_text("\n".join(blocks(text, "toml")))
    draw_cells(Path("cells/images"), [f"well_{at:02}" for at in range(24)], Path("cells/masks"))
    for plate in "ab":
        names = [f"{plate}_{at:02}" for at in range(3)]
        draw_cells(Path(f"plates/plate_{plate}"), names, Path(f"truth/plate_{plate}"))
    printed = {}
    for line in "".join(blocks(text, "sh")).splitlines():
        words = [name for word in shlex.split(line) for name in expanded(word)]
        shorter = ["--epochs", "8", "--size", "64", "--set", "grow_from=0"]
        printed[words[1]] = run([*words[1:], *(shorter if words[1] == "train" else [])])

    assert "nucleus" in printed["evaluate"]
    assert "cell" in printed["evaluate"]
    found = re.search(r"divergentnets\S* .*?(0\.\d{3})", printed["leaderboard"].lower())
    assert found is not None, printed["leaderboard"]
    assert float(found[1]) > 0.5  # all of a picture called nucleus gives 0.36
