"""``harness demo``: the whole pipeline on drawn frames, by the commands a user would type."""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from harness.config import settings
from harness.utils import console
from harness.utils.progress import duration
from metrics.utils.errors import UserError

if TYPE_CHECKING:
    from harness.data.synthetic.dataset import Synthetic

DATA: Final = "drawn"
FRAMES: Final = 260

EPILOG = """\b
Examples:
  harness demo
  harness demo somewhere/else
  cd demo && harness leaderboard
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option(
    "--frames",
    type=click.IntRange(60),
    default=FRAMES,
    show_default=True,
    help="About how many frames to draw.",
)
@click.option("--epochs", type=click.IntRange(1), help="Fewer are faster, with worse results.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def command(folder: Path, frames: int, epochs: int | None, seed: int) -> None:
    """Draw frames, train and evaluate all models, submit to both rounds, score and rank.

    Every command is shown as it is run in FOLDER, and can be run there again. Nothing is
    downloaded.
    """
    started = time.monotonic()
    _refuse_used(folder)
    from harness.utils.device import keep_memory

    keep_memory()
    from harness.data.synthetic.dataset import write_dataset

    console.note(f"Drawing about {frames} frames in {folder / DATA} ...")
    drawn = write_dataset(folder / DATA, frames=frames, seed=seed)
    with _inside(folder):
        for arguments in _commands(drawn, folder, epochs, seed):
            _run(arguments)
    _say_where(folder, time.monotonic() - started)


def _commands(
    drawn: Synthetic, folder: Path, epochs: int | None, seed: int
) -> Iterator[Sequence[str]]:
    """What a user would type in ``folder``, one command after the other."""
    endocv, hyperkvasir, test_frames, truth = (
        str(path.relative_to(folder))
        for path in (drawn.endocv, drawn.hyperkvasir, drawn.test_frames, drawn.truth)
    )
    yield (
        "init", "--endocv", endocv, "--hyperkvasir", hyperkvasir, "--test-frames", test_frames
    )  # fmt: skip
    yield ("data", "check")
    shorter = ("--epochs", str(epochs)) if epochs else ()
    yield ("train", "--preset", "demo", "--seed", str(seed), *shorter)
    yield ("evaluate", "--split", "val")
    yield ("evaluate", "--split", "test")
    for round_name in ("1", "2"):
        for model in ("triunet", "divergentnets"):
            yield ("submit", "--round", round_name, "--model", model)
        yield ("score", f"workspace/submissions/round-{round_name}", "--truth", truth)
    yield ("leaderboard",)
    yield ("report", "--split", "test")


def _run(arguments: Sequence[str]) -> None:
    from harness.cli import cli

    console.note(f"\n$ harness {shlex.join(arguments)}")
    # A command that ends early returns its exit status.
    status = cli.main(list(arguments), prog_name="harness", standalone_mode=False)
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
