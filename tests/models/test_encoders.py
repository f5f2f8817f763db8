"""Encoders: names and normalisation."""

from __future__ import annotations

import re

import pytest

import models
from models import encoders

CENTRED = {"inceptionresnetv2", "inceptionv4", "xception"}


def test_the_papers_encoder_is_normalised_as_imagenet() -> None:
    assert models.normalisation("se_resnext50_32x4d") == (
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )


def test_every_encoder_has_the_normalisation_of_its_published_weights() -> None:
    for name in models.encoder_names():
        mean, std = models.normalisation(name)
        if name in CENTRED or "_lite" in name:
            assert (mean, std) == ((0.5,) * 3, (0.5,) * 3), name
        elif name.startswith("dpn"):
            assert mean == pytest.approx((0.486275, 0.458824, 0.407843), abs=1e-6), name
            assert std == pytest.approx((0.234824,) * 3, abs=1e-6), name
        else:
            assert (mean, std) == encoders.IMAGENET, name


def test_timms_own_encoders_are_asked_from_timm() -> None:
    assert models.normalisation("tu-resnet18") == encoders.IMAGENET
    assert models.normalisation("tu-vit_base_patch16_224") == encoders.CENTRED


def test_every_encoder_is_accepted_under_its_name() -> None:
    for name in [*models.encoder_names(), "tu-resnet18", "tu-resnet18.a1_in1k"]:
        encoders.check_encoder(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet19", "resnet18"),
        ("tu-resnet19", "tu-resnet18"),
        ("tu-resnet18.a1in1k", r"tu-resnet18\.a1_in1k"),
        ("tu-resnet18.", r"tu-resnet18\."),
    ],
)
def test_an_unknown_encoder_suggests_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(models.ModelError, match=f"did you mean .*{nearest}"):
        encoders.check_encoder(name)


@pytest.mark.parametrize(
    ("architecture", "encoder", "reason"),
    [
        ("unet++", "mit_b0", "give no map at half the image's size"),
        ("linknet", "mit_b0", "give no map at half the image's size"),
        ("deeplabv3", "vgg11", "downsamples by pooling"),
        ("pan", "tu-swin_tiny_patch4_window7_224", "cannot be dilated"),
        ("unet", "tu-vit_tiny_patch16_224", "dpt takes such encoders"),
        ("dpt", "resnet18", "takes the encoders of timm only"),
    ],
)
def test_an_encoder_that_does_not_go_with_an_architecture_is_said(
    architecture: str, encoder: str, reason: str
) -> None:
    expected = rf"{re.escape(architecture)} cannot be built on the encoder {encoder}: .*{reason}"
    with pytest.raises(models.ModelError, match=expected):
        models.create(architecture, encoder=encoder, encoder_weights=None)


@pytest.mark.parametrize(
    ("architecture", "encoder"),
    [
        ("segformer", "mit_b0"),
        ("dpt", "tu-vit_tiny_patch16_224"),
        ("unet", "tu-swin_tiny_patch4_window7_224"),
    ],
)
def test_transformers_take_images_of_other_sizes_than_their_own(
    architecture: str, encoder: str
) -> None:
    models.try_out(architecture, encoder=encoder, size=96)


def test_a_network_that_does_not_take_images_of_a_size_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encoders, "_ANY_SIZE", {})
    with pytest.raises(models.ModelError, match="does not take images of 96 pixels"):
        models.try_out("dpt", encoder="tu-vit_tiny_patch16_224", size=96)
