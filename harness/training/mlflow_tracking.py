"""A run in MLflow: its recipe, its curves, its best figures. An optional extra."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from harness.runs.workspace import Run
from harness.training.history import Epoch
from harness.utils.signals import Interrupted
from metrics.utils.errors import UserError

EXPERIMENT: Final = "harness"
TAG: Final = "harness.run"

_CURVES: Final = ("loss", "iou", "f1", "learning_rate", "images_per_second", "waiting")


def client() -> Any:
    """MLflow's module.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import mlflow
    except ImportError as error:
        raise UserError(
            "--tracker mlflow needs MLflow, which is not installed here. Install it with: "
            "pip install 'harness[mlflow]'"
        ) from error
    return mlflow


def store(workspace: Path) -> str:
    """Where MLflow keeps what it is told: ``MLFLOW_TRACKING_URI``, else a file of the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.absolute()}/mlflow.db"


class Mlflow:
    """Enters a run, and each epoch as it ends; a context manager, so that the run gets its end.

    A run that is resumed goes on in the MLflow run that it had.

    Args:
        workspace: The workspace's folder.
        run: The run.

    Raises:
        UserError: If MLflow is not installed, or its store cannot be used.
    """

    def __init__(self, workspace: Path, run: Run) -> None:
        module = client()
        self._passed = 0
        uri = store(workspace)
        try:
            self._client = module.MlflowClient(tracking_uri=uri)
            self._run = self._enter(run)
        except module.exceptions.MlflowException as error:
            raise UserError(
                f"MLflow cannot use its store {uri}: {error}. Set MLFLOW_TRACKING_URI to another, "
                "or leave out --tracker."
            ) from error

    def _enter(self, run: Run) -> str:
        """The identifier of the MLflow run, a new one where it had none."""
        found = self._client.get_experiment_by_name(EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(EXPERIMENT)
        before = self._client.search_runs([experiment], f"tags.`{TAG}` = '{run.run}'")
        if before:
            identifier = str(before[0].info.run_id)
            self._client.update_run(identifier, status="RUNNING")
            # The last curve that an epoch enters: what has it has the others as well.
            known = self._client.get_metric_history(identifier, _CURVES[-1])
            self._passed = max((point.step for point in known), default=0)
            return identifier
        entered = self._client.create_run(experiment, run_name=run.run, tags={TAG: run.run})
        for name, value in run.settings.items():
            self._client.log_param(entered.info.run_id, name, value)
        return str(entered.info.run_id)

    def __enter__(self) -> Self:
        """The tracker itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Enter how it ended."""
        failed = "KILLED" if isinstance(error, Interrupted) else "FAILED"
        self._client.set_terminated(self._run, "FINISHED" if error is None else failed)

    def __call__(self, epoch: Epoch) -> None:
        """Enter an epoch; one that MLflow has already is passed over."""
        if epoch.epoch <= self._passed:
            return
        values = dataclasses.asdict(epoch)
        if epoch.best:
            for name in ("iou", "f1"):
                self._client.log_metric(self._run, f"best_{name}", values[name], step=epoch.epoch)
        for name in _CURVES:
            self._client.log_metric(self._run, name, values[name], step=epoch.epoch)
