"""Weights of encoders: from files, the hub's cache, the hub."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import save_file

import models
from models import encoders, hub, weights

Tensors = dict[str, torch.Tensor]


def encoder_weights(name: str = "resnet18") -> Tensors:
    torch.manual_seed(3)
    network = models.create("unet", encoder=name, encoder_weights=None)
    return {key: t.clone() for key, t in network.encoder.state_dict().items()}


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache without weights, and a hub at a port where nobody listens."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("none", None),
        ("imagenet", "imagenet"),
        ("imagenet+5k", "imagenet+5k"),
        ("weights.pth", Path("weights.pth")),
        ("folder/weights", Path("folder/weights")),
        (Path("weights"), Path("weights")),
        ("~/weights.pth", Path.home() / "weights.pth"),
    ],
)
def test_a_name_is_told_from_a_file(text: str | Path | None, expected: weights.Source) -> None:
    assert weights.source(text) == expected


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("prefix", ["", "encoder."])
def test_weights_come_from_a_file(tmp_path: Path, suffix: str, prefix: str) -> None:
    tensors = encoder_weights()
    path = tmp_path / f"weights{suffix}"
    named = {prefix + name: tensor for name, tensor in tensors.items()}
    other = "fc.weight" if not prefix else "decoder.blocks.0.weight"
    named[other] = torch.zeros(3)  # what is not the encoder's is left out
    save_file(named, path) if suffix == ".safetensors" else torch.save(named, path)

    network = models.create("unet", encoder="resnet18", encoder_weights=path)

    loaded = network.encoder.state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("name", ["test_efficientnet", "test_convnext", "test_resnet"])
def test_the_file_that_timm_publishes_is_taken(tmp_path: Path, name: str) -> None:
    theirs = timm.create_model(name, pretrained=False).state_dict()
    path = tmp_path / "model.safetensors"
    save_file(theirs, path)

    network = models.create("fpn", encoder=f"tu-{name}", encoder_weights=path)

    loaded = network.encoder.state_dict()
    joined = {"model.stem_": "stem.", "model.stages_": "stages.", "model.": ""}
    for ours, tensor in loaded.items():
        start = next(start for start in joined if ours.startswith(start))
        assert torch.equal(tensor, theirs[ours.replace(start, joined[start])]), ours


def test_old_names_that_the_encoder_knows_are_taken(tmp_path: Path) -> None:
    tensors = encoder_weights("densenet121")
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): tensor
        for name, tensor in tensors.items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(old, tmp_path / "w.pth")

    network = models.create("unet", encoder="densenet121", encoder_weights=tmp_path / "w.pth")

    loaded = network.encoder.state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_a_stem_for_four_channels_repeats_and_scales(tmp_path: Path) -> None:
    tensors = encoder_weights()
    save_file(tensors, tmp_path / "w.safetensors")

    network = models.create(
        "triunet", encoder="resnet18", encoder_weights=tmp_path / "w.safetensors"
    )

    stem, ours = tensors["conv1.weight"], network.head.encoder.state_dict()["conv1.weight"]
    assert torch.equal(network.left.encoder.state_dict()["conv1.weight"], stem)
    assert torch.allclose(ours[:, :3], stem * 0.75)
    assert torch.allclose(ours[:, 3], stem[:, 0] * 0.75)


def fault_of(path: Path, encoder: str = "resnet18") -> str:
    with pytest.raises(models.ModelError) as error:
        models.create("unet", encoder=encoder, encoder_weights=path)
    return error.value.message


def test_all_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tensors = encoder_weights()
    del tensors["layer1.0.conv1.weight"]
    tensors["layer2.0.conv1.weight"] = torch.zeros(1, 2)
    tensors["layer3.9.conv1.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "w.safetensors")

    message = fault_of(tmp_path / "w.safetensors")

    assert "3 tensors do not fit" in message
    assert "layer1.0.conv1.weight: missing" in message
    assert "layer2.0.conv1.weight: expected shape (128, 64, 3, 3), got (1, 2)" in message
    assert "layer3.9.conv1.weight: unknown" in message


def test_a_larger_encoder_whose_first_blocks_fit_is_refused(tmp_path: Path) -> None:
    torch.save(encoder_weights("resnet34"), tmp_path / "w.pth")

    message = fault_of(tmp_path / "w.pth")

    assert "layer1.2.conv1.weight: unknown" in message
    assert "more" in message.splitlines()[-1]


def test_one_of_two_encoders_is_not_chosen_by_chance(tmp_path: Path) -> None:
    tensors = encoder_weights()
    both = {f"model.{name}": torch.zeros_like(tensor) for name, tensor in tensors.items()}
    torch.save({**tensors, **both}, tmp_path / "w.pth")

    assert "model.conv1.weight: unknown" in fault_of(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(b"these are no weights")

    assert "cannot read the encoder weights" in fault_of(path)


@pytest.mark.parametrize("content", [{"epoch": 3}, {0: torch.zeros(1)}])
def test_a_file_that_holds_no_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pth")

    assert "holds no state dict" in fault_of(tmp_path / "w.pth")


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"conv1.weight": Evil()}, tmp_path / "w.pth")

    assert "nothing else is unpickled" in fault_of(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("no_hub")
def test_a_hub_that_cannot_be_reached_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    with pytest.raises(models.ModelError, match=r"cannot be reached.*--encoder-weights FILE"):
        models.create("unet", encoder="resnet18", encoder_weights="imagenet")
    assert slept == []  # the library would try five times, and wait between


@pytest.mark.usefixtures("no_hub")
def test_a_hub_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float] = []

    def hang(_request: object, timeout: float) -> None:
        patience.append(timeout)
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", hang)

    with pytest.raises(models.ModelError, match="timed out"):
        models.check_weights("tu-resnet18", "imagenet")
    assert patience[0] <= 5


@pytest.mark.usefixtures("no_hub")
def test_an_address_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "no address")

    with pytest.raises(models.ModelError, match="no address cannot be reached"):
        models.check_weights("resnet18", "imagenet")


@pytest.mark.usefixtures("no_hub")
def test_offline_by_wish_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(models.ModelError, match="HF_HUB_OFFLINE is set"):
        models.create("unet", encoder="resnet18", encoder_weights="imagenet")


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("kind", [ConnectionError, HfHubHTTPError.__bases__[0]])
def test_a_download_that_breaks_off_is_said(
    monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def broken_off(*_: Any, **__: Any) -> None:
        raise kind("the line went dead")

    monkeypatch.setattr(hub, "fault", lambda: "")
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", broken_off)

    with pytest.raises(models.ModelError, match=r"cannot get .*: the line went dead\. Download"):
        models.create("unet", encoder="resnet18", encoder_weights="imagenet")


def fill_cache(cache: Path, encoder: str, tensors: Tensors) -> None:
    """Lay weights where the hub's client would keep them."""
    where = encoders.published_weights(encoder)["imagenet"]
    folder = cache / f"models--{where['repo_id'].replace('/', '--')}"
    snapshot = folder / "snapshots" / where["revision"]
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps({}))
    save_file(tensors, snapshot / "model.safetensors")


@pytest.mark.usefixtures("no_hub")
def test_weights_in_the_cache_need_no_hub(tmp_path: Path) -> None:
    fill_cache(tmp_path / "cache", "resnet18", encoder_weights())

    network = models.create("unet", encoder="resnet18", encoder_weights="imagenet")

    weight = network.encoder.state_dict()["conv1.weight"]
    assert torch.equal(weight, encoder_weights()["conv1.weight"])


@pytest.mark.slow
@pytest.mark.parametrize("offline", ["0", "1"])
def test_weights_in_the_cache_of_a_new_process_need_no_hub(tmp_path: Path, offline: str) -> None:
    # The hub's client reads its settings when it is imported, hence a process of its own.
    fill_cache(tmp_path / "hub", "resnet18", encoder_weights())
    code = """
import models
network = models.create("triunet", encoder="resnet18", encoder_weights="imagenet")
print(network.left.encoder.conv1.weight.double().sum().item())
"""
    settings = {
        "HF_HOME": str(tmp_path),
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": offline,
    }

    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        env={**settings, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )

    expected = encoder_weights()["conv1.weight"].double().sum().item()
    assert float(result.stdout) == pytest.approx(expected)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("encoder", "wanted", "message"),
    [
        ("resnet18", "imagenett", "expected one of imagenet, ssl, swsl, none, or a file"),
        ("resnet18", Path("nowhere.pth"), "no file of encoder weights"),
        ("tu-resnet18d_none", "imagenet", "unknown encoder"),
        ("tu-test_vit4", "imagenet", "timm publishes no weights"),
        ("tu-resnet18", "imagnet", r"no weights 'imagnet' for tu-resnet18; expected imagenet"),
        ("tu-tf_efficientnet_lite0", "advprop", "no weights 'advprop'"),
    ],
)
@pytest.mark.parametrize(
    "ask",
    [
        models.check_weights,
        lambda encoder, wanted: models.create("unet", encoder=encoder, encoder_weights=wanted),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_is_built(
    ask: Callable[[str, str | Path], object], encoder: str, wanted: str | Path, message: str
) -> None:
    with pytest.raises(models.ModelError, match=message):
        ask(encoder, wanted)
