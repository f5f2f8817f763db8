"""Architectures by name, and plug-ins."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
from torch import nn

import models
from models import registry

TINY = models.Architecture(
    name="tiny", title="Tiny", source="a plug-in", build=lambda *_, **__: nn.Conv2d(3, 2, 1)
)


class FakeEntry:
    value = "package:tiny"

    def __init__(self, loaded: object) -> None:
        self.loaded = loaded

    def load(self) -> object:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeEntry]]:
    found: list[FakeEntry] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: found)
    registry._plug_ins.cache_clear()
    yield found
    registry._plug_ins.cache_clear()


def test_the_papers_models_are_known() -> None:
    assert models.names()[:6] == ["unet", "unet++", "fpn", "deeplabv3", "deeplabv3+", "triunet"]
    assert models.get("divergentnets").members == (
        "unet++",
        "fpn",
        "deeplabv3",
        "deeplabv3+",
        "triunet",
    )


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(models.ModelError, match="did you mean 'unet'"):
        models.create("unett")


def test_an_ensemble_is_not_built_but_made_of_runs() -> None:
    with pytest.raises(models.ModelError, match="ensemble of unet\\+\\+, fpn"):
        models.create("divergentnets")


def test_nodes_are_for_trinet() -> None:
    with pytest.raises(models.ModelError, match="not made of nodes"):
        models.create("unet", nodes=("unet", "unet", "unet"))


def test_a_plug_in_is_found_and_built(entries: list[FakeEntry]) -> None:
    entries.append(FakeEntry(TINY))

    assert "tiny" in models.names()
    assert isinstance(models.create("tiny", encoder_weights=None), nn.Conv2d)


@pytest.mark.parametrize(
    ("loaded", "reason"),
    [
        (RuntimeError("no licence"), "no licence"),
        ("not an architecture", "expected a models.Architecture"),
        (models.Architecture(name="unet", title="U", source="me"), "'unet' is taken"),
    ],
)
def test_a_broken_plug_in_is_named_and_left_out(
    entries: list[FakeEntry], loaded: object, reason: str
) -> None:
    entries += [FakeEntry(loaded), FakeEntry(TINY)]

    with pytest.warns(UserWarning, match=f"package:tiny.*{reason}"):
        assert models.names()[-1] == "tiny"


def test_the_smallest_batch_is_that_of_the_nodes() -> None:
    assert models.smallest_batch("trinet", ("unet", "unet", "fpn")) == 1
    assert models.smallest_batch("trinet", ("unet", "unet", "deeplabv3")) == 2
    assert models.smallest_batch("deeplabv3") == 2


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "timm", "segmentation_models_pytorch", "huggingface_hub", "numpy"}
    code = f"import sys, models; models.names(); sys.exit(len({heavy} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
