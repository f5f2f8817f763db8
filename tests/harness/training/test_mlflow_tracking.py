"""What MLflow is told: by a stand-in with its interface, and by MLflow itself where it is there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.runs.workspace import Run, Workspace
from harness.training.history import Epoch
from harness.training.mlflow_tracking import Mlflow, client, store
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError


def epoch(number: int, *, best: bool = False) -> Epoch:
    return Epoch(
        epoch=number, loss=1 / number, iou=0.1 * number, f1=0.2 * number,
        learning_rate=1e-3, seconds=1.0, images_per_second=10.0, waiting=0.01, best=best,
    )  # fmt: skip


class RefusedError(Exception):
    pass


@dataclass
class StandIn:
    """The part of MlflowClient that is used; it keeps everything in memory, by its address."""

    tracking_uri: str
    runs: dict[str, Any] = field(default_factory=dict)

    def get_experiment_by_name(self, name: str) -> Any:
        return None

    def create_experiment(self, name: str) -> str:
        if "refused" in self.tracking_uri:
            raise RefusedError("no such store")
        return name

    def search_runs(self, experiments: list[str], query: str) -> list[Any]:
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=name))
            for name, run in self.runs.items()
            if f"'{run['tags']['harness.run']}'" in query
        ]

    def create_run(self, experiment: str, *, run_name: str, tags: dict[str, str]) -> Any:
        self.runs["1"] = {"tags": tags, "metrics": [], "params": {}, "status": "RUNNING"}
        return SimpleNamespace(info=SimpleNamespace(run_id="1"))

    def update_run(self, run: str, *, status: str) -> None:
        self.runs[run]["status"] = status

    def log_param(self, run: str, name: str, value: object) -> None:
        self.runs[run]["params"][name] = value

    def log_metric(self, run: str, name: str, value: float, *, step: int) -> None:
        self.runs[run]["metrics"].append((name, step, value))

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        found = [step for key, step, _ in self.runs[run]["metrics"] if key == name]
        return [SimpleNamespace(step=step) for step in found]

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Puts the stand-in in MLflow's place; returns the one run that it has."""
    clients: dict[str, StandIn] = {}
    module = ModuleType("mlflow")
    module.MlflowClient = lambda tracking_uri: clients.setdefault(  # type: ignore[attr-defined]
        tracking_uri, StandIn(tracking_uri)
    )
    module.exceptions = SimpleNamespace(MlflowException=RefusedError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def only() -> dict[str, Any]:
        ((_, found),) = clients.items()
        (run,) = found.runs.values()
        return dict(run)

    return only


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Workspace(tmp_path).new_run("unet", settings={"model": "unet"}, versions={})


def curve(entered: dict[str, Any], name: str) -> list[tuple[int, float]]:
    return [(step, value) for key, step, value in entered["metrics"] if key == name]


def test_a_run_with_its_recipe_curves_and_best_figures(
    tmp_path: Path, run: Run, stand_in: Callable[[], dict[str, Any]]
) -> None:
    with Mlflow(tmp_path, run) as tracker:
        tracker(epoch(1, best=True))
        tracker(epoch(2))

    entered = stand_in()
    assert entered["params"] == {"model": "unet"}
    assert entered["tags"] == {"harness.run": run.run}
    assert curve(entered, "loss") == [(1, 1.0), (2, 0.5)]
    assert curve(entered, "best_iou") == [(1, 0.1)]
    assert entered["status"] == "FINISHED"


def test_a_resumed_run_goes_on_where_it_was(
    tmp_path: Path, run: Run, stand_in: Callable[[], dict[str, Any]]
) -> None:
    def stop_after_two() -> None:
        with Mlflow(tmp_path, run) as tracker:
            tracker(epoch(1))
            tracker(epoch(2))
            raise Interrupted("stopped", 15)

    with pytest.raises(Interrupted):
        stop_after_two()
    assert stand_in()["status"] == "KILLED"

    with Mlflow(tmp_path, run) as tracker:
        for number in (2, 3):  # the state was of the first epoch
            tracker(epoch(number))

    assert [step for step, _ in curve(stand_in(), "f1")] == [1, 2, 3]
    assert stand_in()["status"] == "FINISHED"


def test_a_run_that_fails_is_entered_as_such(
    tmp_path: Path, run: Run, stand_in: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(OSError, match="full"), Mlflow(tmp_path, run):
        raise OSError("full")
    assert stand_in()["status"] == "FAILED"


def test_a_store_that_cannot_be_used_is_said(
    tmp_path: Path, run: Run, stand_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://refused")
    with pytest.raises(UserError, match="http://refused: no such store"):
        Mlflow(tmp_path, run)


def test_without_mlflow_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"pip install 'harness\[mlflow\]'"):
        client()


def test_the_store_is_a_file_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
