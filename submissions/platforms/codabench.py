"""Score one submission on Codabench.

``/app/input/res`` holds the unpacked submission, ``/app/input/ref`` the truth; the leaderboard
reads ``scores.json``, and participants see ``detailed_results.html``. A program that ends with
another status than 0 fails the submission, which then costs none of the daily limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from metrics.utils.files import write_json
from submissions.platforms import evaluation, page
from submissions.platforms.unpacked import inspect_unpacked, only_zip
from submissions.reading.validate import inspect_package
from submissions.truth import Truth

OWN: Final = ("metadata",)
"""The file that Codabench itself adds to a submission."""


def main(program: Path, arguments: Sequence[str]) -> int:
    """Score the submission.

    Args:
        program: The folder of the scoring program.
        arguments: The platform's folders of input and output.

    Returns:
        int: The exit status.
    """
    given, output = map(Path, arguments)
    output.mkdir(parents=True, exist_ok=True)
    evaluator = evaluation.load(program)
    try:
        truth = evaluator.truth(given / "ref")
        shown = page.ShownFrames(given / "ref" / page.FRAMES, truth, evaluator.protocol)
        package, inspect = _submission(given / "res", truth, evaluator)
        scored = evaluation.score(evaluator, package, truth, inspect, watch=shown.take)
        text = page.scored_page(evaluator, scored, truth, shown)
    except Exception as error:  # a participant sees what is written, so never a traceback
        text = page.refused_page(evaluator, evaluation.faults_of(error))
        (output / "detailed_results.html").write_text(text, encoding="utf-8")
        return evaluation.refuse(error)
    (output / "detailed_results.html").write_text(text, encoding="utf-8")
    write_json(output / evaluation.RESULT, evaluation.result(evaluator, scored, truth))
    write_json(output / "scores.json", evaluation.figures(scored))
    return 0


def _submission(
    folder: Path, truth: Truth, evaluator: evaluation.Evaluator
) -> tuple[Path, evaluation.Inspect]:
    layout = evaluator.round.layout
    if (package := only_zip(folder, OWN)) is not None:
        return package, partial(inspect_package, package, truth.sizes, layout=layout)
    return folder, partial(inspect_unpacked, folder, truth.sizes, layout, ignored=OWN)
