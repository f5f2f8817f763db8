"""Recipes from presets, which are TOML files, and from what a user changes in them."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness.config.training import ELSEWHERE, TrainConfig
from metrics.utils.errors import Fault, FaultsError, UserError
from metrics.utils.text import read_toml
from metrics.utils.validation import suggest

_FOLDER: Final = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """The built-in presets."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def read_preset(name: str) -> dict[str, Any]:
    """The settings of a preset.

    Args:
        name: A built-in preset, or the path of a TOML file.

    Raises:
        UserError: If there is no such preset or file, or it is no TOML.
        FaultsError: If it holds settings that are unknown or impossible, all at once.
    """
    path = _FOLDER / f"{name}.toml" if name in preset_names() else Path(name)
    if not path.exists():
        raise UserError(
            f"unknown preset {name!r}, and no file of that name; {suggest(name, preset_names())}"
        )
    values = read_toml(path)
    _refuse_elsewhere(values, path=str(path))
    TrainConfig.from_dict({**values, "model": "unet"}, path=str(path))
    return {"preset": path.stem, **values}


def resolve(model: str, preset: str = "paper", **changes: Any) -> TrainConfig:
    """The recipe of a preset for a model, with every change that is not ``None``.

    Raises:
        UserError: If the preset is unknown or cannot be read.
        FaultsError: If the resulting recipe cannot work, with all reasons.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    return TrainConfig.from_dict({**read_preset(preset), **given, "model": model})


def parse_settings(pairs: Sequence[str]) -> dict[str, Any]:
    """The values of ``--set key=value``: as TOML has them, and else text.

    Example:
        >>> parse_settings(["epochs=3", "loss=dice+ce", "compile=true"])
        {'epochs': 3, 'loss': 'dice+ce', 'compile': True}

    Raises:
        FaultsError: If a pair has no ``=``, or its key is set by another option, all at once.
    """
    faults = [
        Fault(path="--set", message=f"expected key=value, got {pair!r}")
        for pair in pairs
        if "=" not in pair
    ]
    if faults:
        raise FaultsError(faults, "the recipe cannot be changed so")
    values = {key.strip(): _value(text) for key, _, text in (p.partition("=") for p in pairs)}
    _refuse_elsewhere(values, path="--set", elsewhere={**ELSEWHERE, "preset": "--preset"})
    return values


def to_toml(config: TrainConfig) -> str:
    """A recipe as a preset's file; read again, it gives the same recipe for the same model."""
    lines = [f"# A recipe of 'harness train', as for --model {config.model}."]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in ELSEWHERE or value is None or value == ():
            continue  # TOML has no null; what is left out has its default
        lines.append(f"{field.name} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines)


def _refuse_elsewhere(
    values: Mapping[str, Any], *, path: str, elsewhere: Mapping[str, str] = ELSEWHERE
) -> None:
    faults = [
        Fault(path=path, message=f"{name} is no part of a recipe; it is set by {where}")
        for name, where in elsewhere.items()
        if name in values
    ]
    if faults:
        raise FaultsError(faults, "the recipe cannot be used")


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
