"""Networks built without random weights."""

from __future__ import annotations

import torch

import models
from models.skip_init import SkipInit


def test_nothing_is_drawn_and_loaded_weights_make_the_same_network() -> None:
    drawn = models.create("unet++", encoder="resnet18", encoder_weights=None).eval()
    before = torch.get_rng_state()

    with SkipInit():
        empty = models.create("unet++", encoder="resnet18", encoder_weights=None).eval()

    assert torch.equal(torch.get_rng_state(), before)
    empty.load_state_dict(drawn.state_dict())
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(empty(images), drawn(images))
