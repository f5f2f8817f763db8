"""Score one submission on grand-challenge.org.

``/input/predictions.json`` lists the jobs of an algorithm, one a frame, with their masks beside it;
in a phase for predictions ``/input`` holds the unpacked zip instead. The truth is what the
organisers uploaded for the phase. ``/output/metrics.json`` holds the figures by frame (``case``)
and overall (``aggregates``). The last line of stderr is what a participant is told of a failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from metrics.utils.files import write_json
from submissions.platforms import evaluation
from submissions.platforms.jobs import PREDICTIONS, inspect_jobs
from submissions.platforms.unpacked import find_submission
from submissions.scoring import score_masks

PLACES: Final = ("/input", "/opt/ml/input/data/ground_truth", "/output")
"""The platform's folders of input, truth and output."""

OWN: Final = ("inputs.json",)
"""The file that the platform itself adds to a submission."""


def main(program: Path, arguments: Sequence[str]) -> int:
    """Score the submission by the bundle's ``program``; the exit status.

    ``arguments`` are other folders than ``PLACES``; none on the platform.
    """
    given, reference, output = map(Path, arguments or PLACES)
    evaluator = evaluation.load(program)
    try:
        truth = evaluator.truth(reference)
        layout = evaluator.round.layout
        if (given / PREDICTIONS).is_file():
            inspect: evaluation.Inspect = partial(inspect_jobs, given, truth.sizes, layout)
        else:
            _, inspect = find_submission(given, truth.sizes, layout, OWN)
        scored = score_masks(given, truth, inspect, hausdorff=False)
        told = evaluation.result(evaluator, scored, truth)
        metrics: dict[str, Any] = {
            "case": evaluation.by_frame(scored),
            "aggregates": told.pop("figures"),
            **told,
        }
    except Exception as error:  # a participant sees what is written, so never a traceback
        return evaluation.refuse(error)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "metrics.json", metrics)
    return 0
