"""The recipe of a training run, checked before anything is built.

Two runs with equal settings, equal data and equal versions train the same weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

from metrics.masks.classes import ONE, Classes
from metrics.utils.validation import validate

Inputs = Literal["normalised", "0-255"]

SMALLEST_SIZE: Final = 32

_GROWN: Final = 0.75
"""Share of the steps after which the network input has its full size."""

ELSEWHERE: Final = {
    "model": "--model",
    "leave_out": "--leave-out",
    "fold": "--folds",
    "init": "--init",
    "init_sha256": "--init",
    "teacher": "--teacher",
    "teacher_sha256": "--teacher",
    "classes": "the table [classes] of harness.toml",
}
"""Fields of a ``TrainConfig`` that are no part of a preset, and where they are set."""

_RENAMED: Final = {"average": "ema_decay"}
"""Settings of runs of earlier versions, and their names now."""

_Name = Annotated[str, Field(strict=True, min_length=1, description="a name")]
_Count = Annotated[int, Field(strict=True, ge=1, description="a whole number, 1 or more")]
_Size = Annotated[
    int,
    Field(
        strict=True,
        ge=SMALLEST_SIZE,
        multiple_of=SMALLEST_SIZE,
        description=f"a multiple of {SMALLEST_SIZE}, since the encoders halve it five times",
    ),
]
_Stride = Annotated[Literal[0, 8, 16], Field(description="0, 8 or 16")]
_GrowFrom = Annotated[
    int,
    Field(
        strict=True,
        ge=0,
        multiple_of=SMALLEST_SIZE,
        description=f"0, or a multiple of {SMALLEST_SIZE}",
    ),
]
_Epochs = Annotated[int, Field(strict=True, ge=0, description="a whole number, 0 or more")]
_Rate = Annotated[float, Field(strict=True, gt=0, lt=float("inf"), description="a number above 0")]
_Decay = Annotated[float, Field(strict=True, ge=0, lt=1, description="0, or a decay below 1")]
_Weight = Annotated[
    float, Field(strict=True, ge=0, lt=float("inf"), description="a number, 0 or more")
]
_Share = Annotated[float, Field(strict=True, ge=0, le=1, description="a number from 0 to 1")]
_Seed = Annotated[
    int, Field(strict=True, ge=0, lt=2**32, description="a whole number from 0 to 4294967295")
]
_Workers = Annotated[int | None, Field(strict=True, ge=0, description="a whole number, 0 or more")]
_Precision = Annotated[Literal["auto", "fp32", "bf16"], Field(description="auto, fp32 or bf16")]
_Inputs = Annotated[Inputs, Field(description="normalised or 0-255")]
_Switch = Annotated[bool, Field(strict=True, description="true or false")]


def _none_or_three(nodes: tuple[str, ...]) -> tuple[str, ...]:
    if len(nodes) not in (0, 3):
        raise ValueError("not three")  # the field's description says what is expected
    return nodes


_Nodes = Annotated[
    tuple[str, ...],
    AfterValidator(_none_or_three),
    Field(description='three names of models, such as ["unet", "fpn", "unet"]'),
]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainConfig:
    """The recipe of one training run. :meth:`from_dict` checks what it is given.

    Attributes:
        model: Registered name of the architecture.
        preset: Name of the preset that the recipe started from.
        nodes: Three node names for ``trinet``, else empty.
        encoder: Name of the encoder in segmentation-models-pytorch.
        encoder_weights: ``imagenet``, ``none`` or the path of a weights file.
        output_stride: By how much the encoder of DeepLabs shrinks the image: 8, or 16 at less than
            half of the work; 0 for the architecture's own (8 for DeepLabv3, 16 for DeepLabv3+).
        size: Side of the square network input, in pixels.
        grow_from: Side of the network input in the first steps (progressive resizing): it grows to
            ``size`` over the first three quarters of the training; 0, like all that is not
            smaller than ``size``, for ``size`` throughout.
        epochs: Passes over the training frames.
        batch_size: Frames a step, however many processes share them.
        optimiser: A name of ``harness.training.optimiser``: ``adam`` (the paper's) or ``adamw``.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled for ``adamw``; the paper has none.
        schedule: A name of ``harness.training.schedules``: ``step`` (the paper's), ``one-cycle``
            or ``cosine``.
        drop_after: Epochs before the drop of the ``step`` schedule.
        patience: Epochs without a better validation IoU after which training ends early; 0 for
            never.
        loss: A name of ``models.losses``.
        augmentation: A name of ``harness.data.augment``: ``paper``, ``light`` or ``none``.
        ema_decay: Decay of the moving average of the weights; 0 keeps none.
        precision: ``fp32`` (the reference), ``bf16`` (autocast) or ``auto``: ``bf16`` where the
            device computes it natively. A registered run has one of the first two.
        tta: Whether the network predicts with test-time augmentation unless a command says
            otherwise; an ensemble does where all its members do. Training itself does not.
        compile: Whether torch compiles the network first, which pays on a GPU over many epochs.
        seed: Seeds weights, data order and augmentations.
        workers: Processes that augment beside the training process; ``None`` for as many as pay
            on the device. They change nothing but the speed.
        leave_out: Centre that is trained without; empty for none.
        fold: ``K/N`` in a cross-validation; empty for the splits as they are.
        init: Run or checkpoint file whose weights training starts from; empty for none.
        init_sha256: Digest of the file of these weights, in hexadecimal.
        teacher: Run whose probabilities the network learns as well; empty for none.
        teacher_sha256: Digest of the teacher's weights, in hexadecimal.
        teacher_weight: The teacher's share of what the network is to say; the masks have the rest.
        inputs: What the network takes: images ``normalised`` as the encoder's own were, or as they
            are, ``0-255``, as the paper's authors trained theirs.
        classes: The classes, and which of them single-channel losses go by.
    """

    model: _Name
    preset: _Name = "paper"
    nodes: _Nodes = ()
    encoder: _Name = "se_resnext50_32x4d"
    encoder_weights: _Name = "imagenet"
    output_stride: _Stride = 0
    size: _Size = 256
    grow_from: _GrowFrom = 0
    epochs: _Count = 200
    batch_size: _Count = 8
    optimiser: _Name = "adam"
    learning_rate: _Rate = 1e-4
    weight_decay: _Weight = 0.0
    schedule: _Name = "step"
    drop_after: _Count = 50
    patience: _Epochs = 0
    loss: _Name = "single-channel-dice"
    augmentation: _Name = "paper"
    ema_decay: _Decay = 0.0
    precision: _Precision = "fp32"
    tta: _Switch = False
    compile: _Switch = False
    seed: _Seed = 0
    workers: _Workers = None
    leave_out: str = ""
    fold: str = ""
    init: str = ""
    init_sha256: str = ""
    teacher: str = ""
    teacher_sha256: str = ""
    teacher_weight: _Share = 0.5
    inputs: _Inputs = "normalised"
    classes: Classes = ONE

    def input_size(self, progress: float) -> int:
        """Side of the network input at a point of the training, in pixels.

        Small frames teach the coarse features in a fraction of the time; the last quarter of the
        steps sees frames of the full size. The sides between are multiples of 32, each for as many
        steps.

        Args:
            progress: Share of the steps that are done, in [0, 1].

        Example:
            >>> recipe = TrainConfig(model="unet", size=192, grow_from=96)
            >>> [recipe.input_size(step / 8) for step in range(8)]
            [96, 96, 128, 128, 160, 160, 192, 192]
        """
        if not 0 < self.grow_from < self.size:
            return self.size
        stages = (self.size - self.grow_from) // SMALLEST_SIZE
        stage = int(progress / _GROWN * stages)
        return min(self.size, self.grow_from + stage * SMALLEST_SIZE)

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain values that JSON can hold."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, path: str = "") -> TrainConfig:
        """The recipe from plain values, such as those of :meth:`to_dict`.

        Args:
            values: By field name; names of earlier versions are understood.
            path: Where the values come from, for the messages.

        Raises:
            FaultsError: If settings are unknown or impossible, all of them.
        """
        values = {_RENAMED.get(name, name): value for name, value in values.items()}
        if isinstance(values.get("classes"), Mapping):
            values["classes"] = Classes.from_dict(values["classes"])
        summary, hidden = "the recipe cannot be trained", (*ELSEWHERE, "preset")
        return validate(cls, values, path=path, summary=summary, hidden=hidden)
