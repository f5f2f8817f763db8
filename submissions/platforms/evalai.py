"""Score one submission on EvalAI.

``evaluation_script/main.py`` of the bundle calls this in a process of its own, since EvalAI's
workers run an older Python, and gives EvalAI what comes back. A submission without a result is
marked as failed: its stderr is shown to the participant, and it costs none of the daily limit.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from metrics.utils.files import write_json
from submissions.platforms import evaluation
from submissions.reading.validate import inspect_package
from submissions.scoring import score_masks


def main(program: Path, arguments: Sequence[str]) -> int:
    """Score the submission by the bundle's ``program``; the exit status.

    ``arguments`` are the zip of the truth, the submission, and the JSON file for the result.
    """
    reference, package, output = map(Path, arguments)
    evaluator = evaluation.load(program)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(reference) as archive:
                archive.extractall(folder)  # the organisers' own
            truth = evaluator.truth(Path(folder))
            layout = evaluator.round.layout
            inspect = partial(inspect_package, package, truth.sizes, layout=layout)
            scored = score_masks(package, truth, inspect, hausdorff=False)
            told = evaluation.result(evaluator, scored, truth)
        except Exception as error:  # a participant sees what is written, so never a traceback
            return evaluation.refuse(error)
    write_json(output, told)
    return 0
