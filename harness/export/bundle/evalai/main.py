"""What EvalAI calls for each submission. It runs ``score.py`` in a newer Python than its own.

EvalAI's workers run Python 3.9 or older; the syntax here is theirs. The newer one is that of the
variable HARNESS_PYTHON, or a ``python3.11`` or later on the path.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SPLIT = "test"
OLDEST = (3, 11)
PYTHONS = ("python3.13", "python3.12", "python3.11")


def evaluate(
    test_annotation_file: str,
    user_annotation_file: str,
    phase_codename: str,  # noqa: ARG001
    **kwargs: object,  # noqa: ARG001
) -> dict[str, object]:
    """Score a submission by the zip of the true masks; each phase has its own.

    Returns:
        dict: The figures as EvalAI takes them. Without ``result`` EvalAI marks the submission as
        failed, and shows the participant what was written to stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "result.json"
        files = map(str, (test_annotation_file, user_annotation_file, told))
        command = [python(), "-I", str(HERE / "score.py"), *files]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode or not told.exists():
            sys.stderr.write(done.stderr)
            return {}
        result = json.loads(told.read_text(encoding="utf-8"))
    return {
        "result": [{SPLIT: result["figures"]}],
        "submission_result": result["figures"],
        "submission_metadata": json.dumps(result),
    }


def python() -> str:
    """A Python that can score: HARNESS_PYTHON, this one, or the newest on the path."""
    if os.environ.get("HARNESS_PYTHON"):
        return os.environ["HARNESS_PYTHON"]
    if sys.version_info[:2] >= OLDEST:
        return sys.executable
    return next(filter(None, map(shutil.which, PYTHONS)), sys.executable)
