"""``harness validate``, ``score``, ``submissions`` and ``leaderboard`` on one small round."""

from __future__ import annotations

import csv
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click.testing
import cv2
import numpy as np
import pytest

from harness.cli import cli
from harness.evaluation import score_packages, score_processes
from harness.evaluation.tables import load_scored
from harness.runs.workspace import Workspace
from metrics.utils.files import unwritable
from submissions.ledger import Ledger
from submissions.rounds import load_rounds
from submissions.writing.package import PackageWriter, format_for

NAMES = ("f0", "f1", "f2")
SETS = ("EndoCV_DATA1", "EndoCV_DATA2", "EndoCV_DATA3")
SHAPE = (30, 40)
Harness = Callable[..., click.testing.Result]


def disc(shift: int) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - 14) ** 2 + (columns - 15 - shift) ** 2 <= 64


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with frames, their truth, and nothing submitted."""
    monkeypatch.chdir(tmp_path)
    for test_set in SETS:
        for folder, suffix in (("frames", ".jpg"), ("truth", "_mask.png")):
            (tmp_path / folder / test_set).mkdir(parents=True)
            for name in NAMES:
                image = disc(0) * np.uint8(255)
                cv2.imwrite(str(tmp_path / folder / test_set / f"{name}{suffix}"), image)
    return tmp_path


@pytest.fixture
def harness(here: Path) -> Harness:
    def run(*arguments: object) -> click.testing.Result:
        return click.testing.CliRunner().invoke(cli, [str(a) for a in arguments])

    return run


def write(path: Path, shift: int, *, leave_out: str = "") -> Path:
    with PackageWriter(path) as writer:
        for test_set in SETS:
            for name in NAMES:
                if name != leave_out:
                    writer.add(test_set=test_set, name=name, mask=disc(shift), latency_ms=7.0)
    return path


def submit(here: Path, model: str, shift: int, round_name: str = "1") -> Path:
    path = here / "workspace" / "submissions" / f"round-{round_name}" / f"{model}.zip"
    with PackageWriter(path) as writer:
        for test_set in SETS:
            for name in NAMES:
                writer.add(test_set=test_set, name=name, mask=disc(shift), latency_ms=7.0 + shift)
        ledger = Ledger(here / "workspace")
        ledger.enter(load_rounds()[round_name], writer.seal(), model=model, run=f"{model}-1")
    return path


def test_validate_passes_a_sound_package(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 0)
    result = harness("validate", "p.zip", "--frames", "frames")
    assert result.exit_code == 0, result.output
    assert "no faults in 9 masks" in result.stderr
    by_round = harness("validate", "p.zip", "--round", "1", "--test-frames", "frames")
    assert by_round.exit_code == 0, by_round.output
    assert "Without the frames" not in by_round.stderr


def test_validate_names_every_fault_and_ends_with_one(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 0, leave_out="f1")
    result = harness("validate", "p.zip", "--frames", "frames", "--format", "json")
    assert result.exit_code == 1
    rows = json.loads(result.stdout)["rows"]
    assert [row["kind"] for row in rows] == ["missing"] * 3 + ["timing"] * 3
    assert all(row["path"].endswith("f1_mask.jpg") for row in rows[:3])
    without = harness("validate", "p.zip")
    assert without.exit_code == 0
    assert "missing masks" in without.stderr


def test_score_and_leaderboard_tell_who_leads(here: Path, harness: Harness) -> None:
    paths = [submit(here, "unet", 3), submit(here, "fpn", 1)]
    for path in paths:
        result = harness("score", path, "--truth", "truth")
        assert result.exit_code == 0, result.output
        assert "EndoCV_DATA2" in result.stdout
    board = harness("leaderboard", "--format", "json")
    assert board.exit_code == 0, board.output
    rows = json.loads(board.stdout)["rows"]
    ours = [row for row in rows if not row["paper"]]
    assert [(row["rank"], row["model"], row["n"]) for row in ours] == [
        (1, "fpn", 9),
        (2, "unet", 9),
    ]
    assert [row["latency_ms"] for row in ours] == [8.0, 10.0]
    paper = [row for row in rows if row["paper"]]
    assert {row["model"] for row in paper} == {"unet++", "triunet"}
    assert all(row["rank"] is None for row in paper)
    table = harness("leaderboard", "--round", "1")
    assert "the paper's official result" in table.stdout
    listed = harness("submissions", "--format", "json")
    scores = {row["model"]: row["score"] for row in json.loads(listed.stdout)["rows"]}
    assert scores["fpn"] > scores["unet"]
    assert "3 of 5 left today" in listed.stderr
    plain = harness("submissions").stdout
    assert all(row["package_sha256"][:8] in plain for row in json.loads(listed.stdout)["rows"])
    assert {"checkpoint_sha256", "settings", "run"} <= json.loads(listed.stdout)["rows"][0].keys()


def test_the_consensus_ranks_by_the_chosen_figures_and_test_sets(
    here: Path, harness: Harness
) -> None:
    for model, shift in (("unet", 3), ("fpn", 1), ("triunet", 2)):
        assert harness("score", submit(here, model, shift), "--truth", "truth").exit_code == 0
    line = ("leaderboard", "--table", "consensus", "--figure", "iou", "--figure", "recall")
    chosen = harness(*line, "--test-set", SETS[0], "--test-set", SETS[2], "--format", "json")
    assert chosen.exit_code == 0, chosen.output
    rows = json.loads(chosen.stdout)["rows"]
    assert [(row["model"], row["rank"], row["kemeny"], row["borda"]) for row in rows] == [
        ("fpn", 1, 1, 8.0),
        ("triunet", 2, 2, 4.0),
        ("unet", 3, 3, 0.0),
    ]
    assert [row[f"recall {SETS[2]}"] for row in rows] == [1.0, 2.0, 3.0]
    assert f"iou {SETS[1]}" not in rows[0]
    assert "Kemeny" in harness("leaderboard", "--table", "consensus", "--round", "1").stdout
    score = harness(*line[:3], "--figure", "score", "--format", "json")
    assert [row["model"] for row in json.loads(score.stdout)["rows"]] == ["fpn", "triunet", "unet"]
    assert f"f1 {SETS[0]}" not in json.loads(score.stdout)["rows"][0]
    assert "no test set nowhere" in harness(*line, "--test-set", "nowhere").output
    assert harness("leaderboard", "--figure", "iou").exit_code == 2


def test_what_was_scored_before_is_passed_over(here: Path, harness: Harness) -> None:
    (here / "packages").mkdir()
    write(here / "packages" / "team1.zip", 1)
    line = ("score", "packages", "--truth", "truth", "--round", "1", "--skip-scored")
    assert harness(*line).exit_code == 0
    write(here / "packages" / "team2.zip", 2)
    again = harness(*line, "--format", "json")
    assert again.exit_code == 0, again.output
    assert "1 package was scored before" in again.stderr
    assert {row["package"] for row in json.loads(again.stdout)["rows"]} == {"team2"}
    renamed = harness(*line, "--team", "other")  # the same bytes in another team's name
    assert "scored before" not in renamed.stderr
    cv2.imwrite(str(here / "truth" / SETS[0] / "f0_mask.png"), disc(1) * np.uint8(255))
    corrected = harness(*line)
    assert "scored before" not in corrected.stderr
    grey = harness(*line, "--threshold", "0.3")  # another reading of the same masks
    assert "scored before" not in grey.stderr
    assert "2 packages were scored before" in harness(*line, "--threshold", "0.3").stderr
    assert "scored before" not in harness(*line).stderr


def in_this_process(tasks: Sequence[score_processes.Task], _jobs: int) -> Iterator[Any]:
    return iter(enumerate(map(score_processes._score, tasks)))


@pytest.mark.parametrize("option", ["--jobs=2", "--skip-scored"])
def test_a_package_that_cannot_be_read_costs_none_of_the_others(
    here: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr(score_packages, "score_tasks", in_this_process)
    (here / "packages").mkdir()
    write(here / "packages" / "team1.zip", 1)
    write(here / "packages" / "team3.zip", 2)
    (here / "packages" / "team2.zip").symlink_to("nowhere.zip")

    result = harness("score", "packages", "--truth", "truth", "--round", "1", option)

    assert result.exit_code == 1
    assert "team2.zip: cannot be read" in result.stderr
    assert "1 of 3 packages could not be scored" in result.stderr
    assert set(Ledger(here / "workspace").scores()["team"]) == {"team1", "team3"}


@pytest.mark.parametrize("jobs", ["--jobs=1", "--jobs=2"])
def test_files_that_must_stay_cost_none_of_the_other_packages(
    here: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch, jobs: str
) -> None:
    monkeypatch.setattr(score_packages, "score_tasks", in_this_process)
    (here / "packages").mkdir()
    for number in (1, 2):
        write(here / "packages" / f"team{number}.zip", number)
    line = ("score", "packages", "--truth", "truth", "--round", "1", "--out", "results", jobs)
    assert harness(*line).exit_code == 0
    next((here / "results").rglob("team1*/**/frames.csv")).write_text("edited by hand")

    result = harness(*line, "--format", "json")

    assert result.exit_code == 1
    assert "the harness did not write it as it is now" in result.stderr
    assert {row["package"] for row in json.loads(result.stdout)["rows"]} == {"team2"}


def test_the_organisers_files_are_written(here: Path, harness: Harness) -> None:
    write(here / "team7.zip", 2)
    result = harness("score", "team7.zip", "--truth", "truth", "--round", "1", "--out", "results")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (here / "results").rglob("[!.]*") if path.is_file()}
    assert written == {f"{test_set}.json" for test_set in SETS} | {"frames.csv"}
    (path,) = (here / "results").rglob("EndoCV_DATA1.json")
    assert 0 < json.loads(path.read_text())["EndoCV2021_seg"]["dice"]["value"] < 1
    board = json.loads(harness("leaderboard", "--format", "json").stdout)["rows"]
    assert [row["team"] for row in board if not row["paper"]] == ["team7"]


def test_strict_has_true_distances_and_polyps(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 3)
    strict = ("score", "p.zip", "--truth", "truth", "--protocol", "strict", "--format", "json")
    contours = json.loads(harness(*strict, "--table", "contours").stdout)["rows"]
    assert [row["test_set"] for row in contours] == list(SETS)
    # A disc of the same size, three pixels to the right.
    assert {row["hausdorff_px"] for row in contours} == {3.0}
    polyps = json.loads(harness(*strict, "--table", "polyps").stdout)["rows"]
    assert [(row["lesion_sensitivity"], row["false_polyps_a_frame"]) for row in polyps] == [
        (1.0, 0.0)
    ] * 3
    refused = harness("score", "p.zip", "--truth", "truth", "--table", "polyps")
    assert refused.exit_code == 2
    assert "--protocol strict" in refused.output


@pytest.mark.parametrize("protocol", ["official", "strict"])
def test_generalisation_from_test_set_to_test_set(here, harness, protocol) -> None:
    path = here / "p.zip"
    with PackageWriter(path) as writer:
        for shift, test_set in enumerate(SETS):
            for name in NAMES:
                writer.add(test_set=test_set, name=name, mask=disc(shift), latency_ms=7.0)
    shown = harness("score", path, "--truth", "truth", "--protocol", protocol,
                    "--table", "generalisation", "--format", "json")  # fmt: skip
    assert shown.exit_code == 0, shown.output
    rows = {(r["reference"], r["other"]): r for r in json.loads(shown.stdout)["rows"]}
    assert len(rows) == 6
    first, last = rows[SETS[0], SETS[2]], rows[SETS[2], SETS[0]]
    assert first["gap_f1"] == pytest.approx(-last["gap_f1"])
    # Without a shift every figure is 1.
    both = (disc(0) & disc(2)).sum()
    assert first["gap_recall"] == pytest.approx(1 - both / disc(0).sum())
    assert "gap_closeness" in first


def test_of_a_folder_of_zips_the_bad_are_reported_and_the_rest_scored(
    here: Path, harness: Harness
) -> None:
    write(here / "teams" / "good.zip", 1)
    write(here / "teams" / "better.zip", 0)
    write(here / "teams" / "missing.zip", 0, leave_out="f2")
    (here / "teams" / "torn.zip").write_bytes(b"PK\3\4 and no more")
    result = harness("score", "teams", "--truth", "truth", "--round", "1", "--format", "csv")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["package", "better", "good"]
    assert "f2_mask.jpg" in result.stderr
    assert "cut short" in result.stderr
    assert "2 of 4 packages could not be scored" in result.stderr


def test_packages_are_found_in_every_form_that_teams_send(here: Path, harness: Harness) -> None:
    write(here / "teams" / "upper.ZIP", 1)
    write(here / "teams" / "red" / "submission.zip", 2)
    write(here / "teams" / "blue" / "submission.zip", 3)
    write(here / "unpacked.zip", 0)
    with zipfile.ZipFile(here / "unpacked.zip") as archive:
        archive.extractall(here / "teams" / "green")
    (here / "teams" / "rules.pdf").write_bytes(b"")
    os.mkfifo(here / "teams" / "pipe.zip")
    result = harness("score", "teams", "--truth", "truth", "--round", "1", "--format", "csv")
    assert result.exit_code == 1
    names = [line.split(",")[0] for line in result.stdout.splitlines()[1:]]
    assert names == ["green", "upper", "red/submission", "blue/submission"]
    entered = Ledger(here / "workspace").scores()
    of_teams = {*zip(entered["team"], entered["model"], strict=True)}
    assert of_teams >= {("red", "submission"), ("blue", "submission"), ("upper", "upper")}
    assert "passed over: rules.pdf" in result.stderr
    assert "pipe.zip" in result.stderr


NEXT = """
[rounds.next]
test_sets = ["north", "south"]
daily_limit = 1
time_zone = "Asia/Tokyo"
root = "Polyps2030"
task = ""
folders = "{test_set}"
masks = "{frame}_seg"
suffixes = [".png"]
timings = "ms-{test_set}.txt"
"""


def test_the_next_challenge_needs_no_code(here: Path, harness: Harness) -> None:
    (here / "rounds.toml").write_text(NEXT)
    round_ = load_rounds(here / "rounds.toml")["next"]
    with PackageWriter(here / "p.zip", file_format="png", layout=round_.layout) as writer:
        for test_set in ("north", "south"):
            mask = np.eye(20, 30, dtype=bool)
            writer.add(test_set=test_set, name="a", mask=mask, latency_ms=5.0)
            for folder, name in (("t", "a_seg.png"), ("f", "a.jpg")):
                (here / folder / test_set).mkdir(parents=True)
                cv2.imwrite(str(here / folder / test_set / name), mask * np.uint8(255))
    with zipfile.ZipFile(here / "p.zip") as archive:
        names = archive.namelist()[:2]
    assert names == ["Polyps2030/north/a_seg.png", "Polyps2030/north/ms-north.txt"]
    options = ("--round", "next", "--rounds", "rounds.toml")
    checked = harness("validate", "p.zip", *options, "--frames", "f")
    assert checked.exit_code == 0, checked.output
    scored = harness("score", "p.zip", *options, "--truth", "t", "--format", "csv")
    assert scored.exit_code == 0, scored.output
    assert len(scored.stdout.splitlines()) == 1 + 2 + 2  # a header, two sets, two averages
    old = harness("validate", "p.zip", "--round", "1", "--frames", "frames")
    assert "Polyps2030" in old.stdout
    assert old.exit_code == 1


def test_a_single_bad_package_ends_with_its_faults(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 0, leave_out="f2")
    result = harness("score", "p.zip", "--truth", "truth")
    assert result.exit_code == 1
    assert "6 faults" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("score", "frames", "--truth", "truth", "--round", "1"),
            "a folder of packages, found neither",
        ),
        (("score", "p.zip", "--truth", "nowhere"), "--truth"),
        (("score", "nowhere.zip", "--truth", "truth"), "cannot be read"),
        (("validate", "nowhere.zip"), "cannot be read"),
        (("validate", "p.zip", "--round", "7"), "no round '7'"),
        (("leaderboard",), "nothing to rank"),
        (("leaderboard", "--round", "7"), "no round '7'"),
        (("leaderboard", "--split", "val", "--round", "1"), "give one"),
        (("leaderboard", "--split", "val", "--protocol", "strict"), "give one"),
        (("submissions", "--workspace", "p.zip"), "cannot use the register"),
    ],
)
def test_wrong_input_is_told_plainly(here, harness, arguments, message) -> None:
    write(here / "p.zip", 0)
    result = harness(*arguments)
    assert result.exit_code == (2 if message == "give one" else 1)
    assert message in result.output
    assert not (here / "workspace").exists()


def test_an_interrupted_submission_is_named(here: Path, harness: Harness) -> None:
    submit(here, "unet", 0)
    write(here / "workspace" / "submissions" / "round-1" / "killed.zip", 1)
    result = harness("submissions")
    assert result.exit_code == 0
    assert "killed.zip: is not entered" in result.stderr


KEYS = {
    "root": "Results",
    "task": "",
    "folders": "set_{test_set}",
    "masks": "{frame}-seg",
    "suffixes": [".png"],
    "timings": "",
    "prefix": "EndoCV_",
    "test_sets": ["EndoCV_DATA2"],
    "time_zone": "Europe/Oslo",
    "release": "v9",
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("unpacked", [False, True])
def test_every_key_of_a_round_is_honoured(
    here: Path, harness: Harness, key: str, unpacked: bool
) -> None:
    toml = f"[rounds.own]\ndaily_limit = 3\n{key} = {json.dumps(KEYS[key])}\n"
    (here / "rounds.toml").write_text(toml)
    (here / "harness.toml").write_text('rounds = "rounds.toml"\ntest_frames = "frames"\n')
    round_ = load_rounds(here / "rounds.toml")["own"]
    package = here / "workspace" / "own.zip"
    with PackageWriter(
        package, layout=round_.layout, file_format=format_for(round_.layout)
    ) as writer:
        for test_set in round_.test_sets or SETS:
            for name in NAMES:
                writer.add(test_set=test_set, name=name, mask=disc(1), latency_ms=7.0)
        Ledger(here / "workspace").enter(round_, writer.seal(), model="m", run="m-1")
    if key == "masks":
        for path in (here / "truth").rglob("*.png"):
            path.rename(path.with_name(path.name.replace("_mask", "-seg")))
    if unpacked:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(here / "unpacked")
        package = here / "unpacked"

    validated = harness("validate", package, "--round", "own")
    scored = harness("score", package, "--truth", "truth", "--round", "own")
    ranked = harness("leaderboard", "--round", "own", "--format", "csv")
    listed = harness("submissions", "--round", "own", "--format", "csv")

    assert validated.exit_code == 0, validated.output
    assert scored.exit_code == 0, scored.output
    frames = 3 if key == "test_sets" else 9
    (row,) = csv.DictReader(ranked.stdout.splitlines())
    assert int(float(row["n"])) == frames
    assert listed.exit_code == 0, listed.output
    assert "own" in listed.stdout


def test_plain_folders_are_scored_and_not_entered(here: Path, harness: Harness) -> None:
    for shift, name in enumerate(("ours", "theirs")):
        for test_set in SETS:
            (here / "methods" / name / test_set).mkdir(parents=True)
            for frame in NAMES:
                file = here / "methods" / name / test_set / f"{frame}.png"
                cv2.imwrite(str(file), disc(3 * shift) * np.uint8(255))

    result = harness("score", "methods", "--truth", "truth", "--format", "csv", "--jobs", "2")

    assert result.exit_code == 0, result.output
    assert "--jobs is for packages" in result.stderr
    rows = [row for row in csv.DictReader(result.stdout.splitlines()) if row["test_set"] == "all"]
    assert [row["package"] for row in rows] == ["ours", "theirs"]
    assert float(rows[0]["score"]) == pytest.approx(1)
    assert float(rows[1]["score"]) < 0.9
    assert "not entered" in result.stderr
    assert Ledger(here / "workspace").scores().empty

    ours = here / "methods" / "ours" / SETS[0]
    cv2.imwrite(str(ours / f"{NAMES[0]}.png"), disc(0) * np.uint8(200))
    assert "1 mask of other values" in harness("score", "methods/ours", "--truth", "truth").stderr
    (ours / f"{NAMES[0]}.png").rename(ours / "other.png")
    assert "takes --round NAME" in harness("score", "methods/ours", "--truth", "truth").stderr


def test_score_replaces_no_file_of_others(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 1)
    arguments = ("score", "p.zip", "--truth", "truth", "--round", "1", "--out", "results")
    for _ in range(2):
        assert harness(*arguments).exit_code == 0
    (file,) = (here / "results").rglob("EndoCV_DATA2.json")
    file.write_text("by hand")

    refused = harness(*arguments)

    assert refused.exit_code == 1
    assert "EndoCV_DATA2.json" in refused.output
    assert file.read_text() == "by hand"
    assert harness(*arguments, "--overwrite").exit_code == 0
    assert file.read_text() != "by hand"


@pytest.mark.parametrize("command", ["submit", "validate", "score"])
def test_a_dead_link_to_a_test_set_is_a_fault(here: Path, harness: Harness, command: str) -> None:
    write(here / "p.zip", 1)
    for folder in ("frames", "truth"):
        (here / folder / "EndoCV_DATA4").symlink_to("nowhere")

    result = {
        "submit": lambda: harness("submit", "--round", "2", "--test-frames", "frames"),
        "validate": lambda: harness("validate", "p.zip", "--frames", "frames"),
        "score": lambda: harness("score", "p.zip", "--truth", "truth", "--round", "2"),
    }[command]()

    assert result.exit_code == 1
    assert "EndoCV_DATA4" in result.output
    assert "missing" in result.output


def test_packages_without_a_score_are_shown_without_a_rank(here: Path, harness: Harness) -> None:
    empty = np.zeros(SHAPE, np.uint8)
    for path in (here / "truth").rglob("*.png"):
        cv2.imwrite(str(path), empty)
    write(here / "full.zip", 1)
    with PackageWriter(here / "empty.zip") as writer:
        for test_set in SETS:
            for name in NAMES:
                writer.add(test_set=test_set, name=name, mask=empty > 0, latency_ms=7.0)
    strict = ("--round", "1", "--protocol", "strict")
    scored = harness("score", "full.zip", "empty.zip", "--truth", "truth", *strict)
    assert scored.exit_code == 0, scored.output

    shown = harness("leaderboard", *strict)

    assert shown.exit_code == 0, shown.output
    ranks = {line.split()[2]: line.split()[1] for line in shown.stdout.splitlines() if "9 " in line}
    assert ranks == {"full": "-", "empty": "-"}


def test_the_same_bytes_again_are_noted(here: Path, harness: Harness) -> None:
    package = submit(here, "unet", 3)
    assert "the same bytes" not in harness("validate", package).stderr
    checked = harness("validate", shutil.copy(package, here / "copy.zip"))
    assert "the same bytes as submission 1 (round 1, " in checked.stderr
    assert "the same bytes" not in harness("validate", write(here / "other.zip", 2)).stderr

    first = harness("score", "other.zip", "--truth", "truth", "--round", "1", "--team", "red")
    again = harness("score", "other.zip", "--truth", "truth", "--round", "1", "--team", "blue")
    assert "the same bytes" not in first.stderr
    assert "the same bytes as the package of red" in again.stderr


def test_a_black_set_is_noted(here: Path, harness: Harness) -> None:
    write(here / "p.zip", 100)  # every disc outside its frame
    result = harness("validate", "p.zip", "--frames", "frames")
    assert result.exit_code == 0
    assert "EndoCV_DATA2: all 3 masks are black" in result.stderr


def test_the_average_decides_who_leads(here: Path, harness: Harness) -> None:
    """A package that is good in a large set, one in a small set."""
    for name in ("f1", "f2"):
        for test_set in SETS[1:]:
            for file in here.glob(f"*/{test_set}/{name}*"):
                file.unlink()
    for model, shifts in (("large", (1, 4)), ("small", (4, 1))):
        with PackageWriter(here / f"{model}.zip") as writer:
            for test_set in SETS:
                large = test_set == SETS[0]
                for name in NAMES if large else NAMES[:1]:
                    mask = disc(shifts[0] if large else shifts[1])
                    writer.add(test_set=test_set, name=name, mask=mask, latency_ms=7.0)
    arguments = ("large.zip", "small.zip", "--truth", "truth", "--round", "1", "--format", "json")
    scored = {
        average: json.loads(harness("score", *arguments, "--average", average).stdout)["rows"]
        for average in ("sets", "frames")
    }
    led = {
        average: json.loads(
            harness("leaderboard", "--no-paper", "--format", "json", "--average", average).stdout
        )["rows"]
        for average in ("sets", "frames")
    }
    ranks = json.loads(harness("leaderboard", "--table", "ranks", "--format", "json").stdout)
    for rows, key in ((scored, "package"), (led, "model")):
        assert [row[key] for row in rows["sets"]] == ["small", "large"]
        assert [row[key] for row in rows["frames"]] == ["large", "small"]
        for average, found in rows.items():
            assert all(row["score"] == row[f"score_{average}"] for row in found)
            assert {row["average"] for row in found} == {average}
            assert {row["sd_name"] for row in found} == {f"sd_{average}"}
    # A row of it is named after team and model, which are both the file's name here.
    estimates = {row["model"].split()[0]: row["estimate"] for row in ranks["rows"]}
    assert list(estimates) == ["small", "large"]
    assert estimates == pytest.approx({row["model"]: row["score"] for row in led["sets"]})
    board = harness("leaderboard").stdout
    assert "Ranked by the average over sets" in board
    assert "Score (frames)" in board


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A workspace without the right to write; root, who runs tests, would have it."""

    def refuse(self: Workspace) -> None:
        raise unwritable(self.root, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(Workspace, "check_writable", refuse)


def test_a_workspace_shared_read_only_is_scored_into_out(
    here: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "p.zip", 2)
    read_only(monkeypatch)
    arguments = ("score", "p.zip", "--truth", "truth", "--format", "json")
    refused = harness(*arguments)
    assert refused.exit_code == 1
    assert "Permission denied" in refused.stderr

    scored = harness(*arguments, "--out", "results")
    assert scored.exit_code == 0, scored.output
    assert "nothing is registered" in scored.stderr
    assert len(list(here.glob("results/*/official/*.json"))) == 3
    assert not (here / "workspace").exists()


def test_a_scoring_that_is_interrupted_leaves_what_was_there(
    here: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the files, and between files and register."""
    submit(here, "unet", 2)
    command = ("score", "workspace/submissions/round-1/unet.zip", "--truth", "truth")
    assert harness(*command).exit_code == 0
    files = {file: file.read_bytes() for file in here.glob("workspace/scores/*/*/*.*")}
    for test_set in SETS:
        cv2.imwrite(str(here / "truth" / test_set / "f0_mask.png"), disc(5) * np.uint8(255))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for target in ("pandas.DataFrame.to_csv", "submissions.ledger.Ledger.enter_scores"):
        with monkeypatch.context() as patch:
            patch.setattr(target, interrupted)
            assert harness(*command).exit_code != 0
        if target.startswith("pandas"):
            assert {file: file.read_bytes() for file in files} == files
    (row,) = Ledger(here / "workspace").scores().to_dict("records")
    found, missing = load_scored(Workspace(here / "workspace"), {"unet": row})
    assert (found, missing) == ({}, ["unet"])
    assert harness(*command).exit_code == 0
    newest = Ledger(here / "workspace").scores().iloc[0].to_dict()
    assert list(load_scored(Workspace(here / "workspace"), {"unet": newest})[0]) == ["unet"]


def test_a_fault_of_the_truth_is_said_once_and_packages_by_their_team(
    here: Path, harness: Harness
) -> None:
    for team in ("red", "blue"):
        (here / "packages" / team).mkdir(parents=True)
        write(here / "packages" / team / "final.zip", shift=30 if team == "red" else 1)
    for truth, wanted in (
        ("turth", "a folder of truth masks"),
        ("packages", "folders EndoCV_DATA"),
    ):
        result = harness("score", "packages", "--truth", truth)
        assert result.exit_code == 1
        assert result.stderr.count(f"expected {wanted}") == 1
        assert "could not be scored" not in result.stderr
    assert "--round" in result.stderr
    scored = harness("score", "packages", "--truth", "truth", "--round", "1").stderr
    assert "red/final: result files in " in scored
    assert "blue/final: result files in " in scored


@pytest.mark.parametrize("protocol", ["official", "pranet"])
def test_a_fault_of_the_truth_is_none_of_plain_folders(
    here: Path, harness: Harness, protocol: str
) -> None:
    for method in ("a", "b"):
        shutil.copytree(here / "truth" / SETS[0], here / "results" / method)
    (here / "plain").mkdir()
    (here / "plain" / "f0.png").write_bytes(b"no image")
    for truth in ("turth", "frames/none", "plain"):
        result = harness("score", "results", "--truth", truth, "--protocol", protocol)
        assert result.exit_code == 1
        assert result.stderr.count("the truth") == 1
        assert "could not be scored" not in result.stderr


def test_a_corrected_truth_leaves_no_false_ranks(here: Path, harness: Harness) -> None:
    (here / "packages").mkdir()
    for shift, team in enumerate(("red", "blue", "green")):
        write(here / "packages" / f"{team}.zip", shift=shift)
    options = ("--round", "1", "--no-hausdorff", "--truth")
    assert harness("score", "packages", *options, "truth").exit_code == 0
    shutil.copytree(here / "truth", here / "corrected")
    cv2.imwrite(str(here / "corrected" / SETS[0] / "f0_mask.png"), disc(5) * np.uint8(255))
    harness("score", "packages/red.zip", *options, "corrected")
    partly = harness("leaderboard", "--table", "ranks")
    assert ": red, scored against another truth since" in partly.stderr
    assert "score packages" not in partly.stderr
    harness("score", "packages", *options, "corrected", "--skip-scored")
    wholly = harness("leaderboard", "--table", "ranks", "--format", "csv")
    assert wholly.stderr == ""
    assert {row["model"] for row in csv.DictReader(wholly.stdout.splitlines())} == {
        "red", "blue", "green",
    }  # fmt: skip
    again = harness("score", "packages", *options, "truth", "--skip-scored")
    assert "scored before" not in again.stderr


def test_packages_of_one_team_are_told_apart(here: Path, harness: Harness) -> None:
    for name, shift in (("first", 0), ("second", 9)):
        write(here / f"{name}.zip", shift=shift)
    options = ("--truth", "truth", "--team", "red", "--round", "1", "--format", "csv")
    scored = harness("score", "first.zip", "second.zip", *options)
    rows = list(csv.DictReader(scored.stdout.splitlines()))
    assert {row["package"] for row in rows} == {"red (first.zip)", "red (second.zip)"}
    options = (*options, "--protocol", "strict", "--table", "contours")
    contours = harness("score", "first.zip", "second.zip", *options)
    assert "red (second.zip)" in contours.stdout


def test_folders_of_one_name_are_told_apart(here: Path, harness: Harness) -> None:
    for method in ("a", "b"):
        shutil.copytree(here / "truth" / SETS[0], here / method / "maps")
    options = ("--truth", f"truth/{SETS[0]}", "--protocol", "pranet")
    scored = harness("score", "a/maps", "b/maps", *options)
    assert scored.exit_code == 0
    assert "maps (a/maps)" in scored.stdout


def test_validate_takes_several_packages(here: Path, harness: Harness) -> None:
    write(here / "packages" / "red.zip", 0)
    write(here / "packages" / "blue.zip", 0, leave_out="f1")
    result = harness("validate", "packages", "nowhere.zip", "--frames", "frames")
    assert result.exit_code == 1
    assert "packages/red.zip: no faults in 9 masks" in result.stderr
    assert "Faults in 2 of 3 packages" in result.stderr
    assert "packages/blue.zip: 6 faults" in result.stdout
    assert "nowhere.zip: cannot be read" in result.stdout

    listed = harness("validate", "packages", "--frames", "frames", "--format", "json")
    found = {one["metadata"]["package"]: len(one["rows"]) for one in json.loads(listed.stdout)}
    assert found == {"packages/blue.zip": 6, "packages/red.zip": 0}


def test_a_round_without_scores_names_those_that_have(here: Path, harness: Harness) -> None:
    write(here / "a.zip", 1)
    harness("score", "a.zip", "--truth", "truth", "--round", "2", "--no-hausdorff")
    for command in ("leaderboard", "report"):
        refused = harness(command, "--round", "1")
        assert refused.exit_code == 1
        assert "scored so far: round 2 (official)" in refused.stderr


def test_equal_teams_share_a_rank_and_keep_their_names(here: Path, harness: Harness) -> None:
    for team in ("red", "blue"):
        (here / "packages" / team).mkdir(parents=True)
        write(here / "packages" / team / "final.zip", shift=1)
    harness("score", "packages", "--truth", "truth", "--round", "1", "--no-hausdorff")
    board = harness("leaderboard", "--no-paper").stdout
    assert board.index("blue") < board.index("red")
    assert "Equal scores share a rank." in board
    paper = harness("leaderboard", "--table", "paper").stdout
    assert "blue final" in paper
    assert "red final" in paper
    for name in ("red", "red final"):
        left = harness("leaderboard", "--no-paper", "--without", name)
        assert "blue" in left.stdout
        assert "red" not in left.stdout
    for command in ("leaderboard", "report"):
        typo = harness(command, "--round", "1", "--without", "final")
        assert "nothing to leave out for final; scored are, as TEAM MODEL: blue fi" in typo.stderr
    nothing = harness("leaderboard", "--without", "red", "--without", "blue")
    assert "every scored package is left out" in nothing.stderr
