"""The command line.

A command lives in a module of this package as ``command`` and is imported when it is called, so
that ``harness --help`` loads neither torch nor pandas. ``SECTIONS`` lists all of them, with what
the help says of each.
"""

from __future__ import annotations

from typing import Final

import click

from harness import __version__
from harness.cli.exit import run
from harness.cli.lazy import LazyGroup
from harness.utils import console

SECTIONS: Final[dict[str, dict[str, str]]] = {
    "Set up": {
        "demo": "Run the whole pipeline on drawn frames.",
        "init": "Write harness.toml: where the frames are.",
        "data": "Check, draw and decode datasets.",
        "doctor": "Check this machine and the settings.",
    },
    "Train and evaluate": {
        "models": "List the architectures.",
        "train": "Train models and register them.",
        "import-checkpoint": "Register a checkpoint trained elsewhere.",
        "runs": "List the trained models.",
        "evaluate": "Evaluate trained models on a split.",
        "compare": "Test whether one model is better than another.",
        "tune": "Choose members, threshold and clean-up on a split.",
        "report": "Write an HTML page of all results.",
        "predict": "Write masks for a folder of images or a video.",
        "export": "Export a model as ONNX or a container.",
    },
    "Submit and rank": {
        "submit": "Predict a round and submit the package.",
        "validate": "Show every fault of packages.",
        "score": "Score a package against the truth.",
        "submissions": "List what was submitted.",
        "export-evaluation": "Export a round's evaluation for a platform.",
        "leaderboard": "Rank submissions or evaluations.",
    },
}


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    name="harness",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="harness", message="%(prog)s %(version)s")
@click.option("--quiet", "-q", is_flag=True, help="Show only results, warnings and errors.")
@click.option("--json-logs", is_flag=True, help="Messages and progress as JSON lines on stderr.")
@click.option("--debug", is_flag=True, help="Show the traceback of an internal error.")
def cli(quiet: bool, json_logs: bool, debug: bool) -> None:  # noqa: ARG001 (run reads --debug)
    """Segment polyps in colonoscopy frames, from a folder of frames to a ranked submission.

    \b
    Try it without any data:    harness demo
    Set it up for your frames:  harness init --endocv DIR --hyperkvasir DIR --test-frames DIR
    Then:                       harness train --preset quick
                                harness evaluate --split test
                                harness submit --round 2
    """  # noqa: D301 (click's mark for a paragraph that stays as it is)
    console.configure(quiet=quiet, json_logs=json_logs)


def main() -> None:
    """Run the command line; never returns."""
    run(cli)
