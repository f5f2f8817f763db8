"""Encoders and their weights."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import models
from models import encoders


def encoder_weights(name: str = "resnet18") -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    network = models.create("unet", encoder=name, encoder_weights=None)
    return {key: t.clone() for key, t in network.encoder.state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_weights_come_from_a_file(tmp_path: Path, suffix: str, prefix: str) -> None:
    weights = encoder_weights()
    path = tmp_path / f"weights{suffix}"
    named = {prefix + name: tensor for name, tensor in weights.items()}
    save_file(named, path) if suffix == ".safetensors" else torch.save(named, path)

    network = models.create("unet", encoder="resnet18", encoder_weights=path)

    loaded = network.encoder.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in weights)


def test_a_stem_for_four_channels_repeats_and_scales(tmp_path: Path) -> None:
    weights = encoder_weights()
    save_file(weights, tmp_path / "w.safetensors")

    network = models.create(
        "triunet", encoder="resnet18", encoder_weights=tmp_path / "w.safetensors"
    )

    stem, ours = weights["conv1.weight"], network.head.encoder.state_dict()["conv1.weight"]
    assert torch.allclose(ours[:, 3], stem[:, 0] * 0.75)
    assert torch.equal(network.left.encoder.state_dict()["conv1.weight"], stem)


def test_all_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    weights = encoder_weights()
    del weights["layer1.0.conv1.weight"]
    weights["layer2.0.conv1.weight"] = torch.zeros(1, 2)
    save_file(weights, tmp_path / "w.safetensors")

    with pytest.raises(models.ModelError) as error:
        models.create("unet", encoder="resnet18", encoder_weights=tmp_path / "w.safetensors")

    assert "layer1.0.conv1.weight: missing" in str(error.value.message)
    assert "layer2.0.conv1.weight: expected shape" in str(error.value.message)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "w.pth")

    with pytest.raises(models.ModelError, match="nothing else is unpickled"):
        models.create("unet", encoder="resnet18", encoder_weights=tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


def test_a_hub_that_cannot_be_reached_fails_fast(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(encoders, "_cached", lambda _: False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    with pytest.raises(models.ModelError, match=r"no answer from .*--encoder-weights FILE"):
        models.create("unet", encoder="resnet18", encoder_weights="imagenet")
    assert slept == []  # no retries


def test_offline_by_wish_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(encoders, "_cached", lambda _: False)

    with pytest.raises(models.ModelError, match="HF_HUB_OFFLINE is set"):
        models.create("unet", encoder="resnet18", encoder_weights="imagenet")


def test_weights_in_the_cache_need_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(encoders, "_cached", lambda _: True)

    encoders.check_weights("resnet18", "imagenet")


@pytest.mark.parametrize(
    ("encoder", "weights", "message"),
    [
        ("resnet19", None, "did you mean .*resnet18"),
        ("resnet18", "imagenett", "expected one of imagenet"),
        ("resnet18", Path("nowhere.pth"), "no file of encoder weights"),
        ("mit_b0", None, r"unet\+\+ cannot be built"),
    ],
)
def test_what_cannot_be_had_is_said(encoder: str, weights: str | Path | None, message: str) -> None:
    with pytest.raises(models.ModelError, match=message):
        models.create("unet++", encoder=encoder, encoder_weights=weights)


def test_normalisation_is_that_of_the_published_weights() -> None:
    assert models.normalisation("se_resnext50_32x4d") == encoders.IMAGENET
    assert models.normalisation("resnet18") == encoders.IMAGENET
    assert models.normalisation("inceptionv4") == encoders.CENTRED
