"""The list of models."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import models
from models import registry


def test_every_model_is_listed_once_with_its_parameters() -> None:
    rows = {row.name: row for row in models.describe(encoder="resnet18")}

    assert set(rows) == set(models.names())
    assert list(rows)[-1] == "divergentnets"
    assert rows["unet"].family == "one network"
    assert rows["triunet"].parts == ("unet", "unet", "unet")
    assert rows["divergentnets"].parameters == sum(
        rows[member].parameters or 0 for member in rows["divergentnets"].parts
    )


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_count_is_that_of_the_built_network() -> None:
    (row,) = (row for row in models.describe(encoder="resnet18") if row.name == "deeplabv3+")
    assert row.parameters == count(
        models.create("deeplabv3+", encoder="resnet18", encoder_weights=None)
    )


@pytest.mark.parametrize("encoder", ["resnet18", "mit_b0"])  # mit_b0 computes while it is built
def test_counting_leaves_the_seed_alone(encoder: str) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()

    assert count(models.outline("fpn", encoder=encoder)) > 1_000_000
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_built_is_listed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> nn.Module:
        raise RuntimeError("no licence")

    broken = models.Architecture(name="broken", title="Broken", source="a plug-in", build=fail)
    monkeypatch.setattr(
        registry, "_REGISTERED", {"broken": broken, "ensemble": ENSEMBLE, "fpn": models.get("fpn")}
    )

    rows = {row.name: row for row in models.describe(encoder="resnet18")}

    assert rows["fpn"].fault == ""
    assert (rows["broken"].parameters, rows["broken"].fault) == (None, "no licence")
    assert rows["ensemble"].parameters is None
    assert rows["ensemble"].fault == "its members broken cannot be built"


ENSEMBLE = models.Architecture(
    name="ensemble", title="Ensemble", source="a plug-in", members=("broken", "fpn")
)


def test_an_unknown_encoder_is_refused() -> None:
    with pytest.raises(models.ModelError, match="unknown encoder"):
        models.describe(encoder="resnet1")
