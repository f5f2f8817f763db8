from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from metrics.utils.errors import UserError
from submissions.ledger import Ledger, LimitError
from submissions.reading.validate import inspect_package
from submissions.rounds import Round, load_rounds
from submissions.writing.package import PackageWriter
from submissions.writing.publish import manifest_path

ROUND = load_rounds()["2"]
NOON = dt.datetime(2021, 3, 1, 12, tzinfo=dt.UTC)


def submit(ledger: Ledger, path: Path, round_: Round = ROUND, **options):
    with PackageWriter(path) as writer:
        mask = np.eye(12, dtype=bool)
        writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=4.0)
        return ledger.enter(round_, writer.seal(), **{"model": "unet", "now": NOON, **options})


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger(tmp_path / "workspace")


def test_a_submission_is_entered_with_all_that_made_it(ledger, tmp_path) -> None:
    path = tmp_path / "p.zip"
    entry = submit(ledger, path, run="unet-1", checkpoint_sha256="ab", settings={"tta": False})
    assert (entry.number, entry.left) == (1, 1)
    assert inspect_package(path).faults() == []
    (row,) = ledger.submissions().to_dict("records")
    assert row["model"] == "unet"
    assert row["run"] == "unet-1"
    assert row["day"] == "2021-03-01"
    assert row["package"] == str(path)
    assert row["checkpoint_sha256"] == "ab"
    assert row["frames"] == 1
    assert row["latency_ms"] == 4.0
    assert row["settings"] == '{"tta": false}'
    assert row["score"] is None or np.isnan(row["score"])


def test_the_limit_holds_and_a_refused_package_leaves_nothing(ledger, tmp_path) -> None:
    for number in range(2):
        submit(ledger, tmp_path / f"{number}.zip")
    with pytest.raises(LimitError, match="2 submissions a day"):
        submit(ledger, tmp_path / "third.zip")
    assert not (tmp_path / "third.zip").exists()
    assert not manifest_path(tmp_path / "third.zip").exists()
    assert len(ledger.submissions()) == 2
    assert ledger.left(ROUND, now=NOON) == 0
    submit(ledger, tmp_path / "third.zip", load_rounds()["1"])  # another round counts apart
    submit(ledger, tmp_path / "next.zip", now=NOON + dt.timedelta(days=1))


@pytest.mark.parametrize(
    ("zone", "days"),
    [("UTC", ["2021-03-01", "2021-03-02"]), ("Asia/Tokyo", ["2021-03-02", "2021-03-02"]),
     ("America/New_York", ["2021-03-01", "2021-03-01"])],
)  # fmt: skip
def test_a_day_is_the_rounds_own(ledger, tmp_path, zone, days) -> None:
    round_ = Round(name="z", daily_limit=9, time_zone=zone)
    moments = [dt.datetime(2021, 3, 1, 23, 30, tzinfo=dt.UTC)]
    moments.append(moments[0] + dt.timedelta(hours=1))
    for number, moment in enumerate(moments):
        submit(ledger, tmp_path / f"{number}.zip", round_, now=moment)
    assert sorted(ledger.submissions("z")["day"]) == days


def test_a_package_that_cannot_be_written_costs_nothing(ledger, tmp_path) -> None:
    path = tmp_path / "p.zip"
    with PackageWriter(path) as writer:
        mask = np.eye(4, dtype=bool)
        writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=4.0)
        sealed = writer.seal()
        sealed.temporary.unlink()
        with pytest.raises(UserError, match="cannot write in"):
            ledger.enter(ROUND, sealed, model="unet", now=NOON)
    assert ledger.left(ROUND, now=NOON) == 2
    assert ledger.submissions().empty


def test_where_another_was_faster_the_next_free_name_is_taken(ledger, tmp_path) -> None:
    path = tmp_path / "p.zip"
    with PackageWriter(path) as writer:
        mask = np.eye(4, dtype=bool)
        writer.add(test_set="EndoCV_DATA1", name="a", mask=mask, latency_ms=4.0)
        sealed = writer.seal()
        path.write_text("somebody was faster")
        entry = ledger.enter(ROUND, sealed, model="unet", now=NOON)
    assert path.read_text() == "somebody was faster"
    assert entry.path == tmp_path / "p-2.zip"
    assert inspect_package(entry.path).faults() == []
    assert ledger.submissions()["package"].tolist() == [str(entry.path)]
    assert json.loads(manifest_path(entry.path).read_text())["package"] == "p-2.zip"


SUBMIT = """
import sys
from pathlib import Path
import numpy as np
from submissions.ledger import Ledger, LimitError
from submissions.writing.package import PackageWriter
from submissions.rounds import load_rounds
workspace, path = map(Path, sys.argv[1:3])
try:
    with PackageWriter(path) as writer:
        print("ready", flush=True)
        sys.stdin.readline()
        ledger = Ledger(workspace)
        for number in range(3):
            mask = np.ones((9, 9), bool)
            writer.add(test_set="EndoCV_DATA1", name=f"f{number}", mask=mask, latency_ms=1.0)
        ledger.enter(load_rounds()["2"], writer.seal(), model="unet")
except LimitError:
    print("refused")
else:
    print("entered")
"""


def test_of_eight_processes_at_once_two_are_entered(tmp_path, run_python) -> None:
    workspace = tmp_path / "workspace"
    names = [f"{number // 2}.zip" for number in range(8)]  # two each want the same name
    started = [run_python(SUBMIT, workspace, tmp_path / name) for name in names]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = []
    for process in started:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        outcomes.append(output.strip())
    assert sorted(outcomes) == ["entered"] * 2 + ["refused"] * 6
    ledger = Ledger(workspace)
    entered = {Path(path) for path in ledger.submissions()["package"]}
    assert entered == set(tmp_path.glob("*.zip"))
    assert len(entered) == 2
    assert ledger.left(ROUND) == 0


REPEAT = """
import sys
from pathlib import Path
import numpy as np
from submissions.ledger import Ledger
from submissions.writing.package import PackageWriter
from submissions.rounds import Round
workspace, folder = map(Path, sys.argv[1:3])
ledger = Ledger(workspace)
round_ = Round(name="2", daily_limit=10**6)
number = int(sys.argv[3])
print("ready", flush=True)
while True:
    number += 1
    with PackageWriter(folder / f"{number}.zip") as writer:
        mask = np.ones((9, 9), bool)
        writer.add(test_set="EndoCV_DATA1", name=f"f{number}", mask=mask, latency_ms=1.0)
        ledger.enter(round_, writer.seal(), model="unet")
    print("entered", flush=True)
"""


def test_killed_at_any_moment_it_leaves_no_half_package_and_uses_up_nothing(
    tmp_path, run_python
) -> None:
    workspace, folder = tmp_path / "workspace", tmp_path / "out"
    chance = random.Random(5)
    for attempt in range(4):
        process = run_python(REPEAT, workspace, folder, attempt * 1_000_000)
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "entered\n"]
        time.sleep(chance.uniform(0.05, 0.4))
        process.kill()
        process.communicate(timeout=60)
    ledger = Ledger(workspace)
    entered = {Path(path) for path in ledger.submissions()["package"]}
    published = set(folder.glob("*.zip"))
    assert entered
    assert entered <= published
    assert all(inspect_package(path).faults() == [] for path in published)
    # Killed between the rename and the commit, a whole package costs nothing of the limit.
    assert published - entered == set(ledger.not_entered(folder))
    assert len(published - entered) <= 4
    used = Round(name="2", daily_limit=10**6).daily_limit - ledger.left(
        Round(name="2", daily_limit=10**6)
    )
    assert used <= len(entered)


@pytest.mark.parametrize("moment", ["before the rename", "after the rename"])
def test_a_death_on_either_side_of_the_rename_costs_nothing(
    moment, ledger, tmp_path, run_python
) -> None:
    dying = """
import os, signal
from submissions.writing.publish import SealedPackage
publish = SealedPackage.publish
def die(self):
    if {after}:
        publish(self)
    os.kill(os.getpid(), signal.SIGKILL)
SealedPackage.publish = die
""".format(after=moment == "after the rename")
    process = run_python(dying + SUBMIT, tmp_path / "workspace", tmp_path / "p.zip")
    output, _ = process.communicate("go\n", timeout=60)
    assert process.returncode == -9
    assert output == "ready\n"
    assert ledger.left(ROUND) == 2
    published = list(tmp_path.glob("*.zip"))
    assert len(published) == (moment == "after the rename")
    assert ledger.not_entered(tmp_path) == published
    assert all(inspect_package(path).faults() == [] for path in published)


def score_row(**changes):
    row = {
        "round": "", "team": "", "model": "", "package": "p.zip", "package_sha256": "0" * 64,
        "protocol": "official", "truth_sha256": "t", "test_set": "all", "n": 3, "score": 0.5,
        "score_sets": 0.4,        "settings": "{}",
    }  # fmt: skip
    return row | changes


def test_a_score_finds_its_submission_by_the_packages_bytes(ledger, tmp_path) -> None:
    submit(ledger, tmp_path / "p.zip")
    (sha256,) = ledger.submissions()["package_sha256"]
    ledger.enter_scores([score_row(package_sha256=sha256, package="renamed.zip")])
    (row,) = ledger.scores().to_dict("records")
    assert (row["submission"], row["model"], row["round"]) == (1, "unet", "2")
    assert ledger.submissions()[["score", "score_frames"]].to_numpy().tolist() == [[0.4, 0.5]]


def test_of_scores_of_one_second_the_later_stands_beside_the_submission(ledger, tmp_path) -> None:
    submit(ledger, tmp_path / "p.zip")
    (sha256,) = ledger.submissions()["package_sha256"]
    for truth, score in (("old", 0.5), ("new", 0.6), ("newest", 0.55)):
        ledger.enter_scores([score_row(package_sha256=sha256, truth_sha256=truth, score=score)])
    assert ledger.submissions()["score_frames"].tolist() == [0.55]


def test_the_same_bytes_in_two_rounds_have_the_score_of_each(ledger, tmp_path) -> None:
    other = load_rounds()["1"]
    for number, round_ in enumerate((ROUND, ROUND, other)):
        submit(ledger, tmp_path / f"{number}.zip", round_, model=f"model-{round_.name}")
    (sha256,) = set(ledger.submissions()["package_sha256"])
    ledger.enter_scores([score_row(package_sha256=sha256, round="2")])
    assert ledger.scores()[["model", "submission"]].to_numpy().tolist() == [["model-2", 2]]
    scores = ledger.submissions().set_index("number")["score"]
    assert scores.loc[[1, 2]].tolist() == [0.4, 0.4]
    assert np.isnan(scores[3])


def test_a_package_that_is_entered_meanwhile_is_not_said_to_be_missing(
    ledger, tmp_path, monkeypatch
) -> None:
    folder = tmp_path / "packages"
    (folder / "no-package.zip").mkdir(parents=True)
    read = ledger._register.read

    @contextmanager
    def read_then_another_submits() -> Iterator[object]:
        with read() as connection:
            yield connection
        submit(Ledger(tmp_path / "workspace"), folder / "p.zip")

    monkeypatch.setattr(ledger._register, "read", read_then_another_submits)
    assert ledger.not_entered(folder) == []
    monkeypatch.undo()
    assert (folder / "p.zip").exists()


def test_a_foreign_package_is_named_after_its_file(ledger) -> None:
    ledger.enter_scores([score_row(package="/somewhere/team7.zip", team="team7")])
    (row,) = ledger.scores().to_dict("records")
    assert (row["model"], row["team"], row["submission"]) == ("team7", "team7", None)


def test_a_foreign_folder_is_named_whole(ledger, tmp_path) -> None:
    for version in "ab":
        (tmp_path / f"net.{version}").mkdir()
        row = score_row(package=str(tmp_path / f"net.{version}"), package_sha256=version)
        ledger.enter_scores([row])
    assert sorted(ledger.scores()["model"]) == ["net.a", "net.b"]


def test_scoring_again_replaces_and_another_protocol_does_not(ledger) -> None:
    ledger.enter_scores([score_row(), score_row(test_set="EndoCV_DATA1", score=0.4)])
    ledger.enter_scores([score_row(score=0.6), score_row(protocol="strict", score=0.3)])
    assert sorted(ledger.scores()["score"]) == [0.3, 0.6]
    assert ledger.scores(protocol="strict")["score"].tolist() == [0.3]
    assert ledger.scores(test_set="EndoCV_DATA1")["score"].tolist() == [0.4]
    assert len(ledger.scores(test_set=None)) == 3
    assert ledger.scores("no such round").empty
    ledger.enter_scores([score_row(package_sha256="another", score=0.9)])
    assert ledger.scores(package_sha256="another")["score"].tolist() == [0.9]
    assert ledger.scores(package_sha256="no package").empty


def test_an_empty_ledger_gives_empty_tables_with_their_columns(ledger) -> None:
    assert {"round", "model", "day"} <= set(ledger.submissions())
    assert {"round", "model", "score"} <= set(ledger.scores())
