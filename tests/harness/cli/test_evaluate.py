"""Which runs are measured together, and under which name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from harness.cli.evaluate import command
from harness.config.training import TrainConfig
from harness.data.cross_validation import SplitVariant, every_fold
from harness.evaluation.run_labels import label_of, of_all_folds
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError


def run(model: str, name: str, **variant: str) -> Any:
    return SimpleNamespace(
        model=model,
        run=name,
        variant=SplitVariant(**variant),
        tuned={},
        label=lambda split: f"{name} on {split}",
    )


def test_folds_are_one_model_and_other_runs_stand_by_themselves() -> None:
    whole, newer = run("unet", "unet-1"), run("unet", "unet-2")
    first, second = run("unet", "unet-3", fold="1/3"), run("unet", "unet-4", fold="2/3")
    other = run("unet", "unet-5", fold="1/2")

    def labels(*chosen: Any) -> list[str]:
        return [label_of(one, chosen, "val") for one in chosen]

    assert labels(whole, run("fpn", "fpn-1")) == ["unet", "fpn"]
    assert labels(first, second) == ["unet", "unet"]
    for pair in ((whole, newer), (whole, first), (first, other)):
        assert labels(*pair) == [f"{one.run} on val" for one in pair]
    newer.tuned = {"split": "val"}
    assert labels(newer) == ["unet-2 on val"]


def test_a_model_without_a_run_of_every_fold_is_left_out_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unet = [run("unet", f"unet-{part}", fold=f"{part}/2") for part in (1, 2)]
    fpn = run("fpn", "fpn-1", fold="1/2")

    assert of_all_folds([*unet, fpn], every_fold(2)) == unet
    assert "fpn has no run of fold 2/2" in capsys.readouterr().err
    with pytest.raises(UserError, match="fpn has no run of fold 2/2"):
        of_all_folds([fpn], every_fold(2))


def test_seeds_that_are_left_out_of_folds_are_counted(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for fold in ("1/2", "2/2"):
        for seed in (0, 1):
            settings = TrainConfig(model="unet", fold=fold, seed=seed).to_dict()
            made = workspace.new_run("unet", settings=settings, versions={}, seed=seed)
            workspace.finish_run(made.run)

    line = ["--split", "val", "--folds", "2", "--workspace", str(tmp_path)]
    assert "2 runs of others are left out" in CliRunner().invoke(command, line).output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--folds 2 --leave-out C3", "give one of them"),
        ("--from C1", "are for --table generalisation"),
        ("--table curves --protocol strict", "leave out --protocol"),
        ("--maps full", "add --probabilities"),
        ("--map-bits 16", "add --probabilities"),
        ("--folds 3", "harness train --folds 3"),
        ("--leave-out C3", "harness train --leave-out C3"),
    ],
)
def test_what_cannot_be_done_says_what_to_give_instead(
    tmp_path: Path, options: str, said: str
) -> None:
    line = ["--split", "val", *options.split(), "--workspace", str(tmp_path)]
    refused = CliRunner().invoke(command, line)

    assert refused.exit_code in (1, 2)
    assert said in refused.output
