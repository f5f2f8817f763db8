from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest

import submissions
from metrics.utils.errors import FaultsError, UserError
from submissions.layout import PackageLayout
from submissions.rounds import BUILT_IN, Round, find_frames, frame_sizes, get_round, load_rounds


@pytest.fixture
def release(tmp_path: Path) -> Path:
    folder = tmp_path / "release"
    for number, (height, width) in enumerate([(12, 20), (30, 16), (9, 9), (14, 11)], start=1):
        test_set = folder / f"EndoCV_DATA{number}"
        test_set.mkdir(parents=True)
        for frame in range(2):
            image = np.full((height, width, 3), 90, np.uint8)
            cv2.imwrite(str(test_set / f"f{number}_{frame}.jpg"), image)
        (test_set / ".DS_Store").write_bytes(b"x")
        (test_set / "notes.txt").write_text("not a frame")
    return folder


def test_built_in_rounds_are_the_challenges() -> None:
    rounds = load_rounds()
    assert rounds["1"].test_sets == ("EndoCV_DATA1", "EndoCV_DATA2", "EndoCV_DATA3")
    assert (rounds["1"].daily_limit, rounds["2"].daily_limit) == (5, 2)
    assert rounds["2"].test_sets is None
    assert tuple(rounds.values()) == BUILT_IN


def test_round_one_takes_its_three_sets_and_round_two_every_set(release: Path) -> None:
    rounds = load_rounds()
    assert list(find_frames(rounds["1"], release)) == [f"EndoCV_DATA{k}" for k in (1, 2, 3)]
    frames = find_frames(rounds["2"], release)
    assert list(frames) == [f"EndoCV_DATA{k}" for k in (1, 2, 3, 4)]
    assert list(frames["EndoCV_DATA4"]) == ["f4_0", "f4_1"]
    assert frame_sizes(frames)["EndoCV_DATA2"] == {"f2_0": (30, 16), "f2_1": (30, 16)}


def test_missing_and_empty_sets_are_named_at_once_with_the_fix(release: Path) -> None:
    for path in (release / "EndoCV_DATA1").iterdir():
        path.unlink()
    for path in (release / "EndoCV_DATA3").iterdir():
        path.unlink()
    (release / "EndoCV_DATA3").rmdir()
    with pytest.raises(FaultsError) as caught:
        find_frames(load_rounds()["1"], release)
    assert [Path(fault.path).name for fault in caught.value.faults] == [
        "EndoCV_DATA1",
        "EndoCV_DATA3",
    ]
    assert all("harness init --test-frames" in fault.message for fault in caught.value.faults)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_test_sets_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="harness init --test-frames"):
        find_frames(load_rounds()["2"], tmp_path / name)


def test_unreadable_frames_are_named_at_once(release: Path) -> None:
    for name in ("f1_0", "f1_1"):
        (release / "EndoCV_DATA1" / f"{name}.jpg").write_bytes(b"no image")
    with pytest.raises(FaultsError) as caught:
        frame_sizes(find_frames(load_rounds()["1"], release))
    assert len(caught.value.faults) == 2
    assert "f1_0.jpg" in caught.value.message
    assert "f1_1.jpg" in caught.value.message


def test_two_frames_of_one_name_are_a_fault(release: Path) -> None:
    image = np.zeros((12, 20, 3), np.uint8)
    cv2.imwrite(str(release / "EndoCV_DATA1" / "f1_0.png"), image)
    with pytest.raises(FaultsError, match="the same name as"):
        find_frames(load_rounds()["1"], release)


@pytest.mark.parametrize("name", ["f ", " f", "average_t"])
def test_a_name_that_a_timing_file_cannot_hold_is_a_fault(release: Path, name: str) -> None:
    (release / "EndoCV_DATA1" / "f1_0.jpg").rename(release / "EndoCV_DATA1" / f"{name}.jpg")
    with pytest.raises(FaultsError, match="no timing file can hold its name"):
        find_frames(load_rounds()["1"], release)
    untimed = Round(name="3", daily_limit=1, layout=PackageLayout(timings=""))
    assert name in find_frames(untimed, release)["EndoCV_DATA1"]


def test_a_file_adds_rounds_without_code(tmp_path: Path) -> None:
    file = tmp_path / "rounds.toml"
    file.write_text(
        '[rounds.final]\ntest_sets = ["A", "B"]\ndaily_limit = 7\n'
        'time_zone = "Europe/Oslo"\nrelease = "v9"\nroot = "Polyps2030"\n'
        'task = ""\nfolders = "set-{test_set}"\nmasks = "{frame}.seg"\nsuffixes = [".png"]\n'
        'timings = ""\nprefix = "S"\n'
    )
    rounds = load_rounds(file)
    assert list(rounds) == ["1", "2", "final"]
    assert rounds["final"] == Round(
        name="final",
        test_sets=("A", "B"),
        daily_limit=7,
        time_zone="Europe/Oslo",
        release="v9",
        layout=PackageLayout(
            root="Polyps2030",
            task="",
            folders="set-{test_set}",
            masks="{frame}.seg",
            suffixes=(".png",),
            timings="",
            prefix="S",
        ),
    )
    assert rounds["final"].layout.mask("A", "x") == "Polyps2030/set-A/x.seg.png"


def test_every_fault_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "rounds.toml"
    file.write_text(
        '[rounds.3]\ndaily_limit = 0\ntime_zone = "Europe/Atlantis"\ndayly_limit = 3\n'
        '[rounds.4]\ndaily_limit = 2\ntest_sets = ["../up"]\nroot = 5\n'
        '[rounds.5]\ndaily_limit = 2\ntask = "a/b"\nfolders = "pred"\nmasks = "{frame}{frame}"\n'
        'suffixes = [".exe"]\ntimings = "{frame}.txt"\n'
    )
    with pytest.raises(FaultsError) as caught:
        load_rounds(file)
    text = caught.value.message
    assert len(caught.value.faults) == 10
    for part in (
        "daily_limit",
        "Europe/Atlantis",
        "unknown key 'dayly_limit'; did you mean 'daily_limit'?",
        "'../up'",
        "root",
        "'a/b'",
        "'pred'",
        "masks",
        ".exe",
        "timings",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("text", "message"),
    [("rounds = 3", "expected tables"), ("[rounds", "is not TOML"), ("", "expected tables")],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rounds.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        load_rounds(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read "):
        load_rounds(tmp_path / "rounds.toml")


def test_an_unknown_round_names_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "rounds.toml"
    file.write_text("[rounds.final]\ndaily_limit = 1\n")
    with pytest.raises(UserError, match="Did you mean 'final'"):
        get_round("finale", load_rounds(file))


@pytest.mark.realframes
def test_the_real_release_holds_both_rounds(test_frames: Path) -> None:
    rounds = load_rounds()
    first, second = (find_frames(rounds[name], test_frames) for name in ("1", "2"))
    assert set(first) <= set(second)
    sizes = frame_sizes(second)
    assert {name: len(found) for name, found in sizes.items()} == {
        name: len(found) for name, found in second.items()
    }
    assert all(
        height > 0 and width > 0 for each in sizes.values() for height, width in each.values()
    )


def test_the_guides_table_shows_what_the_challenge_has(tmp_path: Path) -> None:
    guide = Path(submissions.__file__).parents[1] / "docs" / "guide.md"
    file = tmp_path / "rounds.toml"
    blocks = [block.split("```")[0] for block in guide.read_text("utf-8").split("```toml\n")[1:]]
    file.write_text(next(block for block in blocks if "[rounds.3]" in block))
    shown = load_rounds(file)["3"]
    assert shown.layout == PackageLayout()
    assert (shown.daily_limit, shown.time_zone) == (2, "UTC")
    keys = {field.name for field in fields(Round) + fields(PackageLayout)} - {"name", "layout"}
    assert set(tomllib.loads(file.read_text())["rounds"]["3"]) == keys
