"""``harness evaluate --shard`` and ``--gather``: several processes evaluate as one does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.data.synthetic.dataset import write_dataset
from harness.runs.run import Run
from harness.runs.workspace import Workspace

MAPS = ("--table", "pranet", "--probabilities", "--map-bits", "16")
TABLES = ("frames.parquet", "maps.parquet")
Call = Callable[..., Result]


@pytest.fixture(scope="module")
def hyperkvasir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("drawn"), frames=40, height=64).hyperkvasir


@pytest.fixture
def call(hyperkvasir: Path) -> Call:
    def called(workspace: Workspace, *arguments: str) -> Result:
        line = ["evaluate", "--split", "test", "--hyperkvasir", str(hyperkvasir), "--device", "cpu"]
        return CliRunner().invoke(cli, [*line, "--workspace", str(workspace.root), *arguments])

    return called


@pytest.fixture
def own(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The FPN, the U-Net++ and their ensemble, not evaluated yet."""
    shutil.copytree(workspace.root, tmp_path / "workspace")
    return Workspace(tmp_path / "workspace")


def written(workspace: Workspace) -> dict[str, bytes]:
    """Masks, maps and their manifests of all evaluations, by name."""
    return {
        path.relative_to(workspace.root).as_posix(): path.read_bytes()
        for run in workspace.runs()
        for path in run.evaluation("test").rglob("*")
        if path.is_file() and path.name not in (*TABLES, "summary.json")
    }


def tables(run: Run) -> list[pd.DataFrame]:
    found = [pd.read_parquet(run.evaluation("test") / name) for name in TABLES]
    return [table.drop(columns="latency_ms", errors="ignore") for table in found]


def summaries(workspace: Workspace) -> list[dict[Any, Any]]:
    """What the register and the files say of each evaluation, but for the milliseconds."""
    found = []
    for row in workspace.evaluations().sort_values("run").to_dict("records"):
        folder = workspace.run(row["run"]).evaluation("test")
        file = json.loads((folder / "summary.json").read_text())
        assert json.loads(row["summary"]) == file["summary"]
        for of_class in file["summary"].values():
            del of_class["latency_ms"]
        found.append({**row, "created": "", "summary": file["summary"]})
    return found


def test_four_parts_equal_the_whole_bit_for_bit(
    workspace: Workspace, own: Workspace, call: Call, tmp_path: Path
) -> None:
    whole = Workspace(tmp_path / "whole")
    shutil.copytree(workspace.root, whole.root)
    printed = call(whole, *MAPS, "--format", "csv")
    register = (own.root / "register.sqlite").read_bytes()
    for number in (3, 1, 4, 2):
        part = call(own, *MAPS, "--shard", f"{number}/4")
        assert part.exit_code == 0, part.output
    assert (own.root / "register.sqlite").read_bytes() == register

    joined = call(own, *MAPS, "--gather", "--format", "csv")

    assert joined.exit_code == 0, joined.output
    assert joined.stdout == printed.stdout
    assert written(own) == written(whole)
    assert summaries(own) == summaries(whole)
    assert len(summaries(own)) == 3
    for ours, theirs in zip(own.runs(), whole.runs(), strict=True):
        for table, expected in zip(tables(ours), tables(theirs), strict=True):
            pd.testing.assert_frame_equal(table, expected, check_exact=True)
        assert not (ours.folder / "parts" / "test").exists()


def test_what_cannot_be_joined_is_named_all_at_once(own: Workspace, call: Call) -> None:
    def of_fpn(*arguments: str) -> Result:
        return call(own, "--model", "fpn", *arguments)

    def copied(name: str, **changes: Any) -> None:
        shutil.copytree(parts / "1-of-4", parts / name)
        values = json.loads((parts / name / "part.json").read_text())
        values["made_of"] |= {"frames": "0", **changes}
        (parts / name / "part.json").write_text(json.dumps(values))

    (fpn,) = (run for run in own.runs() if run.model == "fpn")
    parts = fpn.folder / "parts" / "test"
    assert of_fpn("--shard", "1/4").exit_code == 0
    copied("2-of-4", weights=["0" * 64])
    copied("3-of-4", settings={})
    copied("2-of-5")

    refused = of_fpn("--gather", "--threshold", "0.6")

    assert refused.exit_code == 1
    for said in (
        "2-of-5: one of 5 parts beside some of 4",
        "1-of-4: made of other settings (threshold); run --shard 1/4 again",
        "2-of-4: made of other weights and settings (threshold) and frames; run --shard 2/4 again",
        "3-of-4: made of other settings (",
        "4-of-4: missing; run --shard 4/4",
    ):
        assert said in refused.output, refused.output
    assert own.evaluations().empty


def test_a_part_that_was_changed_is_made_again(own: Workspace, call: Call) -> None:
    def of_fpn(*arguments: str) -> Result:
        return call(own, "--model", "fpn", *arguments)

    (fpn,) = (run for run in own.runs() if run.model == "fpn")
    assert of_fpn("--shard", "1/1").exit_code == 0
    next((fpn.folder / "parts" / "test" / "1-of-1" / "masks").rglob("*.png")).unlink()
    assert "part 1/1 is there; --again" in of_fpn("--shard", "1/1").stderr
    assert "run --shard 1/1 --again" in of_fpn("--gather").output
    assert of_fpn("--shard", "1/1", "--again").exit_code == 0
    assert of_fpn("--gather").exit_code == 0
    assert "evaluated before" in of_fpn("--gather").stderr


def test_no_part_of_what_was_evaluated_before(own: Workspace, call: Call) -> None:
    def of_fpn(*arguments: str) -> Result:
        return call(own, "--model", "fpn", *arguments)

    (fpn,) = (run for run in own.runs() if run.model == "fpn")
    assert of_fpn("--probabilities").exit_code == 0
    assert "evaluated before; --again" in of_fpn("--shard", "1/1").stderr
    assert not (fpn.folder / "parts").exists()
    pranet = ("--table", "pranet")
    assert "part 1/1, " in of_fpn("--shard", "1/1", *pranet).stderr
    assert of_fpn("--gather", *pranet).exit_code == 0
    kept = {path.name for path in fpn.evaluation("test").iterdir()}
    assert kept > {"frames.parquet", "maps.parquet", "masks", "probabilities"}
    assert not (fpn.folder / "parts" / "test").exists()
    assert "part 1/1, " in of_fpn("--shard", "1/1", "--again").stderr


@pytest.mark.parametrize("shard", ["0/4", "5/4", "1/0", "1", "a/b", "-1/4"])
def test_shards_that_are_none(own: Workspace, call: Call, shard: str) -> None:
    assert "expected K/N" in call(own, "--shard", shard).output


def test_more_processes_than_frames(own: Workspace, call: Call) -> None:
    assert "frames to divide" in call(own, "--shard", "1/999").output
    assert "give one" in call(own, "--shard", "1/2", "--gather").output
    assert "no parts; write them with --shard K/N" in call(own, "--gather").output
