"""``harness demo``: the whole pipeline on drawn frames, by the commands a user would type."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.cli.command import Command
from harness.cli.options import seed_option
from harness.cli.paths import UserPath
from harness.config import settings
from harness.utils import console
from harness.utils.progress import duration
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.utils.progress import Bar

DATA: Final = "drawn"
FRAMES: Final = 200

CORE_MINUTES: Final = (4, 6)
"""What it takes of one core, with as many frames and epochs as by default: of an Intel Xeon with
AMX, and of an AMD EPYC of 2021 (``docs/performance.md``)."""

EPILOG = """\b
Examples:
  harness demo
  harness demo somewhere/else
  harness demo --verbose
  cd demo && harness leaderboard
"""


@click.command(cls=Command, epilog=EPILOG)
@click.argument("folder", type=UserPath(file_okay=False), default="demo")
@click.option(
    "--frames",
    type=click.IntRange(60),
    default=FRAMES,
    show_default=True,
    help="About how many frames to draw.",
)
@click.option("--epochs", type=click.IntRange(1), help="Fewer are faster, with worse results.")
@seed_option("Of the frames that are drawn, and of the training.")
@click.option("--verbose", "-v", is_flag=True, help="Show all that the commands print.")
def command(folder: Path, frames: int, epochs: int | None, seed: int, verbose: bool) -> None:
    """Draw frames, train and evaluate all models, submit to both rounds, score and rank.

    Every command is named as it is run in FOLDER, and can be run there again; of what they print,
    warnings and the leaderboard are shown. Nothing is downloaded.
    """
    started = time.monotonic()
    _refuse_used(folder)
    from harness.utils.device import keep_memory

    keep_memory()
    _say_what_comes(frames, usual=epochs is None and frames == FRAMES)
    commands = _commands(epochs, seed)
    with _bar(1 + len(commands), verbose=verbose) as bar:
        with _step(bar):
            _draw(folder / DATA, frames, seed)
        with _inside(folder):
            for arguments in commands:
                console.note(f"$ harness {shlex.join(arguments)}")
                with _step(bar):
                    _run(arguments)
    with _inside(folder):
        console.note("$ harness leaderboard")
        _run(["leaderboard"])
    _say_where(folder, time.monotonic() - started)


def _say_what_comes(frames: int, *, usual: bool) -> None:
    """What is done, and how long it takes where that was measured."""
    from harness.utils.device import cores

    free = cores()
    shared = min(free, 3)  # more cores have no more to do for long
    least, most = (round(minutes / shared) for minutes in CORE_MINUTES)
    idle = f"{free} cores that are otherwise idle" if free > 1 else "a core that is otherwise idle"
    console.note(
        f"This draws about {frames} frames, trains small versions of the paper's six networks on "
        "them, makes DivergentNets of five, evaluates all seven, submits two of them to both "
        "rounds, scores and ranks the packages, and writes a page of all results."
        + (f" It takes {least} to {most} minutes on {idle}." if usual else "")
    )


def _bar(steps: int, *, verbose: bool) -> contextlib.AbstractContextManager[Bar | None]:
    if verbose:
        return contextlib.nullcontext()
    return console.progress("harness demo", steps, even=False)


@contextlib.contextmanager
def _step(bar: Bar | None) -> Iterator[None]:
    """One step; with a bar, which it moves, its tables and notes are left out."""
    if bar is None:
        yield
        return
    with console.step_of(bar), contextlib.redirect_stdout(io.StringIO()):
        yield


def _draw(folder: Path, frames: int, seed: int) -> None:
    from harness.data.synthetic.dataset import write_dataset

    with console.progress("Drawing frames", frames) as bar:
        write_dataset(folder, frames=frames, seed=seed, progress=bar.update)


def _commands(epochs: int | None, seed: int) -> list[Sequence[str]]:
    """What a user would type in the demo's folder, one command after the other."""
    from harness.data.synthetic.dataset import Synthetic

    drawn = Synthetic.below(Path(DATA))
    commands: list[Sequence[str]] = [
        ("init", "--endocv", str(drawn.endocv), "--hyperkvasir", str(drawn.hyperkvasir),
         "--test-frames", str(drawn.test_frames)),
        ("data", "check"),
        ("train", "--preset", "demo", "--seed", str(seed))
        + (("--epochs", str(epochs)) if epochs else ()),
        ("evaluate", "--split", "val"),
        ("evaluate", "--split", "test"),
    ]  # fmt: skip
    for name in ("1", "2"):
        commands += [
            ("submit", "--round", name, "--model", "triunet"),
            ("submit", "--round", name, "--model", "divergentnets"),
            ("score", f"workspace/submissions/round-{name}", "--truth", str(drawn.truth)),
        ]
    return [*commands, ("report", "--split", "test")]


def _run(arguments: Sequence[str]) -> None:
    """Run a command as it is typed; the demo's own --quiet and --json-logs hold for it."""
    from harness.cli import cli

    name, *rest = arguments
    found = cli.get_command(click.get_current_context(), name)
    assert found is not None
    # A command that ends early returns its exit status.
    status = found.main(rest, prog_name=f"harness {name}", standalone_mode=False)
    if isinstance(status, int) and status:
        raise click.exceptions.Exit(status)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """In ``folder``, without the environment's settings, which would override the folder's."""
    kept = {name: os.environ.pop(name, None) for name in map(settings.variable, settings.MEANINGS)}
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        os.environ.update({name: value for name, value in kept.items() if value is not None})


def _refuse_used(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder} is not empty. Remove it, or give another folder: harness demo FOLDER"
        )


def _say_where(folder: Path, seconds: float) -> None:
    console.success(f"\nDone in {duration(seconds)}. The results:")
    for path, what in (
        ("workspace/report-test.html", "a page of all results; open it in a browser"),
        (DATA, "the drawn frames, in the layout of the real datasets"),
        ("workspace/runs", "weights, history and evaluations of each model"),
        ("workspace/submissions", "the packages of both rounds, with their manifests"),
        ("workspace/register.sqlite", "runs, evaluations, submissions and scores"),
    ):
        console.note(f"  {folder / path}: {what}")
    console.note(f"Continue there: cd {shlex.quote(str(folder))} && harness leaderboard")
