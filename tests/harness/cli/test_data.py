from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click.testing
import pytest

from harness.cli.data import command
from harness.config.settings import MEANINGS, variable

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in MEANINGS:
        monkeypatch.delenv(variable(name), raising=False)


def check(*arguments: object) -> click.testing.Result:
    return click.testing.CliRunner().invoke(command, ["check", *(str(a) for a in arguments)])


def test_a_sound_dataset(draw: Drawer) -> None:
    result = check("--endocv", draw.endocv(), "--hyperkvasir", draw.hyperkvasir())
    assert result.exit_code == 0
    assert "No faults." in result.stderr
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["train", "C1", "3", "3", "0", "56", "x", "40"] in lines
    assert any(line[:3] == ["val", "all", "4"] for line in lines)
    assert any("1,764" in line for line in lines)


def test_faults_end_with_status_1_and_are_all_named(draw: Drawer) -> None:
    root = draw.pairs("own", tuple(f"x{i}" for i in range(50)))
    for mask in (root / "masks").iterdir():
        mask.unlink()
    result = check("--hyperkvasir", root)
    assert result.exit_code == 1
    assert "51 faults:" in result.stderr
    assert all(f"x{i}.jpg: its mask is missing" in result.stderr for i in range(50))


def test_json_holds_counts_faults_and_notes(draw: Drawer) -> None:
    root = draw.endocv()
    (root / "data_C1/masks_C1/C1_2_mask.jpg").unlink()
    result = check("--endocv", root, "--format", "json")
    assert result.exit_code == 1
    values = json.loads(result.stdout)
    assert values["metadata"] == {"splits": "paper"}
    assert {"split": "train", "source": "C1", "frames": 2, "polyp": 2}.items() <= values["rows"][
        0
    ].items()
    assert [Path(fault["path"]).name for fault in values["faults"]] == ["C1_2.jpg"]
    assert any("C6 (1)" in note for note in values["notes"])


def test_withheld_truth_is_null_in_json(draw: Drawer) -> None:
    values = json.loads(check("--test-frames", draw.test_frames(), "--format", "json").stdout)
    assert [(row["source"], row["frames"], row["polyp"]) for row in values["rows"]] == [
        ("EndoCV_DATA1", 2, None),
        ("EndoCV_DATA2", 1, None),
    ]


@pytest.mark.parametrize("format_", ["csv", "markdown", "latex"])
def test_every_other_format(draw: Drawer, format_: str) -> None:
    result = check("--hyperkvasir", draw.hyperkvasir(), "--format", format_)
    assert result.exit_code == 0
    assert "hyperkvasir" in result.stdout


def test_a_users_splits_replace_the_papers(draw: Drawer, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[val]\ncentres = ["C1"]\n')
    result = check("--endocv", draw.endocv(), "--splits", path, "--format", "json")
    values = json.loads(result.stdout)
    assert values["metadata"] == {"splits": "mine"}
    assert [row["frames"] for row in values["rows"] if row["split"] == "val"] == [3, 3]


def test_the_splits_of_the_settings_are_not_those_of_another_folder(
    draw: Drawer, tmp_path: Path
) -> None:
    (tmp_path / "splits.toml").write_text('[train]\nframes = ["plain/1"]\n')
    (tmp_path / "harness.toml").write_text('train = "A"\nsplits = "splits.toml"\n')
    other = draw.pairs("B", ("1", "2"))
    assert "In no split: plain (2)." in check(other).stderr
    assert "in no split of 'splits'" in check(other, "--splits", "splits.toml").stderr.lower()


def test_any_folder_of_a_known_layout(draw: Drawer) -> None:
    values = json.loads(check(draw.pairs("Kvasir-SEG"), "--format", "json").stdout)
    assert [(row["source"], row["polyp"]) for row in values["rows"]] == [("kvasir-seg", 2)]
    assert any("kvasir-seg (2)" in note for note in values["notes"])


def test_all_folders_that_are_no_dataset_are_named(draw: Drawer) -> None:
    result = check("--endocv", draw.hyperkvasir(), "--hyperkvasir", "nowhere")
    assert result.exit_code == 1
    assert "expected EndoCV 2021" in result.stderr
    assert "nowhere does not exist" in result.stderr
    both = check("nowhere", "elsewhere").stderr
    assert "nowhere does not exist" in both
    assert "elsewhere does not exist" in both


def test_nothing_set_names_both_ways_on() -> None:
    result = check()
    assert result.exit_code == 1
    assert "harness init" in result.stderr
    assert "harness demo" in result.stderr


def test_cache_decodes_each_size_once(draw: Drawer, tmp_path: Path) -> None:
    arguments = ["cache", "--endocv", str(draw.endocv()), "--size", "32", "--size", "64"]
    result = click.testing.CliRunner().invoke(command, arguments)
    assert result.exit_code == 0
    assert "5 training and 4 validation frames at 64 x 64" in result.stderr
    folders = sorted((tmp_path / "workspace/cache").glob("*/"))
    assert len(folders) == 4
    before = [folder.stat().st_mtime_ns for folder in folders]
    assert click.testing.CliRunner().invoke(command, arguments).exit_code == 0
    assert sorted((tmp_path / "workspace/cache").glob("*/")) == folders
    assert [folder.stat().st_mtime_ns for folder in folders] == before


@pytest.mark.parametrize("size", ["0", "33", "16"])
def test_cache_refuses_sizes_that_no_network_takes(size: str) -> None:
    result = click.testing.CliRunner().invoke(command, ["cache", "--size", size])
    assert result.exit_code == 2
    assert "expected a multiple of 32" in result.output


def test_cache_without_frames_names_both_ways_on() -> None:
    result = click.testing.CliRunner().invoke(command, ["cache"])
    assert result.exit_code == 1
    assert "harness init" in result.stderr


def test_what_is_drawn_has_no_faults(tmp_path: Path) -> None:
    arguments = ["synth", str(tmp_path / "drawn"), "--frames", "40", "--height", "64"]
    result = click.testing.CliRunner().invoke(command, arguments)
    assert result.exit_code == 0
    assert f"harness init --endocv {tmp_path}/drawn/endocv2021" in result.stderr
    checked = check(
        "--endocv", tmp_path / "drawn/endocv2021", "--hyperkvasir", tmp_path / "drawn/hyperkvasir",
        "--test-frames", tmp_path / "drawn/endocv2021-test", "--format", "json",
    )  # fmt: skip
    values = json.loads(checked.stdout)
    assert values["faults"] == []
    totals = {row["split"]: row["frames"] for row in values["rows"] if row["source"] == "all"}
    assert set(totals) == {"train", "val", "test"}


def test_a_folder_with_something_in_it_is_not_drawn_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    result = click.testing.CliRunner().invoke(command, ["synth", str(tmp_path)])
    assert result.exit_code == 1
    assert "not an empty folder" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_seed_below_zero_is_wrong_usage(tmp_path: Path) -> None:
    result = click.testing.CliRunner().invoke(command, ["synth", str(tmp_path / "a"), "--seed=-1"])
    assert result.exit_code == 2
