"""What is left out of the steps stays as the run has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from harness.config.training import TrainConfig
from harness.evaluation.tuning import tune as module
from harness.evaluation.tuning.member_maps import Truths, _new_array
from harness.inference.prediction import Inference
from harness.runs.network import Loaded
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import UserError
from metrics.utils.files import UnwritableError
from models.divergentnets import DivergentNets

TWO = Classes.from_table({"polyp": 255, "instrument": 128})


@pytest.mark.parametrize(
    ("steps", "predicted", "chosen"),
    [(("threshold",), [True], True), (("threshold", "tta"), [False, True], False)],
)
def test_augmentation_that_is_not_tuned_stays_as_in_the_recipe(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    truths: Truths,
    maps_of: Callable[..., Any],
    steps: Sequence[str],
    predicted: list[bool],
    chosen: bool,
) -> None:
    run = Run(
        run="unet-1", model="unet", status="finished", folder=tmp_path, settings={"tta": True},
        members={}, row={},
    )  # fmt: skip
    asked: list[bool | None] = []

    def predict(_loaded: Any, _frames: Any, inference: Inference, *_more: Any) -> Any:
        asked.append(inference.tta)
        return maps_of(unet=(0.9, 0.1))

    loaded = SimpleNamespace(classes=["polyp"], run=run, network=None)
    monkeypatch.setattr(module, "load", lambda _run: loaded)
    monkeypatch.setattr(module.Truths, "read", lambda *_: truths)
    monkeypatch.setattr(module, "_predict", predict)
    monkeypatch.setattr(module, "data_fingerprint", lambda *_: "frames")
    monkeypatch.setattr(module, "register", lambda _workspace, _run, choice, **_: choice)

    choice: Any
    choice, _ = module.tune(
        Workspace(tmp_path), run, pd.DataFrame(), "val",
        inference=Inference(device=torch.device("cpu"), tta=False), steps=steps, figure="f1",
        only_certain=False,
    )  # fmt: skip

    assert asked == predicted
    assert choice.tta is chosen


def test_without_its_largest_member_an_ensemble_is_tuned_on_smaller_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truths: Truths, maps_of: Callable[..., Any]
) -> None:
    sizes = {"fpn": 64, "unet": 32, "unet++": 32}
    run = Run(
        run="divergentnets-1", model="divergentnets", status="finished", folder=tmp_path,
        settings={"members": {name: {"size": size} for name, size in sizes.items()}},
        members=dict.fromkeys(sizes, "a run"), row={},
    )  # fmt: skip
    networks = {name: torch.nn.Conv2d(3, 2, 1) for name in sizes}
    whole = Loaded(run=run, network=DivergentNets(networks, sizes), size=64, classes=ONE)
    predicted: list[tuple[int, tuple[str, ...], list[float]]] = []

    def predict(loaded: Any, *_more: Any) -> Any:
        scales = [member.scale for member in loaded.network.members]
        predicted.append((loaded.size, loaded.network.names, scales))
        return maps_of(**{"fpn": (0.1, 0.9), "unet": (0.9, 0.1), "unet++": (0.2, 0.8)})

    monkeypatch.setattr(module, "load", lambda _run: whole)
    monkeypatch.setattr(module.Truths, "read", lambda *_: truths)
    monkeypatch.setattr(module, "_predict", predict)
    monkeypatch.setattr(module, "data_fingerprint", lambda *_: "frames")
    monkeypatch.setattr(module, "register", lambda _workspace, _run, choice, **_: choice)

    module.tune(
        Workspace(tmp_path), run, pd.DataFrame(), "val",
        inference=Inference(device=torch.device("cpu"), tta=False), steps=("members", "tta"),
        figure="f1", only_certain=False,
    )  # fmt: skip

    small = (32, ("unet",), [1.0])
    assert predicted == [(64, ("fpn", "unet", "unet++"), [1.0, 0.5, 0.5]), small, small]


def test_a_fusion_is_fitted_to_maps_that_are_predicted_as_its_run_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truths: Truths, maps_of: Callable[..., Any]
) -> None:
    recipes = {name: TrainConfig(model=name, tta=True).to_dict() for name in ("fpn", "unet")}
    run = Run(
        run="divergentnets-1", model="divergentnets", status="finished", folder=tmp_path,
        settings={"members": recipes}, members=dict.fromkeys(recipes, "a run"), row={},
    )  # fmt: skip
    asked: list[bool | None] = []

    def predict(_loaded: Any, _frames: Any, inference: Inference, *_more: Any) -> Any:
        asked.append(inference.tta)
        return maps_of(fpn=(0.9, 0.1), unet=(0.9, 0.1))

    monkeypatch.setattr(module, "load", lambda _run: SimpleNamespace(classes=["polyp"]))
    monkeypatch.setattr(module, "member_names", lambda _loaded: ("fpn", "unet"))
    monkeypatch.setattr(module.Truths, "read", lambda *_: truths)
    monkeypatch.setattr(module, "_predict", predict)
    monkeypatch.setattr(module, "fit", lambda *_, **__: torch.nn.Conv2d(1, 1, 1))
    monkeypatch.setattr(module, "register", lambda _workspace, _run, choice, **_: choice)

    choice: Any = module.fuse(
        Workspace(tmp_path), run, [(run, pd.DataFrame())], "val", kind="weighted",
        inference=Inference(device=torch.device("cpu"), tta=False),
    )  # fmt: skip

    assert asked == [choice.tta] == [True]


def test_folds_of_different_sizes_cannot_be_fused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truths: Truths, maps_of: Callable[..., Any]
) -> None:
    recipes = {name: TrainConfig(model=name).to_dict() for name in ("fpn", "unet")}
    large, small = (
        Run(
            run=f"divergentnets-{size}", model="divergentnets", status="finished", folder=tmp_path,
            settings={"members": recipes}, members={"fpn": "a"}, row={},
        )
        for size in (64, 32)
    )  # fmt: skip
    maps = maps_of(fpn=(0.9, 0.1), unet=(0.9, 0.1))  # of 32 pixels
    monkeypatch.setattr(
        module, "load", lambda run: SimpleNamespace(classes=["polyp"], size=int(run.run[-2:]))
    )
    monkeypatch.setattr(module, "member_names", lambda _loaded: ("fpn", "unet"))
    monkeypatch.setattr(module.Truths, "read", lambda *_: truths)
    monkeypatch.setattr(module, "_predict", lambda *_: maps)

    with pytest.raises(UserError, match="divergentnets-64 takes images of 64 pixels"):
        module.fuse(
            Workspace(tmp_path), small, [(small, pd.DataFrame()), (large, pd.DataFrame())], "val",
            kind="weighted", inference=Inference(device=torch.device("cpu")),
        )  # fmt: skip


def test_maps_take_their_room_on_the_disk_at_once(
    tmp_path: Path, no_room: Callable[[int], AbstractContextManager[None]]
) -> None:
    maps = _new_array(tmp_path / "maps.npy", (2, 3, 64, 64))
    assert maps.shape == (2, 3, 64, 64)
    assert not maps.any()
    taken = (tmp_path / "maps.npy").stat()
    assert taken.st_blocks * 512 >= taken.st_size > maps.nbytes
    with no_room(10_000), pytest.raises(UnwritableError, match="cannot write in"):
        _new_array(tmp_path / "more.npy", (2, 3, 64, 64))


@pytest.mark.parametrize(
    ("classes", "tried"),
    [
        (ONE, {"members", "threshold", "clean-up", "test-time augmentation"}),
        (TWO, {"members", "test-time augmentation"}),
    ],
)
def test_what_the_classes_have_is_tuned_by_default(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    truths: Truths,
    maps_of: Callable[..., Any],
    classes: Classes,
    tried: set[str],
) -> None:
    run = Run(
        run="divergentnets-1", model="divergentnets", status="finished", folder=tmp_path,
        settings={}, members=dict.fromkeys(("fpn", "unet"), "a run"), row={},
    )  # fmt: skip
    network = DivergentNets({name: torch.nn.Conv2d(3, 2, 1) for name in run.members})
    loaded = Loaded(run=run, network=network, size=32, classes=classes)
    maps = maps_of(fpn=(0.9, 0.1), unet=(0.2, 0.1))
    monkeypatch.setattr(module, "load", lambda _run: loaded)
    monkeypatch.setattr(module.Truths, "read", lambda *_: truths)
    monkeypatch.setattr(module, "_predict", lambda *_: maps)
    monkeypatch.setattr(module, "with_members", lambda loaded, _names: loaded)
    monkeypatch.setattr(module, "data_fingerprint", lambda *_: "frames")
    monkeypatch.setattr(module, "register", lambda _workspace, _run, choice, **_: choice)

    def tune(*steps: str) -> Any:
        return module.tune(
            Workspace(tmp_path), run, pd.DataFrame(), "val",
            inference=Inference(device=torch.device("cpu")), steps=steps, figure="f1",
            only_certain=False,
        )  # fmt: skip

    assert {one.step for one in tune()[1]} == tried
    if len(classes) > 1:
        with pytest.raises(UserError, match=r"2 classes apart.* threshold cannot be tuned"):
            tune("threshold", "tta")


def test_members_of_a_single_network_are_not_tuned(tmp_path: Path) -> None:
    run = Run(
        run="unet-1", model="unet", status="finished", folder=tmp_path, settings={}, members={},
        row={},
    )  # fmt: skip

    with pytest.raises(UserError, match="no members to choose among"):
        module.tune(
            Workspace(tmp_path), run, pd.DataFrame(), "val",
            inference=Inference(device=torch.device("cpu")), steps=["members"], figure="f1",
            only_certain=False,
        )  # fmt: skip
