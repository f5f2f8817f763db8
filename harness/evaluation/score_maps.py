"""Score folders of probability maps by PraNet's protocol, and write what was measured by frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.runs.workspace import Workspace
from harness.utils import console
from harness.utils.folders import replace_folder
from harness.utils.outputs import Outputs
from metrics.masks.classes import ONE, Classes
from metrics.utils.errors import UserError
from metrics.utils.text import csv
from submissions.digest import package_sha256
from submissions.maps import MapScore, score_maps
from submissions.truth import TruthError

TABLE = "frames.csv"


def score_map_folders(
    workspace: Workspace,
    folders: Sequence[tuple[Path, str]],
    truth: Path,
    *,
    classes: Classes = ONE,
    out: Path | None = None,
    overwrite: bool = False,
) -> list[tuple[str, MapScore]]:
    """Score folders of maps; one that cannot be scored is named, and the rest are scored.

    Args:
        workspace: Where the files go without ``out``.
        folders: Each folder and the name it is shown under.
        truth: The true masks.
        classes: What their values mean; the chosen class counts.
        out: The folder for the files.
        overwrite: Whether files in ``out`` that the harness did not write may be replaced.

    Raises:
        UserError: If the only folder cannot be scored, or the truth cannot be used.
    """
    scores = []
    for folder, name in console.track(folders, "Scoring") if len(folders) > 1 else folders:
        try:
            score = score_maps(folder, truth, classes)
            _write(workspace, score, out, overwrite=overwrite)
        except UserError as error:
            if len(folders) == 1 or isinstance(error, TruthError):
                raise
            console.fail(error.format_message())
        else:
            scores.append((name, score))
    return scores


def _write(workspace: Workspace, score: MapScore, out: Path | None, *, overwrite: bool) -> None:
    for note in score.notes:
        console.note(note)
    digest = package_sha256(score.folder)
    folder = workspace.score_folder(score.folder.resolve(), digest, "pranet", top=out)
    outputs = Outputs(folder)
    if out is not None:
        outputs.check([TABLE], overwrite=overwrite)
    replaced = replace_folder(folder, wait=True)
    with outputs.staged(last=TABLE) if out is not None else replaced as new:
        (new / TABLE).write_text(csv(score.by_frame()), encoding="utf-8")
    console.note(f"{score.folder}: the figures of each frame in {folder / TABLE}")
