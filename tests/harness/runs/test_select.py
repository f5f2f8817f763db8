"""Which runs a command takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.cross_validation import SplitVariant
from harness.runs.run import Run
from harness.runs.select import select, variant_of_all
from harness.runs.workspace import Workspace
from metrics.utils.errors import UserError


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def enter(
    workspace: Workspace,
    model: str,
    iou: float | None = None,
    *,
    frames: str = "v",
    status: str = "finished",
    **settings: str,
) -> str:
    recipe = {"model": model, **settings}
    members = {"unet": "unet-1"} if model == "divergentnets" else {}
    run = workspace.new_run(
        model,
        settings={"members": {"unet": recipe}} if members else recipe,
        members=members,
        versions={},
        best_iou=iou,
        data=f"t+{frames}",
    )
    workspace.finish_run(run.run, status)
    return run.run


def names(runs: list[Run]) -> list[str]:
    return [run.run for run in runs]


def test_the_newest_finished_run_of_a_model_is_taken(workspace: Workspace) -> None:
    enter(workspace, "unet")
    second = enter(workspace, "unet")
    enter(workspace, "unet", status="failed")

    assert names(select(workspace, ["unet", "unet"])) == [second]


def test_every_model_is_taken_in_the_papers_order(workspace: Workspace) -> None:
    for model in ("mine", "divergentnets", "fpn", "another", "unet"):
        enter(workspace, model)

    assert [run.model for run in select(workspace)] == [
        "unet", "fpn", "divergentnets", "another", "mine",
    ]  # fmt: skip


@pytest.mark.parametrize("model", ["unet", "divergentnets"])
@pytest.mark.parametrize("settings", [{"fold": "1/3"}, {"leave_out": "C3"}])
def test_runs_of_other_splits_are_taken_only_when_named(
    workspace: Workspace, model: str, settings: dict[str, str]
) -> None:
    plain = enter(workspace, "fpn", 0.5)
    other = enter(workspace, model, 0.9, **settings)

    assert names(select(workspace)) == [plain]
    assert names(select(workspace, default="best")) == [plain]
    assert names(select(workspace, runs=[other])) == [other]
    assert names(select(workspace, variant=SplitVariant(**settings))) == [other]
    with pytest.raises(UserError, match=rf"no finished run of {model} .*--run.*: {other} \("):
        select(workspace, [model])


def test_runs_of_other_splits_alone_are_named(workspace: Workspace) -> None:
    other = enter(workspace, "unet", 0.9, leave_out="C3")

    with pytest.raises(UserError, match=rf"no trained model .*--run.*: {other} \(without C3\)"):
        select(workspace, default="best")


def test_divergentnets_are_taken_before_the_best(workspace: Workspace) -> None:
    enter(workspace, "divergentnets")
    newest = enter(workspace, "divergentnets")
    enter(workspace, "unet", 0.9)

    assert names(select(workspace, default="best")) == [newest]


def test_the_best_is_of_the_newest_runs_validation_frames(workspace: Workspace) -> None:
    enter(workspace, "unet", 0.9, frames="easier")
    best = enter(workspace, "unet", 0.6)
    enter(workspace, "unet", 0.4)
    enter(workspace, "fpn", 0.5)
    enter(workspace, "fpn")  # imported: without an IoU

    assert names(select(workspace, default="best")) == [best]


def test_without_any_iou_the_newest_is_taken(workspace: Workspace) -> None:
    enter(workspace, "unet")
    newest = enter(workspace, "fpn")

    assert names(select(workspace, default="best")) == [newest]


def test_a_run_that_is_not_finished_is_refused(workspace: Workspace) -> None:
    run = enter(workspace, "unet", status="interrupted")

    with pytest.raises(UserError, match=f"train --resume {run}"):
        select(workspace, runs=[run])


@pytest.mark.parametrize("default", ["all", "best"])
def test_nothing_trained_says_what_to_do(workspace: Workspace, default: str) -> None:
    with pytest.raises(UserError, match=r"no trained model in .* Train with 'harness train'"):
        select(workspace, default=default)
    with pytest.raises(UserError, match=r"no trained model .fold 1/3.* train --folds 3'"):
        select(workspace, variant=SplitVariant(fold="1/3"), default=default)


def test_a_model_without_a_run_is_named_with_those_that_have_one(workspace: Workspace) -> None:
    enter(workspace, "unet")

    with pytest.raises(UserError, match=r"no finished run of fpn.* There are: unet"):
        select(workspace, ["unet", "fpn"])


def test_a_model_that_nobody_knows_is_not_advised_to_be_trained(workspace: Workspace) -> None:
    enter(workspace, "unet")

    with pytest.raises(UserError, match=r"nope.* There are: unet. 'harness models'") as caught:
        select(workspace, ["nope"])
    assert "harness train" not in caught.value.message


def test_a_run_in_place_of_a_model_is_told_where_it_can_be_named(workspace: Workspace) -> None:
    run = enter(workspace, "unet")

    with pytest.raises(UserError, match=f"but {run} is a run of unet.* by --run, compare"):
        select(workspace, [run])


def test_runs_of_several_divisions_do_not_go_together(workspace: Workspace) -> None:
    runs = [enter(workspace, "unet", fold=f"{part}/2") for part in (1, 2)]

    assert variant_of_all(select(workspace, runs=runs[:1])) == SplitVariant(fold="1/2")
    with pytest.raises(UserError, match=r"fold 1/2.*fold 2/2"):
        variant_of_all(select(workspace, runs=runs))
