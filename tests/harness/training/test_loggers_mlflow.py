"""What MLflow is given, by a stand-in with its interface."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock, Timeout

from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training.history import Epoch
from harness.training.loggers import import_mlflow, log_to_mlflow, mlflow_store
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError


def epoch(number: int, *, best: bool = False) -> Epoch:
    return Epoch(
        epoch=number, loss=1 / number, iou=0.1 * number, f1=0.2 * number,
        learning_rate=1e-3, seconds=1.0, images_per_second=10.0, waiting=0.01, best=best,
    )  # fmt: skip


class RefusedError(Exception):
    pass


class StandIn(ModuleType):
    """The functions of MLflow that are used; it keeps everything in memory."""

    exceptions = SimpleNamespace(MlflowException=RefusedError)

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.runs: dict[str, dict[str, Any]] = {}
        self.active: dict[str, Any] = {}

    def set_tracking_uri(self, uri: str) -> None:
        self.uri = uri

    def set_experiment(self, name: str) -> None:
        if "refused" in self.uri:
            raise RefusedError("no such store")

    def search_runs(self, *, filter_string: str, output_format: str) -> list[Any]:
        assert output_format == "list"
        return [
            SimpleNamespace(
                info=SimpleNamespace(run_id=name),
                data=SimpleNamespace(metrics={key: value for key, _, value in run["metrics"]}),
            )
            for name, run in self.runs.items()
            if f"'{run['tags']['harness.run']}'" in filter_string
        ]

    def start_run(
        self, *, run_id: str = "1", run_name: str = "", tags: dict[str, str] | None = None
    ) -> None:
        made = {"tags": tags, "name": run_name, "metrics": [], "params": {}}
        self.active = self.runs.setdefault(run_id, made)
        self.active["status"] = "RUNNING"

    def log_params(self, params: dict[str, object]) -> None:
        self.active["params"] |= params

    def log_metrics(self, metrics: dict[str, float], *, step: int) -> None:
        self.active["metrics"] += [(name, step, value) for name, value in metrics.items()]

    def end_run(self, status: str) -> None:
        self.active["status"] = status


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Puts the stand-in in MLflow's place; returns the one run that it has."""
    module = StandIn()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def only() -> dict[str, Any]:
        (run,) = module.runs.values()
        return run

    return only


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Workspace(tmp_path).new_run("unet", settings={"model": "unet"}, versions={})


def curve(entered: dict[str, Any], name: str) -> list[tuple[int, float]]:
    return [(step, value) for key, step, value in entered["metrics"] if key == name]


def test_a_run_with_its_recipe_curves_and_best_figures(
    tmp_path: Path, run: Run, stand_in: Callable[[], dict[str, Any]]
) -> None:
    with log_to_mlflow(tmp_path, run) as tracker:
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
        with log_to_mlflow(tmp_path, run) as tracker:
            tracker(epoch(1))
            tracker(epoch(2))
            raise Interrupted("stopped", 15)

    with pytest.raises(Interrupted):
        stop_after_two()
    assert stand_in()["status"] == "KILLED"

    with log_to_mlflow(tmp_path, run) as tracker:
        for number in (2, 3):  # the state was of the first epoch
            tracker(epoch(number))

    assert [step for step, _ in curve(stand_in(), "f1")] == [1, 2, 3]
    assert stand_in()["status"] == "FINISHED"


def test_a_run_that_fails_is_entered_as_such(
    tmp_path: Path, run: Run, stand_in: Callable[[], dict[str, Any]]
) -> None:
    with pytest.raises(OSError, match="full"), log_to_mlflow(tmp_path, run):
        raise OSError("full")
    assert stand_in()["status"] == "FAILED"


def test_a_store_that_fails_later_is_warned_of_and_ends_no_training(
    tmp_path: Path, run: Run, stand_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RefusedError("server gone")

    def train() -> None:
        with log_to_mlflow(tmp_path, run) as tracker:
            for name in ("log_metrics", "end_run"):
                monkeypatch.setattr(sys.modules["mlflow"], name, fail)
            tracker(epoch(1))

    with pytest.warns(UserWarning, match="server gone") as warned:
        train()
    said = [str(one.message) for one in warned]
    assert [text.partition(" take ")[2].partition(":")[0] for text in said] == [
        "epoch 1", "that the run ended as FINISHED",
    ]  # fmt: skip


def test_one_process_at_a_time_creates_the_store(
    tmp_path: Path, run: Run, stand_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def other(_: str) -> None:
        with pytest.raises(Timeout):
            FileLock(tmp_path / ".mlflow.db.lock", timeout=0).acquire()
        held.append(True)

    monkeypatch.setattr(sys.modules["mlflow"], "set_experiment", other)
    with log_to_mlflow(tmp_path, run):
        FileLock(tmp_path / ".mlflow.db.lock", timeout=0).acquire()  # a training holds none

    assert held == [True]


def test_a_store_that_cannot_be_used_is_said(
    tmp_path: Path, run: Run, stand_in: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://refused")
    refused = pytest.raises(UserError, match="http://refused: no such store")
    with refused, log_to_mlflow(tmp_path, run):
        pass


def test_without_mlflow_the_way_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match=r"pip install 'harness\[mlflow\]'"):
        import_mlflow()


def test_the_store_is_a_file_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_store(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
