"""Score one submission on a challenge platform, and put the result into words and figures."""

from __future__ import annotations

import hashlib
import json
import math
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

from metrics.endocv import FIGURES, add_figures
from metrics.masks.classes import Classes, chosen_rows
from metrics.masks.read import Protocol
from metrics.utils.errors import FaultsError, UserError
from metrics.utils.names import counted
from submissions.ledger import OVERALL
from submissions.reading.validate import PackageReport
from submissions.rounds import Round, load_rounds
from submissions.scoring import PackageScore
from submissions.truth import Truth, find_truth

SETTINGS: Final = "evaluator.json"
ROUND: Final = "round.toml"
RESULT: Final = "evaluation.json"
"""The file with everything of a result, where a platform keeps more than figures."""

PACKAGES: Final = (
    "click", "filelock", "numpy", "opencv-python-headless", "pandas", "pillow", "scikit-image",
    "scipy", "tifffile", "tzdata", "zlib-ng",
)  # fmt: skip
"""What has to be installed for scoring; no torch."""

_SUMMARY: Final = 1000
_TELL: Final = "please tell the organisers of the challenge"

Inspect = Callable[..., PackageReport]
"""Inspects a submission's masks and calls ``on_mask`` with each of them."""


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """A bundle's program.

    Attributes:
        round: The round; its test sets are listed.
        protocol: By which masks are read.
        classes: What the values of true masks mean.
        version: Of the harness that made the bundle.
        digest: See ``program_digest``.
    """

    round: Round
    protocol: Protocol
    classes: Classes
    version: str
    digest: str

    def truth(self, folder: Path) -> Truth:
        """The true masks of the round's test sets.

        Raises:
            UserError: They cannot be used. What is wrong stays untold: a participant reads this.
        """
        try:
            round_ = self.round
            return find_truth(folder, round_.test_sets, round_.layout, self.protocol, self.classes)
        except UserError as error:
            raise UserError(f"the truth cannot be used; {_TELL}") from error

    def identity(self, truth: Truth) -> dict[str, Any]:
        """What a result depends on besides the submission."""
        return {
            "harness": self.version,
            "digest": self.digest,
            "round": self.round.name,
            "protocol": self.protocol,
            "truth_sha256": truth.sha256,
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
        }


def load(program: Path) -> Evaluator:
    """The program in a folder, as ``harness export-evaluation`` wrote it."""
    settings = json.loads((program / SETTINGS).read_text(encoding="utf-8"))
    return Evaluator(
        round=load_rounds(program / ROUND)[settings["round"]],
        protocol=cast("Protocol", settings["protocol"]),
        classes=Classes.from_dict(settings["classes"]),
        version=settings["harness"],
        digest=program_digest(program),
    )


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def program_digest(program: Path) -> str:
    """SHA-256 of the code and the settings in a folder, names and bytes."""
    whole = hashlib.sha256()
    files = [*program.rglob("*.py"), program / ROUND, program / SETTINGS]
    installed = program / "wheels"
    for path in sorted(file for file in files if installed not in file.parents):
        whole.update(f"{path.relative_to(program).as_posix()}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def figures(scored: PackageScore) -> dict[str, float]:
    """The figures of a score for a leaderboard, by name; those that are undefined are left out.

    ``score``, ``iou``, ``f1``, ``f2``, ``ppv`` and ``recall`` are means over the test sets,
    ``NAME_frames`` over all frames, ``NAME_SET`` over the frames of one test set.
    """
    names = ("score", *FIGURES)
    found: dict[str, float] = {}
    for row in scored.figures.to_dict("records"):
        test_set = str(row["test_set"])
        if test_set == OVERALL:
            found |= {name: row[f"{name}_sets"] for name in names}
        found |= {f"{n}_{'frames' if test_set == OVERALL else test_set}": row[n] for n in names}
    # The means over sets first, then every other score, then the rest.
    ordered = sorted(found, key=lambda name: (name not in names, not name.startswith("score")))
    return {name: float(found[name]) for name in ordered if not math.isnan(found[name])}


def by_frame(scored: PackageScore) -> dict[str, dict[str, float]]:
    """Each frame's figures, by TEST_SET/NAME; those that are undefined are left out."""
    rows = chosen_rows(scored.frames)
    return {
        row["frame"]: {n: float(row[n]) for n in FIGURES if not math.isnan(row[n])}
        for row in add_figures(rows, scored.protocol).to_dict("records")
    }


def result(evaluator: Evaluator, scored: PackageScore, truth: Truth) -> dict[str, Any]:
    """Everything of a result, for a JSON file."""
    return {
        "evaluator": evaluator.identity(truth),
        "package_sha256": scored.package_sha256,
        "figures": figures(scored),
        "notes": list(scored.notes),
    }


def faults_of(error: Exception) -> list[str]:
    """What a participant is told, one fault a line; of a fault of ours no more than that it is."""
    if isinstance(error, FaultsError):
        return [str(fault) for fault in error.faults]
    if isinstance(error, UserError):
        return [error.message]
    return [f"the evaluation failed ({type(error).__name__}); {_TELL}"]


def refuse(error: Exception) -> int:
    """Say on stderr why a submission is not scored; the last line says it all, in short.

    Returns:
        int: The exit status.
    """
    faults = faults_of(error)
    sys.stderr.write("".join(f"- {fault}\n" for fault in faults))
    count = counted(len(faults), "fault")
    summary = f"not scored, {count}: {'; '.join(faults)}"
    short = summary if len(summary) <= _SUMMARY else f"{summary[:_SUMMARY]} ..."
    sys.stderr.write(short.replace("\n", " ") + "\n")
    return 1
