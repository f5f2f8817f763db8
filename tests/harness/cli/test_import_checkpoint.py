"""A network pickled whole by others becomes a run that predicts as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import torch
from click.testing import CliRunner, Result
from torch import nn

from harness.cli import cli
from harness.runs.checkpoints import save_weights
from harness.runs.network import load
from harness.runs.run import Run
from harness.runs.workspace import Workspace


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    torch.manual_seed(1)
    return smp.Unet("resnet18", encoder_weights=None, classes=2).eval()


@pytest.fixture
def checkpoint(theirs: nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "best_checkpoint.pth"
    torch.save({"model": theirs, "epoch": 7}, path)
    return path


def call(tmp_path: Path, checkpoint: Path, *arguments: str) -> Result:
    workspace = ("--workspace", str(tmp_path / "workspace"))
    line = ["import-checkpoint", str(checkpoint), "--encoder", "resnet18", *workspace, *arguments]
    return CliRunner().invoke(cli, line)


def only_run(tmp_path: Path) -> Run:
    (run,) = Workspace(tmp_path / "workspace").runs()
    return run


@pytest.mark.parametrize("inputs", ["0-255", "normalised"])
def test_the_run_predicts_what_the_network_did(
    tmp_path: Path, checkpoint: Path, theirs: nn.Module, inputs: str
) -> None:
    result = call(tmp_path, checkpoint, "--model", "unet", "--size", "64", "--inputs", inputs)
    assert result.exit_code == 0, result.output

    run = only_run(tmp_path)
    loaded = load(run)
    images = torch.rand(1, 3, 64, 64) * 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.inference_mode():
        expected = theirs(images if inputs == "0-255" else seen).softmax(1)
        torch.testing.assert_close(loaded.network(images), expected, atol=1e-5, rtol=1e-5)
    assert loaded.size == 64
    assert (run.status, run.row["epochs"]) == ("finished", 7)
    assert run.row["parameters"] == sum(p.numel() for p in theirs.parameters())


def test_another_network_is_refused_and_nothing_entered(tmp_path: Path, checkpoint: Path) -> None:
    result = call(tmp_path, checkpoint, "--model", "fpn")
    assert result.exit_code == 1
    assert "another network" in result.output
    assert Workspace(tmp_path / "workspace").runs() == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "unte"), "did you mean 'unet'"),
        (("--model", "divergentnets"), "divergentnets"),
        (("--model", "unet", "--size", "100"), "size: expected a multiple of 32"),
    ],
)
def test_settings_that_cannot_be(
    tmp_path: Path, checkpoint: Path, arguments: tuple[str, ...], expected: str
) -> None:
    result = call(tmp_path, checkpoint, *arguments)
    assert result.exit_code == 1
    assert expected in result.output


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing")
    result = call(tmp_path, path, "--model", "unet")
    assert result.exit_code == 1
    assert "notes.txt" in result.output


def test_weights_of_another_workspace_are_taken_as_they_are(
    tmp_path: Path, theirs: nn.Module
) -> None:
    file = tmp_path / "best.safetensors"
    save_weights(file, theirs.state_dict())

    result = call(tmp_path, file, "--model", "unet", "--size", "64", "--inputs", "normalised")

    assert result.exit_code == 0, result.output
    assert only_run(tmp_path).best.read_bytes() == file.read_bytes()
    refused = call(tmp_path, file, "--model", "fpn", "--size", "64")
    assert refused.exit_code == 1
    assert "holds another network; take --model unet" in refused.output


def test_a_message_does_not_quote_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "text.pth"
    path.write_bytes(b"F" + b"x" * 100_000 + b"\n")

    result = call(tmp_path, path, "--model", "unet")

    assert result.exit_code == 1
    assert "expected a file of torch.save" in result.output
    assert len(result.output) < 1000


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "safetensors"])
def test_a_network_of_one_channel_gives_the_probabilities_of_its_sigmoid(
    tmp_path: Path, prefix: str
) -> None:
    torch.manual_seed(2)
    single = smp.Unet("resnet18", encoder_weights=None, classes=1).eval()
    file = tmp_path / "one.pth"
    if prefix == "safetensors":
        file = file.with_suffix(".safetensors")
        save_weights(file, single.state_dict())
    else:
        torch.save({"state_dict": {prefix + k: v for k, v in single.state_dict().items()}}, file)

    result = call(tmp_path, file, "--model", "unet", "--size", "64")

    assert result.exit_code == 0, result.output
    assert "one output channel" in result.output
    images = torch.rand(2, 3, 64, 64) * 255
    with torch.inference_mode():
        logits = single(images)[:, 0]
        probabilities = load(only_run(tmp_path)).network(images)
    torch.testing.assert_close(probabilities[:, 1], logits.sigmoid(), atol=1e-6, rtol=1e-6)
    assert torch.equal(probabilities.argmax(1) == 1, logits.sigmoid() > 0.5)
    assert 0 < (logits > 0).float().mean() < 1
