"""What a training run needs to know, checked before anything is built.

A :class:`TrainConfig` is the whole recipe of one run: two runs with equal settings, equal data and
equal versions train the same weights. Presets are data, and every field can be overridden.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.utils.device import Precision
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import Fault, FaultsError, UserError

Optimiser = Literal["adam", "adamw"]
Schedule = Literal["step", "one-cycle"]
Augmentation = Literal["paper", "light", "none"]
Inputs = Literal["normalised", "0-255"]

SMALLEST_SIZE = 32


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The recipe of one training run.

    Attributes:
        model: Registered name of the architecture.
        preset: Name of the preset the recipe started from.
        nodes: Three node names for ``trinet``, else empty.
        encoder: Name of the encoder in segmentation-models-pytorch.
        encoder_weights: ``imagenet``, ``none`` or the path of a weights file.
        size: Side of the square network input, in pixels.
        epochs: Passes over the training frames.
        batch_size: Frames a step, however many processes share them.
        optimiser: ``adam`` (the paper's) or ``adamw``.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled for ``adamw``; the paper has none.
        schedule: ``step`` (a tenth after ``drop_after`` epochs) or ``one-cycle``.
        drop_after: Epochs before the drop of the ``step`` schedule.
        loss: Name of the loss in ``models.losses``.
        augmentation: ``paper``, ``light`` or ``none``.
        average: Decay of the running average of the weights; 0 keeps none.
        precision: ``fp32`` (the reference), ``bf16`` (autocast) or ``auto``: ``bf16`` where the
            device computes it natively. A run that is entered has one of the first two.
        compile: Whether torch compiles the network first, which pays on a GPU over many epochs.
        seed: Seeds weights, data order and augmentations.
        workers: Processes that augment beside the training process; ``None`` for as many as pay
            on the device. They change nothing but the speed.
        leave_out: Centre that is trained without; empty for none.
        fold: ``K/N`` in a cross-validation; empty for the splits as they are.
        classes: What is told apart, and which class single-channel losses go by.
        inputs: What the network takes: images ``normalised`` as the encoder's own were, or as they
            are, ``0-255``, as the paper's authors trained theirs.
    """

    model: str
    preset: str = "paper"
    nodes: tuple[str, ...] = ()
    encoder: str = "se_resnext50_32x4d"
    encoder_weights: str = "imagenet"
    size: int = 256
    epochs: int = 200
    batch_size: int = 8
    optimiser: Optimiser = "adam"
    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    schedule: Schedule = "step"
    drop_after: int = 50
    loss: str = "single-channel-dice"
    augmentation: Augmentation = "paper"
    average: float = 0.0
    precision: Precision = "fp32"
    compile: bool = False
    seed: int = 0
    workers: int | None = None
    leave_out: str = ""
    fold: str = ""
    inputs: Inputs = "normalised"
    classes: Classes = ONE

    def __post_init__(self) -> None:
        """Refuse an impossible recipe, all faults at once."""
        faults = _faults(self)
        if faults:
            raise FaultsError(faults, "the settings of the run cannot work")

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """The recipe back from :meth:`to_dict`; unknown keys are refused.

        Raises:
            UserError: If a key names no setting.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            nearest = difflib.get_close_matches(unknown[0], known, n=1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            raise UserError(f"unknown training setting {unknown[0]!r}{hint}")
        values = dict(values)
        values["nodes"] = tuple(values.get("nodes", ()))
        if "classes" in values:
            values["classes"] = Classes.from_dict(values["classes"])
        return cls(**values)


def _faults(config: TrainConfig) -> list[Fault]:
    """Everything that makes the recipe impossible."""
    checks = {
        "epochs": (config.epochs >= 1, "expected 1 or more"),
        "batch_size": (config.batch_size >= 1, "expected 1 or more"),
        "size": (
            config.size >= SMALLEST_SIZE and config.size % SMALLEST_SIZE == 0,
            f"expected a multiple of {SMALLEST_SIZE}, since the encoders halve it five times",
        ),
        "learning_rate": (config.learning_rate > 0, "expected a positive number"),
        "average": (0 <= config.average < 1, "expected a decay from 0 up to, not including, 1"),
        "workers": (config.workers is None or config.workers >= 0, "expected 0 or more"),
        "seed": (0 <= config.seed < 2**32, "expected 0 to 4294967295"),
        "nodes": (len(config.nodes) in (0, 3), "expected three node names, such as unet,fpn,unet"),
    }
    return [
        Fault(path=f"--{name.replace('_', '-')}", message=f"{message}; got {getattr(config, name)}")
        for name, (fine, message) in checks.items()
        if not fine
    ]


# `quick` and `demo` train from scratch, so they trade the paper's slow and steady Adam for a
# one-cycle schedule, and take small frames, since in the same time many steps at 64 pixels teach
# them more than few at 128.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {"precision": "auto"},
    "quick": {
        "encoder": "resnet18",
        "encoder_weights": "none",
        "size": 64,
        "epochs": 12,
        "batch_size": 8,
        "optimiser": "adamw",
        "learning_rate": 1.5e-3,
        "weight_decay": 1e-2,
        "schedule": "one-cycle",
        "loss": "dice+ce",
        "augmentation": "light",
        "average": 0.98,
        "precision": "auto",
    },
    "demo": {
        "encoder": "tu-resnet10t",
        "encoder_weights": "none",
        "size": 64,
        "epochs": 5,
        "batch_size": 8,
        "optimiser": "adamw",
        "learning_rate": 2e-3,
        "weight_decay": 1e-2,
        "schedule": "one-cycle",
        "loss": "dice+ce",
        "augmentation": "none",
        "average": 0.95,
        "precision": "auto",
    },
}


def resolve(model: str, preset: str = "paper", **overrides: Any) -> TrainConfig:
    """The recipe of ``preset`` for ``model``, with every override that is not ``None``.

    Raises:
        UserError: If the preset is unknown.
        FaultsError: If the resulting recipe cannot work.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}; expected one of {', '.join(PRESETS)}")
    values = {**PRESETS[preset], **{k: v for k, v in overrides.items() if v is not None}}
    return TrainConfig(model=model, preset=preset, **values)
