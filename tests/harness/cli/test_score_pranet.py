"""``harness score --protocol pranet`` on folders of two methods and two test sets."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((20, 30), np.uint8)
    truth[4:12, 6:20] = 255
    for test_set in ("Kvasir", "CVC-300"):
        images = {
            f"TestDataset/{test_set}/masks/1.png": truth,
            f"results/good/{test_set}/1.png": cv2.blur(truth, (3, 3)),
            f"results/bad/{test_set}/1.png": 255 - truth,
        }
        for name, image in images.items():
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(name, image)
    return tmp_path


def score(*arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["score", *arguments, "--truth", "TestDataset", "--protocol", "pranet"]
    )


def test_test_sets_stand_side_by_side_in_the_order_of_the_papers(here: Path) -> None:
    result = score("results")
    assert result.exit_code == 0, result.output
    assert "test sets side by side" in result.stdout
    assert result.stdout.index("CVC-300 mDice") < result.stdout.index("Kvasir mDice")
    (frames,) = Path("workspace/scores").glob("good-*/pranet/frames.csv")
    assert "wfm" in frames.read_text().splitlines()[0]


def test_every_figure_is_in_csv_and_json(here: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(score("results", "--format", "csv").stdout)))
    assert [(row["test_set"], row["model"]) for row in rows] == [
        (name, model) for name in ("CVC-300", "Kvasir") for model in ("bad", "good")
    ]
    assert float(rows[0]["mae"]) == 1
    assert float(rows[1]["mdice"]) > 0.8
    found = json.loads(score("results/good", "--format", "json").stdout)
    assert found["metadata"]["protocol"] == "pranet"
    assert found["rows"][0]["wfm"] == float(rows[1]["wfm"])


def test_out_takes_the_files(here: Path) -> None:
    result = score("results/good", "--out", "figures")
    assert result.exit_code == 0, result.output
    assert len(list(Path("figures").glob("good-*/pranet/frames.csv"))) == 1
    assert not Path("workspace").exists()


def test_one_bad_folder_does_not_stop_the_others(here: Path) -> None:
    Path("results/bad/Kvasir/1.png").unlink()
    cv2.imwrite("results/bad/Kvasir/2.png", np.zeros((20, 30), np.uint8))
    result = score("results")
    assert result.exit_code == 1
    assert "1 of 2 packages could not be scored" in result.stderr
    assert "2.png: an extra mask" in result.stderr


@pytest.mark.parametrize(
    "option", ["--table=polyps", "--average=sets", "--round=1", "--jobs=2", "--threshold=0.4"]
)
def test_what_has_no_meaning_is_refused(here: Path, option: str) -> None:
    result = score("results", option)
    assert result.exit_code == 2
    assert option.split("=", maxsplit=1)[0] in result.stderr
