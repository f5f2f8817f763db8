"""Score one submission on Codabench.

``/app/input/res`` holds the unpacked submission, ``/app/input/ref`` the truth; the leaderboard
reads ``scores.json``, and participants see ``detailed_results.html``. A program that ends with
another status than 0 fails the submission, which then costs none of the daily limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from metrics.utils.files import write_json
from submissions.platforms import evaluation, page
from submissions.platforms.unpacked import find_submission
from submissions.reading.mask import Content
from submissions.reading.validate import PackageReport
from submissions.scoring import score_masks

OWN: Final = ("metadata",)
"""The file that Codabench itself adds to a submission."""


def main(program: Path, arguments: Sequence[str]) -> int:
    """Score the submission by the bundle's ``program``; the exit status.

    ``arguments`` are the platform's folders of input and output.
    """
    given, output = map(Path, arguments)
    output.mkdir(parents=True, exist_ok=True)
    evaluator = evaluation.load(program)
    try:
        truth = evaluator.truth(given / "ref")
        shown = page.ShownFrames(given / "ref" / page.FRAMES, truth, evaluator.protocol)
        layout = evaluator.round.layout
        package, inspect = find_submission(given / "res", truth.sizes, layout, OWN)

        def inspect_and_draw(on_mask: Callable[[Content], None]) -> PackageReport:
            def both(content: Content) -> None:
                on_mask(content)
                shown.take(content)

            return inspect(on_mask=both)

        scored = score_masks(package, truth, inspect_and_draw, hausdorff=False)
        text = page.scored_page(evaluator, scored, truth, shown)
    except Exception as error:  # a participant sees what is written, so never a traceback
        text = page.refused_page(evaluator, evaluation.faults_of(error))
        (output / "detailed_results.html").write_text(text, encoding="utf-8")
        return evaluation.refuse(error)
    (output / "detailed_results.html").write_text(text, encoding="utf-8")
    write_json(output / evaluation.RESULT, evaluation.result(evaluator, scored, truth))
    write_json(output / "scores.json", evaluation.figures(scored))
    return 0
