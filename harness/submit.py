"""Submit a run to a round: predict, package, validate, enter in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.inference.make_predictor import make_predictor, sample_of
from harness.inference.prediction import Inference
from harness.runs.network import load
from harness.runs.run import Run
from harness.runs.workspace import Workspace, now
from harness.utils.command_line import command_line
from harness.utils.versions import versions
from metrics.utils.files import free_name
from metrics.utils.names import counted
from submissions.ledger import Entry, Ledger, LimitError
from submissions.rounds import Frames, Round, frame_sizes
from submissions.writing.encoding import Format
from submissions.writing.package import PackageWriter
from submissions.writing.publish import SealedPackage


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A published package, its entry in the ledger, and what is odd about it, though valid."""

    package: SealedPackage
    entry: Entry
    notes: Sequence[str] = ()


def refuse_when_used_up(ledger: Ledger, round_: Round, count: int = 1) -> None:
    """Check the daily limit before hours of prediction; the ledger checks it again after them.

    Raises:
        LimitError: If fewer than ``count`` submissions are left today.
    """
    left = ledger.left(round_)
    if left < count:
        raise LimitError(
            f"round {round_.name} takes {counted(round_.daily_limit, 'submission')} a day "
            f"({round_.time_zone}), and {left} of them are left; asked for {count}. "
            f"'{command_line('submissions')}' lists them; go on tomorrow."
        )


def submit(
    workspace: Workspace,
    run: Run,
    round_: Round,
    frames: Frames,
    *,
    inference: Inference,
    file_format: Format = "jpg",
    done: Callable[[], object] = lambda: None,
    say: Callable[[str], object] = lambda _: None,
) -> Submission:
    """Predict every frame of a round, package the masks and enter the package.

    ``frames`` are what ``submissions.rounds.find_frames`` gives. ``done`` is called after each
    frame, ``say`` with how a precision other than float32 changes the masks.

    Raises:
        LimitError: If the round's submissions of the day are used up; nothing is entered.
        UserError: If a frame cannot be read, or the disk is full; nothing is entered.
    """
    sizes = frame_sizes(frames)
    loaded = load(run)
    inference = inference.of(run)
    places = [(test_set, *named) for test_set, files in frames.items() for named in files.items()]
    images = [file for *_, file in places]
    predictor = make_predictor(loaded, inference, sample=sample_of(images), say=say)
    settings = _settings(run, round_, inference)
    path = package_path(workspace, run, round_)
    with PackageWriter(
        path, file_format=file_format, expected=sizes, layout=round_.layout, settings=settings
    ) as package:
        for (test_set, name, _), prediction in zip(places, predictor.predict(images), strict=True):
            package.add(
                test_set=test_set, name=name, mask=prediction.mask, latency_ms=prediction.latency_ms
            )
            done()
        sealed = package.seal()
        ledger = Ledger(workspace.root)
        same = ledger.submitted_before(sealed.sha256)
        entry = ledger.enter(
            round_,
            sealed,
            model=run.model,
            run=run.run,
            checkpoint_sha256=run.row["checkpoint"] or "",
            settings=settings,
        )
    notes = [f"the same bytes as {', '.join(same)}"] if same else []
    return Submission(package=sealed, entry=entry, notes=[*sealed.notes, *notes])


def package_path(workspace: Workspace, run: Run, round_: Round) -> Path:
    """The first free name for a package: ``submissions/round-NAME/MODEL-TIME.zip``."""
    folder = workspace.root / "submissions" / f"round-{round_.name}"
    return free_name(folder / f"{run.model}-{now():%Y%m%d-%H%M%S}.zip")


def _settings(run: Run, round_: Round, inference: Inference) -> dict[str, Any]:
    """How the masks were made, for manifest and ledger."""
    return {
        "run": run.run,
        "model": run.model,
        "checkpoint_sha256": run.row["checkpoint"],
        "seed": run.row["seed"],
        **inference.settings,
        "members": dict(run.members),
        "versions": versions(),
        **({"release": round_.release} if round_.release else {}),
    }
