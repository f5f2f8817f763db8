"""Small networks with random weights, as finished runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from harness.config.training import TrainConfig
from harness.runs import checkpoints
from harness.runs import register_ensemble as ensemble
from harness.runs.network import Normalisation, Normalised, build, normalisation
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.utils.versions import versions


@torch.no_grad()
def balance(network: nn.Module, scale: Normalisation) -> None:
    """Let the batch norms see smooth pictures, and take half of their pixels for polyp."""
    coarse = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(5)) * 255
    pictures = functional.interpolate(coarse, (64, 64), mode="bicubic")
    inputs = Normalised(nn.Identity(), scale)(pictures)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # what one batch says is kept
    network.train()(inputs)
    logits = network.eval()(inputs)
    head = network.get_submodule("segmentation_head.0")
    head.bias[1] -= (logits[:, 1] - logits[:, 0]).median()


@pytest.fixture(scope="session")
def enter() -> Callable[[Workspace, str], Run]:
    """Registers a small network at 64 pixels, whose masks are neither empty nor full."""

    def entered(workspace: Workspace, model: str) -> Run:
        config = TrainConfig(model=model, encoder="tu-test_resnet", encoder_weights="none", size=64)
        torch.manual_seed(len(model))
        network = build(config)
        balance(network, normalisation(config))
        run = workspace.new_run(
            model, settings=config.to_dict(), versions=versions(), seed=0, parameters=0, data="none"
        )
        digest = checkpoints.save_weights(run.best, network.state_dict())
        workspace.update_run(run.run, checkpoint=digest)
        workspace.finish_run(run.run)
        return workspace.run(run.run)

    return entered


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory, enter: Callable[..., Run]) -> Workspace:
    """A workspace with an FPN, a U-Net++ and the ensemble of the two."""
    made = Workspace(tmp_path_factory.mktemp("runs") / "workspace")
    ensemble.register(made, {name: enter(made, name) for name in ("fpn", "unet++")})
    return made


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames that the tests draw, of two sizes."""
    from harness.data.synthetic.dataset import write_dataset

    folder = tmp_path_factory.mktemp("frames")
    write_dataset(folder, frames=60, height=96)
    return folder / "endocv2021-test" / "EndoCV_DATA1"
