"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from harness.cli.command import SeedOption
from harness.cli.paths import UserPath
from harness.config import settings
from harness.report.tables.choices import AVERAGES, FORMATS
from harness.utils.command_line import SettingOption
from harness.utils.parts import Shard

Command = TypeVar("Command", bound=Callable[..., object])

FRAMES: Final = ("endocv", "hyperkvasir", "train", "val", "test")
"""The settings of frames with their truth."""


def together(
    options: Sequence[Callable[[Any], Callable[..., object]]],
    combine: Callable[[dict[str, Any]], dict[str, Any]],
) -> Callable[[Command], Callable[..., object]]:
    """A decorator for options, in the order of the help, that are passed as other arguments.

    Args:
        options: The options.
        combine: Takes the options' values out of all arguments, and returns the new arguments.
    """

    def decorate(command: Command) -> Callable[..., object]:
        @functools.wraps(command)
        def wrapped(*args: object, **values: Any) -> object:
            new = combine(values)
            return command(*args, **values, **new)

        decorated: Callable[..., object] = wrapped
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def with_settings(*names: str) -> Callable[[Command], Callable[..., object]]:
    """Give a command the options of these settings; all settings are passed as ``settings``.

    Settings that the command has no option for come from the environment and ``harness.toml``
    all the same. An option may also stand before a subcommand, where its group has it.
    """

    def combine(values: dict[str, Any]) -> dict[str, Any]:
        above = click.get_current_context().parent
        group = above.params if above else {}
        given = {name: values.pop(name) for name in names}
        flags = {k: group.get(k) if value is None else value for k, value in given.items()}
        return {"settings": settings.load(flags=flags)}

    return together([setting_option(name) for name in names], combine)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """``--format`` of these or all formats, the first by default; passed as ``format_``."""
    choices = formats or FORMATS
    return click.option(
        "--format",
        "format_",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help="Output format.",
    )


def average_option(purpose: str) -> Callable[[Command], Command]:
    """``--average``, passed as ``average``: a key of ``AVERAGES``, or ``None`` for the default.

    ``purpose`` begins its help text: what the command does with it.
    """
    meanings = "; ".join(f"{name}: {meaning}" for name, meaning in AVERAGES.items())
    return click.option(
        "--average",
        type=click.Choice(list(AVERAGES)),
        help=f"{purpose}, by default sets. {meanings[0].upper()}{meanings[1:]}.",
    )


def device_option() -> Callable[[Command], Command]:
    """``--device``, passed as ``device``: a name for ``harness.utils.device.choose``."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Where networks run: auto, cpu, cuda, cuda:N or mps.",
    )


def shard_options() -> Callable[[Command], Callable[..., object]]:
    """``--shard``, passed as ``shard`` (a ``Shard`` or ``None``), and ``--gather``."""

    def combine(values: dict[str, Any]) -> dict[str, Any]:
        if values["shard"] and values["gather"]:
            raise click.UsageError("--shard writes a part, --gather joins all; give one")
        return {}

    return together(_SHARDS, combine)


def _shard(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Shard | None:
    try:
        return None if text is None else Shard.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_SHARDS: Final = (
    click.option(
        "--shard",
        metavar="K/N",
        callback=_shard,
        help="Predict only every N-th frame, from the K-th on, and keep that part for --gather. N "
        "processes, on any machines that share the folder, so predict all.",
    ),
    click.option(
        "--gather",
        is_flag=True,
        help="Join the N parts that --shard wrote, with the same other options, into what one "
        "process would have written.",
    ),
)


def setting_option(
    name: str, *, env: bool = True, callback: Callable[..., Any] | None = None
) -> Callable[[Command], Command]:
    """The option of one setting, passed under the setting's own name as a path or ``None``.

    ``--test`` can be repeated, and is passed as a tuple of ``NAME=DIR``.
    """
    kind = "FILE" if name in ("splits", "rounds") else "DIR"
    meaning = settings.MEANINGS[name]
    help_text = f"{meaning[0].upper()}{meaning[1:]}."
    how: dict[str, Any] = {"type": UserPath(), "metavar": kind}
    if name == "test":
        help_text = help_text[:-1] + "; repeatable."
        how = {"multiple": True, "callback": callback, "metavar": "NAME=DIR"}
    if env:
        help_text += f"  [env: {settings.variable(name)}]"
    return click.option(settings.flag(name), name, cls=SettingOption, help=help_text, **how)


def names_of(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[str, ...] | None:
    """The names of an option's value A,B,C; ``None`` where it was not given."""
    return tuple(name.strip() for name in value.split(",")) if value else None


def models_option(meaning: str) -> Callable[[Command], Command]:
    """``--model``, repeatable, passed as ``names``."""
    return click.option("--model", "names", multiple=True, metavar="NAME", help=meaning)


def without_option() -> Callable[[Command], Command]:
    """``--without``, repeatable."""
    meaning = "Leave out a scored team, or one model as 'TEAM MODEL', such as one that withdrew; "
    return click.option("--without", multiple=True, metavar="NAME", help=f"{meaning}repeatable.")


def seed_option(meaning: str) -> Callable[[Command], Command]:
    """``--seed``, what NumPy and torch both take, by default 0."""
    return click.option("--seed", cls=SeedOption, help=meaning)


def encoder_option(**settings: Any) -> Callable[[Command], Command]:
    """``--encoder``, with further settings of ``click.option``."""
    text = "An encoder of 'harness models --encoders', or tu-NAME for any of timm."
    return click.option("--encoder", metavar="NAME", help=text, **settings)


def nodes_option() -> Callable[[Command], Command]:
    """``--nodes A,B,C``, passed as ``nodes``: a tuple of names, or ``None``."""
    return click.option(
        "--nodes", callback=names_of, metavar="A,B,C", help="The three nodes of trinet."
    )


def map_options() -> Callable[[Command], Callable[..., object]]:
    """``--probabilities``, ``--maps`` and ``--map-bits``, passed as ``maps``; ``None`` for none."""

    def combine(values: dict[str, Any]) -> dict[str, Any]:
        from harness.inference.maps import MapOptions

        source_of = click.get_current_context().get_parameter_source
        if not values["probabilities"] and ParameterSource.COMMANDLINE in map(source_of, _OF_MAPS):
            raise click.UsageError("--maps and --map-bits are for maps: add --probabilities")
        maps = MapOptions(size=values.pop("size"), bits=int(values.pop("bits")))
        return {"maps": maps if values.pop("probabilities") else None}

    return together(_MAPS, combine)


_OF_MAPS: Final = ("size", "bits")

_MAPS: Final = (
    click.option(
        "--probabilities",
        is_flag=True,
        help="Also keep each class's probabilities, as grey PNGs in a folder 'probabilities'.",
    ),
    click.option(
        "--maps",
        "size",
        type=click.Choice(["network", "full"]),
        default="network",
        show_default=True,
        help="The size of these maps: the network's, or the frame's own.",
    ),
    click.option(
        "--map-bits",
        "bits",
        type=click.Choice(["8", "16"]),
        default="8",
        show_default=True,
        help="The depth of these maps.",
    ),
)

protocol_option: Final = click.option(
    "--protocol",
    type=click.Choice(["paper", "official", "strict"]),
    default="paper",
    show_default=True,
    help="paper: truth above 127, the organisers' formulas. official: the organisers' evaluator, "
    "truth above 0. strict: truth above 127, undefined figures left out of the means.",
)

_INFERENCE: Final = {
    "batch_size": click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=8,
        show_default=True,
        help="Frames at once; changes nothing but the speed.",
    ),
    "precision": click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16"]),
        default="fp32",
        show_default=True,
        help="Of the network; fp32 is the reference. With bf16 the pixels that change are counted "
        "on a sample first.",
    ),
    "tta": click.option(
        "--tta/--no-tta",
        default=None,
        help="Average over flips and scales of each frame, at six times the work; by default as "
        "the model's recipe says.",
    ),
    "threshold": click.option(
        "--threshold",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        metavar="P",
        help="A pixel is polyp where its probability lies above it; for a single class. By default "
        "0.5, or what 'harness tune' chose for the run.",
    ),
    "rounding": click.option(
        "--round-at",
        "rounding",
        type=click.Choice(["full-size", "network-size"]),
        default="full-size",
        show_default=True,
        help="Where probabilities become 0 or 1: resized to the frame's own size first, or at the "
        "network's size, as the paper's authors do, the mask being resized.",
    ),
    "device": device_option(),
}


def inference_options(*names: str) -> Callable[[Command], Callable[..., object]]:
    """The options of ``_INFERENCE``, or those of these names; passed as ``inference``."""
    wanted = names or tuple(_INFERENCE)

    def combine(values: dict[str, Any]) -> dict[str, Any]:
        from harness.inference.prediction import Inference
        from harness.utils import device as devices

        # Before torch allocates anything of size, or it does not take effect.
        devices.keep_memory()
        how = {name: values.pop(name) for name in wanted}
        how["device"] = devices.choose(how["device"])
        return {"inference": Inference(**how)}

    return together([_INFERENCE[name] for name in wanted], combine)
