"""The temperature that calibrates a run's probabilities, kept in the run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from harness.runs.run import Run
from harness.utils.command_line import command_line
from metrics.utils.errors import UserError
from metrics.utils.files import read_mapping, write_json

if TYPE_CHECKING:
    from harness.runs.network import Loaded

FILE: Final = "calibration.json"


def keep_temperature(run: Run, temperature: float, *, inference: Mapping[str, Any]) -> None:
    """Write a run's temperature (``metrics.calibration.fit_temperature``), with what it belongs to.

    ``inference`` is how the network predicted, see ``Inference.settings``.

    Raises:
        UnwritableError: If the folder cannot be written.
    """
    write_json(run.folder / FILE, {"temperature": temperature, **_of(run, inference)})


def kept_temperature(run: Run, inference: Mapping[str, Any]) -> float | None:
    """The run's temperature; ``None`` if none was fitted for these weights and this prediction."""
    found = read_mapping(run.folder / FILE)
    same = bool(found) and all(
        found.get(name) == value for name, value in _of(run, inference).items()
    )
    return float(found["temperature"]) if same else None


def temperature_of(loaded: Loaded, inference: Mapping[str, Any]) -> float:
    """The temperature of a network.

    Raises:
        UserError: If none was fitted for these weights and this prediction, or the network tells
            several classes apart.
    """
    run = loaded.run.run
    if len(loaded.classes) > 1:
        raise UserError(f"{run}: a temperature is for networks of a single class")
    temperature = kept_temperature(loaded.run, inference)
    if temperature is None:
        raise UserError(
            f"{run}: no temperature was fitted for these weights and this way of predicting. Fit "
            f"it with: {command_line(f'evaluate --split val --table calibration --run {run}')}"
        )
    return temperature


def _of(run: Run, inference: Mapping[str, Any]) -> dict[str, Any]:
    """What a temperature belongs to."""
    how = {name: inference.get(name) for name in ("precision", "tta")}
    return {"checkpoint": run.row["checkpoint"], **how}
