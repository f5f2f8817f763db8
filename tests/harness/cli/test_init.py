from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click.testing
import pytest

from harness.cli.init import command
from harness.config import settings

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def init(*arguments: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, [str(a) for a in arguments])


def test_what_is_found_is_written_and_the_next_steps_named(here: Path, draw: Drawer) -> None:
    result = init(
        "--endocv", draw.endocv(), "--hyperkvasir", draw.hyperkvasir(),
        "--test-frames", draw.test_frames(),
    )  # fmt: skip
    assert result.exit_code == 0
    loaded = settings.load(here, env={})
    assert loaded.require("endocv", "hyperkvasir", "test_frames") == (
        draw.root / "endocv2021", draw.root / "hyperkvasir", draw.root / "endocv2021-test",
    )  # fmt: skip
    for part in ("10 frames", "2 frames", "3 frames", "harness train", "harness submit --round 2"):
        assert part in result.stderr


def test_only_what_is_possible_comes_next(here: Path, draw: Drawer) -> None:
    result = init("--endocv", draw.endocv())
    assert "Not set yet: --hyperkvasir, --test-frames." in result.stderr
    assert "evaluate --split val" in result.stderr
    assert "evaluate --split test" not in result.stderr
    assert "submit" not in result.stderr


def test_relative_folders_are_kept_relative(here: Path, draw: Drawer) -> None:
    draw.endocv()
    assert init("--endocv", "../endocv2021", "--workspace", "out").exit_code == 0
    assert settings.read_file(here / "harness.toml") == {
        "endocv": "../endocv2021",
        "workspace": "out",
    }


def test_the_home_folder_is_found_where_no_shell_expands_it(
    here: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(draw.root))
    folder = draw.endocv()
    init("--endocv", f"~/{folder.name}")
    assert settings.load(here, env={}).endocv == folder


def test_all_faults_at_once_and_nothing_written(here: Path, draw: Drawer) -> None:
    (here / "file").write_text("")
    root = draw.endocv()
    (root / "data_C1/masks_C1/C1_2_mask.jpg").unlink()
    result = init(
        "--endocv", root, "--hyperkvasir", draw.test_frames(), "--test-frames", "nowhere",
        "--workspace", "file", "--splits", "file", "--rounds", "nowhere",
    )  # fmt: skip
    assert result.exit_code == 1
    assert "6 faults" in result.stderr
    for part in (
        "C1_2.jpg: its mask is missing", "expected images and masks", "nowhere does not exist",
        "expected a folder, or a name that is free", "no split",
        "--rounds: cannot read ",
    ):  # fmt: skip
        assert part in result.stderr
    assert not (here / "harness.toml").exists()


def test_another_folder_needs_force(here: Path, draw: Drawer) -> None:
    first, second = draw.hyperkvasir(), draw.pairs("other")
    assert init("--hyperkvasir", first).exit_code == 0
    before = (here / "harness.toml").read_text()
    refused = init("--hyperkvasir", second)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert str(first) in refused.stderr
    assert (here / "harness.toml").read_text() == before
    assert init("--hyperkvasir", second, "--force").exit_code == 0
    assert settings.load(here, env={}).hyperkvasir == second


def test_the_same_again_and_more_need_no_force(here: Path, draw: Drawer) -> None:
    folder = draw.hyperkvasir()
    assert init("--hyperkvasir", folder).exit_code == 0
    assert init("--hyperkvasir", f"{folder}/../hyperkvasir", "--workspace", "w").exit_code == 0
    assert settings.load(here, env={}).workspace == here / "w"
    assert init("--workspace", "w").exit_code == 0
    assert settings.load(here, env={}).hyperkvasir == folder


@pytest.mark.parametrize("text", ["endocv = ", 'mine = 1\nendocv = "x"'])
def test_a_file_that_cannot_be_used_is_kept_aside_with_force_only(
    here: Path, draw: Drawer, text: str
) -> None:
    (here / "harness.toml").write_text(text)
    assert init("--hyperkvasir", draw.hyperkvasir()).exit_code == 1
    result = init("--hyperkvasir", draw.hyperkvasir(), "--force")
    assert result.exit_code == 0
    assert "The earlier harness.toml is kept as harness.toml.bak." in result.stderr
    assert (here / "harness.toml.bak").read_text() == text
    assert settings.load(here, env={}).endocv is None


def test_each_file_that_is_kept_aside_is_named_as_it_was(here: Path) -> None:
    for copy in ("harness.toml.bak", "harness.toml-2.bak"):
        (here / "harness.toml").write_text("workspace = [")
        result = init("--workspace", "w", "--force")
        assert f"The earlier harness.toml is kept as {copy}." in result.stderr


def test_a_pair_may_have_the_name_of_a_setting(here: Path, draw: Drawer) -> None:
    root = draw.pairs("own", ("a", "b"))
    result = init(
        "--pair", "workspace", root / "images", root / "masks", "--workspace", "w",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert set(settings.load(here, env={}).test) == {"workspace"}


def test_comments_and_order_of_a_file_are_kept(here: Path, draw: Drawer) -> None:
    text = (
        "# ours\r\nworkspace = 'w' # big disk\r\n\r\n[classes]\r\n# white\r\npolyp = 255\r\n"
        "\r\n[test.own] # never change\r\nimages = 'a'\r\nmasks = 'b'\r\n"
    )
    (here / "harness.toml").write_bytes(text.encode())
    folder = draw.hyperkvasir()
    assert init("--hyperkvasir", folder, "--test", f"more={draw.pairs('B')}").exit_code == 1
    draw.pairs("C")
    for name in ("a", "b"):
        (here / name).symlink_to(draw.root / "C" / ("images" if name == "a" else "masks"))
    assert init("--hyperkvasir", folder, "--test", f"more={draw.root / 'B'}").exit_code == 0
    written = (here / "harness.toml").read_bytes().decode()
    for line in text.split("\r\n"):
        assert line in written
    assert settings.read_file(here / "harness.toml") == {
        "workspace": "w",
        "hyperkvasir": str(folder),
        "classes": {"polyp": 255},
        "test": {"own": {"images": "a", "masks": "b"}, "more": str(draw.root / "B")},
    }


def test_variables_that_win_over_the_file_are_named(
    here: Path, draw: Drawer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_ENDOCV", str(here))
    monkeypatch.setenv("HARNESS_WORKSPACE", "runs")
    result = init("--endocv", draw.endocv(), "--workspace", "runs")
    assert "wins over harness.toml" in result.stderr
    assert "should not: HARNESS_ENDOCV.\n" in result.stderr


def test_nothing_given_is_wrong_usage(here: Path) -> None:
    result = init()
    assert result.exit_code == 2
    assert "--endocv DIR" in result.stderr


def test_classes_are_written_and_kept(here: Path) -> None:
    assert init("--class", "polyp=255", "--class", "tool=128").exit_code == 0
    assert init("--workspace", "out").exit_code == 0
    assert settings.read_file(here / "harness.toml") == {
        "workspace": "out",
        "classes": {"polyp": 255, "tool": 128},
    }
    twice = init("--class", "polyp=255", "--class", "polyp=3")
    assert "the name polyp is given to more than one class" in twice.output
    changed = init("--class", "polyp=255", "--class", "tool=64")
    assert changed.exit_code == 1
    assert "polyp 255, tool 128 there, polyp 255, tool 64 here" in changed.stderr
    assert init("--class", "polyp=1", "--force").exit_code == 0
    assert settings.load(here, env={}).classes.values == (1,)
    assert init("--class", "a=#ff0000", "--class", "b=#00FF00", "--force").exit_code == 0
    assert settings.load(here, env={}).classes.values == ("#ff0000", "#00FF00")


@pytest.mark.parametrize("given", ["polyp", "polyp=white", "polyp=0", "all=3"])
def test_classes_that_cannot_be_are_refused(here: Path, given: str) -> None:
    assert init("--class", given).exit_code in (1, 2)
    assert not (here / "harness.toml").exists()


def test_folders_of_ones_own_are_written_by_role(here: Path, draw: Drawer) -> None:
    folders = [draw.pairs(name) for name in "ABCD"]
    first = init("--train", folders[0], "--val", folders[1], "--test", f"c={folders[2]}")
    assert first.exit_code == 0
    assert "--test c: 2 frames, images and masks" in first.stderr
    assert "Not set yet" not in first.stderr
    assert init("--test", folders[3]).exit_code == 0
    loaded = settings.load(here, env={})
    assert (loaded.train, loaded.val) == tuple(folders[:2])
    assert loaded.test == {"c": folders[2], "D": folders[3]}
    refused = init("--test", f"c={folders[3]}")
    assert refused.exit_code == 1
    assert f"--test c: {folders[2]} there, {folders[3]} here" in refused.stderr


def test_two_folders_of_any_names_are_a_pair(here: Path, draw: Drawer) -> None:
    for role in ("train", "val", "own"):
        draw.pair(draw.root / f"{role}/x/a.png", draw.root / f"{role}/y/a-label.png")
    pairs = [
        word
        for role in ("train", "val", "own")
        for word in ("--pair", role, draw.root / role / "x", draw.root / role / "y")
    ]
    assert "its mask is missing" in init(*pairs).stderr
    assert init(*pairs, "--mask-name", "label").exit_code == 2
    assert init(*pairs, "--mask-name", "{stem}-label").exit_code == 0
    assert settings.read_file(here / "harness.toml")["test"]["own"] == {
        "images": str(draw.root / "own/x"),
        "masks": str(draw.root / "own/y"),
        "mask_name": "{stem}-label",
    }


def test_masks_of_other_names_are_named_where_no_frame_is_left_to_divide(
    here: Path, draw: Drawer
) -> None:
    for name in ("a", "b", "c"):
        draw.pair(draw.root / f"x/{name}.png", draw.root / f"y/{name}-label.png")
    refused = init("--pair", "train", draw.root / "x", draw.root / "y")
    assert refused.exit_code == 1
    assert "none of the 3 frames has its mask" in refused.stderr
    assert "cannot divide" not in refused.stderr


def test_a_folder_alone_is_divided_once(here: Path, draw: Drawer) -> None:
    folder = draw.pairs("A", tuple(f"x{number}" for number in range(20)))
    result = init("--train", folder)
    assert result.exit_code == 0
    assert "Drew a division by seed 0, kept in splits.toml: train 16, val 2, test 2." in (
        result.stderr
    )
    assert "No sequences known" in result.stderr
    drawn = (here / "splits.toml").read_text()
    assert settings.load(here, env={}).splits == here / "splits.toml"

    assert init("--train", folder).exit_code == 0
    assert init("--train", folder, "--split-seed", "0").exit_code == 0
    assert "another division with --force" in init("--train", folder, "--split-seed", "7").stderr
    assert (here / "splits.toml").read_text() == drawn
    assert init("--train", folder, "--split-seed", "7", "--force").exit_code == 0
    assert "seed 7" in (here / "splits.toml").read_text()
    assert init("--train", folder, "--split-seed", "7", "--splits", "splits.toml").exit_code == 2
    assert init("--train", folder, "--split-seed", "0", "--force").exit_code == 0
    (here / "splits.toml.bak").unlink()
    other = draw.pairs("B", tuple(f"y{number}" for number in range(10)))
    assert "--splits: splits.toml there" in init("--train", other).stderr
    assert init("--train", other, "--force").exit_code == 0
    assert "plain/y1" in (here / "splits.toml").read_text()
    assert (here / "splits.toml.bak").read_text() == drawn
    assert init("--val", folder, "--force").exit_code == 0
    assert settings.load(here, env={}).splits is None


def test_a_file_that_is_there_is_not_overwritten(here: Path, draw: Drawer) -> None:
    (here / "splits.toml").write_text("mine")
    result = init("--train", draw.pairs("A", tuple("abcd")))
    assert result.exit_code == 1
    assert "splits.toml is there already" in result.stderr
    assert (here / "splits.toml").read_text() == "mine"
    assert not (here / "harness.toml").exists()


def test_own_frames_take_the_place_of_endocv_with_force_only(here: Path, draw: Drawer) -> None:
    assert init("--endocv", draw.endocv()).exit_code == 0
    own = ("--train", draw.pairs("A"), "--val", draw.pairs("B"))
    assert "--endocv" in init(*own).stderr
    assert init(*own, "--force").exit_code == 0
    assert settings.load(here, env={}).endocv is None


def test_a_division_goes_with_the_frames_it_divides(here: Path, draw: Drawer) -> None:
    first, moved = draw.pairs("A", tuple("abcd")), draw.pairs("B", tuple("abcd"))
    assert init("--train", first).exit_code == 0
    assert "only moved, give --splits splits.toml" in init("--train", moved).stderr
    assert init("--train", moved, "--splits", "splits.toml", "--force").exit_code == 0
    assert not (here / "splits.toml.bak").exists()
    assert init("--endocv", draw.endocv(), "--force").exit_code == 0
    assert settings.load(here, env={}).splits is None


def test_rounds_of_the_file_that_are_gone_are_told_before_anything_is_written(here: Path) -> None:
    (here / "harness.toml").write_text('rounds = "gone.toml"\n')
    result = init("--workspace", "out")
    assert result.exit_code == 1
    assert "--rounds: cannot read" in result.output
    assert "out" not in (here / "harness.toml").read_text()
