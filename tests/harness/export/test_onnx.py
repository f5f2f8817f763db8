"""Every network becomes an ONNX file that computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import models
from harness.export import onnx
from harness.runs.network import Normalised, Softmax
from models.divergentnets import DivergentNets

SIZE = 64
NETWORKS = [name for name in models.names() if not models.get(name).members]
NORMALISATION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 3, SIZE, SIZE), np.uint8)


def check_alike(whole: torch.nn.Module, path: Path) -> None:
    """onnxruntime and torch compute the same probabilities."""
    onnx._convert(whole, SIZE, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run([onnx.OUTPUT], {onnx.INPUT: IMAGES})[0]

    with torch.inference_mode():
        ours = whole(torch.from_numpy(IMAGES).float()).numpy()
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_onnxruntime_computes_what_torch_does(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = "tu-test_vit" if name == "dpt" else "resnet18"
    network = models.create(name, encoder=encoder, encoder_weights=None).eval()

    check_alike(Softmax(Normalised(network, NORMALISATION)).eval(), tmp_path / "network.onnx")


@pytest.mark.slow
def test_so_does_an_ensemble_of_networks_of_two_sizes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    members = {
        name: Normalised(
            models.create(name, encoder="resnet18", encoder_weights=None).eval(), NORMALISATION
        )
        for name in ("unet", "fpn")
    }

    whole = DivergentNets(members, {"unet": SIZE, "fpn": SIZE // 2}).eval()
    check_alike(whole, tmp_path / "ensemble.onnx")
