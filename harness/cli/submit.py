"""``harness submit``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from harness.cli.command import Command
from harness.cli.options import inference_options, models_option, with_settings
from harness.utils import console
from metrics.utils.names import counted, passed_over

if TYPE_CHECKING:
    from harness.config.settings import Settings
    from harness.inference.prediction import Inference
    from harness.runs.run import Run
    from harness.runs.workspace import Workspace
    from submissions.rounds import Frames, Round
    from submissions.writing.encoding import Format

EPILOG = """\b
Examples:
  harness submit --round 1
  harness submit --round 2 --model triunet
"""


@click.command(cls=Command, epilog=EPILOG, headings={"batch_size": "Prediction"})
@click.option("--round", "round_name", required=True, metavar="NAME", help="1, 2 or one of yours.")
@models_option(
    "Models, of which the newest finished run is taken; repeatable. By default DivergentNets, "
    "or the best on validation where there is none."
)
@click.option("--run", "runs", multiple=True, metavar="RUN", help="Runs instead of models.")
@click.option(
    "--mask-format",
    "file_format",
    type=click.Choice(["jpg", "tif", "png", "jpeg"]),
    help="jpg: the smallest lossless file, under the name the organisers look for; tif, png: "
    "lossless, larger, for other readers; jpeg: lossy, costs PPV. By default the first that the "
    "round takes.",
)
@inference_options()
@with_settings("test_frames", "workspace", "rounds")
def command(
    settings: Settings,
    round_name: str,
    names: Sequence[str],
    runs: Sequence[str],
    inference: Inference,
    file_format: Format | None,
) -> None:
    """Predict a round's test sets and package the masks for submission.

    The package is checked the way the organisers read it, and counts against the round's daily
    limit only once it is complete.
    """
    from harness import submit
    from harness.runs.select import select
    from harness.runs.workspace import Workspace
    from submissions.ledger import Ledger
    from submissions.rounds import find_frames, get_round, load_rounds
    from submissions.writing.package import check_format, format_for

    round_ = get_round(round_name, load_rounds(settings.rounds))
    file_format = file_format or format_for(round_.layout)
    check_format(file_format, round_.layout)
    (folder,) = settings.require("test_frames")
    frames = find_frames(round_, folder)
    _say_what_is_passed_over(frames)
    workspace = Workspace(settings.workspace)
    chosen = select(workspace, names, runs, default="best")
    workspace.check_writable()
    submit.refuse_when_used_up(Ledger(workspace.root), round_, len(chosen))
    for run in chosen:
        _submit(workspace, run, round_, frames, inference, file_format)


def _say_what_is_passed_over(frames: Frames) -> None:
    for files in frames.values():
        used = set(files.values())
        folder = min(used).parent  # of the test set, or a folder of images in that
        others = [
            path.name
            for path in sorted(folder.iterdir())
            if path not in used and not path.name.startswith(".")
        ]
        if remark := passed_over(others, str(folder)):
            console.warn(remark)


def _submit(
    workspace: Workspace,
    run: Run,
    round_: Round,
    frames: Frames,
    inference: Inference,
    file_format: Format,
) -> None:
    """Submit one run, and say where the package is and what is left of the limit."""
    from harness import submit
    from submissions.writing.package import format_for

    total = sum(map(len, frames.values()))
    with console.progress(f"{run.model}, round {round_.name}", total) as bar:
        made = submit.submit(
            workspace,
            run,
            round_,
            frames,
            inference=inference,
            file_format=file_format,
            done=bar.advance,
            say=console.note,
        )
    manifest = made.package.manifest
    masks = f"{counted(total, 'mask')} of {', '.join(frames)} by {run.run}"
    console.success(f"{made.entry.path}: {masks}, {manifest['latency_ms']:.1f} ms a frame")
    for note in made.notes:
        console.warn(f"{made.entry.path.name}: {note}")
    if cost := manifest.get("cost"):
        console.warn(
            f"JPEG blurs the rims of masks: read above 0, as the organisers do, these reach a PPV "
            f"of {cost['ppv']:.3f} and an F1 of {cost['f1']:.3f} against what was predicted; "
            f"--mask-format {format_for(round_.layout)} loses nothing."
        )
    console.note(
        f"Submission {made.entry.number}; {made.entry.left} of {round_.daily_limit} left today "
        f"for round {round_.name} ({round_.time_zone})."
    )
