"""Checkpoints that others pickled whole."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

import models
from models.errors import ModelError
from models.foreign_checkpoint import import_checkpoint

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
SETTINGS = {"encoder_weights": None, "classes": 2}


class TripleUnet(smp.UnetPlusPlus):
    """The shape of the authors' class: three networks, and a fourth that is inherited."""

    def __init__(self) -> None:
        super().__init__("resnet18", encoder_weights=None)
        self.in_model_1 = smp.Unet("resnet18", **SETTINGS)
        self.in_model_2 = smp.Unet("resnet18", **SETTINGS)
        self.out_model = smp.Unet("resnet18", in_channels=4, **SETTINGS)

    def forward(self, images: Tensor) -> Tensor:
        views = [self.in_model_1(images).softmax(1), self.in_model_2(images).softmax(1)]
        logits: Tensor = self.out_model(torch.cat(views, 1))
        return logits


@cache
def authors() -> nn.Module:
    return TripleUnet()


@cache
def ours(name: str, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return models.create(name, encoder="resnet18", encoder_weights=None).eval()


def same(network: nn.Module, other: nn.Module) -> bool:
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        return torch.equal(network.eval()(images), other.eval()(images))


@FORMATS
def test_the_authors_triangle_becomes_ours(tmp_path: Path, zipped: bool) -> None:
    theirs = authors()
    path = tmp_path / "best_checkpoint.pth"
    torch.save({"model": theirs, "epoch": 93}, path, _use_new_zipfile_serialization=zipped)
    network = models.create("triunet", encoder="resnet18", encoder_weights=None)

    imported = import_checkpoint(path, network)

    network.load_state_dict(imported.weights)
    assert same(network, theirs)
    assert imported.epoch == 93
    assert {name.split(".")[0] for name in imported.ignored} == {
        "encoder",
        "decoder",
        "segmentation_head",
    }


class Old(nn.Module):
    """A network of a package that exists only while it is saved."""

    __module__ = "gone"

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((2, 3), 7.0))
        self.register_buffer("kept", torch.ones(1))
        self.register_buffer("passing", torch.ones(1), persistent=False)


@FORMATS
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_the_package_that_defined_a_network_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "gone", SimpleNamespace(Old=Old))
        torch.save(Old(), tmp_path / "c.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModuleNotFoundError):
        torch.load(tmp_path / "c.pth", weights_only=False)
    network = nn.Module()
    network.register_parameter("weight", nn.Parameter(torch.zeros(2, 3)))
    network.register_buffer("kept", torch.zeros(1))

    weights = import_checkpoint(tmp_path / "c.pth", network).weights

    assert weights.keys() == {"weight", "kept"}
    assert weights["weight"].tolist() == [[7.0] * 3] * 2
    assert not network.weight.any()  # left as it is


@pytest.mark.parametrize("wrapper", ["", "module.", "model.module."])
@pytest.mark.parametrize("key", ["", "state_dict"])
def test_a_state_dict_is_found_where_it_lies(tmp_path: Path, wrapper: str, key: str) -> None:
    theirs = {wrapper + name: t for name, t in ours("fpn", 1).state_dict().items()}
    torch.save({key: theirs, "optimizer": {"state": {0: {"m": torch.ones(1)}}}} if key else theirs,
               tmp_path / "c.pth")  # fmt: skip

    weights = import_checkpoint(tmp_path / "c.pth", ours("fpn", 2)).weights

    assert all(torch.equal(weights[name], t) for name, t in ours("fpn", 1).state_dict().items())


def test_the_tensors_of_a_lightning_module_beside_its_network_are_left_out(tmp_path: Path) -> None:
    theirs = {f"model.{name}": t for name, t in ours("fpn", 1).state_dict().items()}
    beside = {"mean": torch.zeros(1, 3, 1, 1), "loss.weight": torch.ones(2)}
    torch.save({"epoch": 3, "state_dict": beside | theirs}, tmp_path / "c.ckpt")

    imported = import_checkpoint(tmp_path / "c.ckpt", ours("fpn", 2))

    expected = ours("fpn", 1).state_dict()
    assert all(torch.equal(imported.weights[name], t) for name, t in expected.items())
    assert imported.ignored == ("mean", "loss.weight")


def test_one_of_two_networks_that_fit_is_not_chosen_by_chance(tmp_path: Path) -> None:
    both = {f"{one}.{name}": t for one in ("model", "teacher")
            for name, t in ours("fpn", 1).state_dict().items()}  # fmt: skip
    torch.save(both, tmp_path / "c.pth")

    with pytest.raises(models.ModelError, match=r"decoder is that of no model here\.\n"):
        import_checkpoint(tmp_path / "c.pth", ours("fpn", 2))


def test_networks_that_were_wrapped_one_by_one_are_unwrapped(tmp_path: Path) -> None:
    theirs = TripleUnet()
    for name in ("in_model_1", "in_model_2", "out_model"):
        setattr(theirs, name, nn.DataParallel(getattr(theirs, name)))
    torch.save([{"epoch": 3}, theirs], tmp_path / "c.pth")

    weights = import_checkpoint(tmp_path / "c.pth", ours("triunet", 1)).weights

    expected = theirs.out_model.module.state_dict()
    assert all(torch.equal(weights[f"head.{name}"], t) for name, t in expected.items())


def test_deeplabs_old_numbers_become_names(tmp_path: Path) -> None:
    numbers = {"decoder.aspp.": "decoder.0.", "decoder.conv.": "decoder.1.",
               "decoder.bn.": "decoder.2."}  # fmt: skip
    old = OrderedDict()
    for name, tensor in ours("deeplabv3", 1).state_dict().items():
        prefix = next((prefix for prefix in numbers if name.startswith(prefix)), "")
        old[numbers.get(prefix, "") + name.removeprefix(prefix)] = tensor
    assert "decoder.1.weight" in old
    torch.save(old, tmp_path / "c.pth")

    weights = import_checkpoint(tmp_path / "c.pth", ours("deeplabv3", 2)).weights

    assert weights.keys() == ours("deeplabv3", 1).state_dict().keys()
    assert torch.equal(weights["decoder.conv.weight"], old["decoder.1.weight"])


def test_half_precision_becomes_the_networks_own(tmp_path: Path) -> None:
    half = {name: t.half() if t.is_floating_point() else t
            for name, t in ours("fpn", 1).state_dict().items()}  # fmt: skip
    torch.save(half, tmp_path / "c.pth")

    weights = import_checkpoint(tmp_path / "c.pth", ours("fpn", 2)).weights

    assert {t.dtype for t in weights.values()} == {torch.float32, torch.int64}


def test_counters_that_old_files_lack_are_filled(tmp_path: Path) -> None:
    theirs = ours("fpn", 1).state_dict()
    old = {name: t for name, t in theirs.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "c.pth")

    assert import_checkpoint(tmp_path / "c.pth", ours("fpn", 2)).weights.keys() == theirs.keys()


def test_another_network_is_refused_with_every_tensor(tmp_path: Path) -> None:
    theirs = dict(ours("fpn", 1).state_dict())
    del theirs["decoder.p5.weight"]
    theirs["decoder.p5.extra"] = torch.zeros(1)
    theirs["decoder.p5.bias"] = torch.zeros(3)
    torch.save(theirs, tmp_path / "c.pth")

    with pytest.raises(models.ModelError) as error:
        import_checkpoint(tmp_path / "c.pth", ours("fpn", 2))

    assert "3 tensors do not fit" in error.value.message
    assert "decoder.p5.weight: missing" in error.value.message
    assert "decoder.p5.extra: unknown" in error.value.message
    assert "decoder.p5.bias: expected shape (256,), got (3,)" in error.value.message


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    torch.save(ours("unet", 1), tmp_path / "c.pth")

    with pytest.raises(models.ModelError, match="take --model unet --encoder resnet18"):
        import_checkpoint(tmp_path / "c.pth", ours("fpn", 1))


def test_a_tensor_of_endless_size_is_refused_before_it_is_made(tmp_path: Path) -> None:
    theirs = dict(ours("fpn", 1).state_dict())
    theirs["decoder.p5.weight"] = torch.zeros(1).expand(2**20, 2**20)
    torch.save(theirs, tmp_path / "c.pth")

    with pytest.raises(models.ModelError, match=r"got \(1048576, 1048576\)"):
        import_checkpoint(tmp_path / "c.pth", ours("fpn", 1))


def test_a_network_that_contains_itself_is_refused(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(1, 1))
    network._modules["itself"] = network
    torch.save(network, tmp_path / "c.pth")

    with pytest.raises(models.ModelError, match="deeper than a network can be"):
        import_checkpoint(tmp_path / "c.pth", nn.Linear(1, 1))


def test_dictionaries_that_share_and_contain_each_other_end(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    for _ in range(60):
        content = {"left": content, "right": content}
    content["itself"] = content
    torch.save(content, tmp_path / "c.pth")

    with pytest.raises(models.ModelError, match="holds no network"):
        import_checkpoint(tmp_path / "c.pth", nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("theirs", "options"),
    [
        (lambda: smp.Unet("resnet34", encoder_weights=None), "--model unet --encoder resnet34"),
        (authors, "--model triunet --encoder resnet18"),
    ],
)
def test_the_model_and_the_encoder_of_a_file_that_does_not_fit_are_found(
    theirs: Callable[[], nn.Module], options: str, tmp_path: Path
) -> None:
    torch.save(theirs().state_dict(), path := tmp_path / "best.pth")
    with pytest.raises(ModelError, match=f"import-checkpoint {path} {options}\n"):
        import_checkpoint(path, ours("unet", 0))
