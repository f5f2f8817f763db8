"""What the user sees of a training: how it goes, a line for each epoch, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.config.training import TrainConfig
from harness.runs.run import Run
from harness.runs.workspace import Workspace
from harness.training.history import Callbacks, Epoch, epoch_line
from harness.training.job import Job, WorkerCallbacks
from harness.training.train_run import TrainingFrames
from harness.utils import console
from harness.utils.progress import Bar
from metrics.utils.names import counted


def name_of(run: Run) -> str:
    """The model of a run, with its fold and its seed where it is not of the plain splits, or 0."""
    seed = run.settings.get("seed", 0)
    words = [run.model, str(run.variant) if run.variant else "", f"seed {seed}" if seed else ""]
    return " ".join(word for word in words if word)


@contextmanager
def one_run(run: Run, frames: TrainingFrames, title: str, device: str) -> Iterator[Callbacks]:
    """Show a run that trains by itself."""
    config = TrainConfig.from_dict(run.settings)
    splits = f", {run.variant}" if run.variant else ""
    console.note(
        f"{title}: {len(frames.train)} training and {len(frames.val)} validation frames{splits}, "
        f"{counted(config.epochs, 'epoch')}, {config.encoder}, seed {config.seed}, on {device} "
        f"-> {run.run}"
    )
    with console.progress(title) as bar:

        def epoch(done: Epoch) -> None:
            bar.end_round()
            bar.update(detail=f"loss {done.loss:.3f}, IoU {done.iou:.3f}, F1 {done.f1:.3f}")
            console.note(f"  {epoch_line(done, config.epochs)}")

        yield Callbacks(step=bar.update, epoch=epoch)


def finished(run: Run, frames: TrainingFrames) -> None:
    """Say how good the best checkpoint of a finished run is, by its row as it is now."""
    console.success(
        f"{run.run}: best in epoch {run.row['best_epoch']}, validation IoU "
        f"{run.row['best_iou']:.3f}, F1 {run.row['best_f1']:.3f} ({run.chosen_class}, "
        f"{run.settings['size']} pixels, n = {len(frames.val)})"
    )
    if run.row["epochs"] < run.settings["epochs"]:
        console.note(
            f"Ended after epoch {run.row['epochs']} of {run.settings['epochs']}: no better "
            f"validation IoU for {counted(run.settings['patience'], 'epoch')} (--patience)."
        )


class SideBySide:
    """Shows several runs that train at once, by one bar over the work of all, in percent.

    Attributes:
        faults: What went wrong, by run.
    """

    def __init__(self, bar: Bar, workspace: Workspace, jobs: Sequence[Job]) -> None:
        self.faults: dict[str, str] = {}
        self._bar, self._workspace = bar, workspace
        bar.percent = True
        self._jobs = {job.run.run: job for job in jobs}
        self._share = dict.fromkeys(self._jobs, 0.0)
        self._under_way: set[str] = set()

    def callbacks(self) -> WorkerCallbacks:
        """To be called as they go."""
        return WorkerCallbacks(
            begun=self._begun,
            step=self._step,
            epoch=lambda run, epoch: console.note(
                f"{name_of(run)}: {epoch_line(epoch, run.settings['epochs'])}"
            ),
            warned=lambda run, message: console.warn(f"{name_of(run)}: {message}"),
            ended=self._ended,
        )

    def _begun(self, run: Run, device: str) -> None:
        self._under_way.add(run.run)
        console.note(
            f"{name_of(run)}: {counted(run.settings['epochs'], 'epoch')} on {device} -> {run.run}"
        )

    def _step(self, run: Run, done: int, total: int) -> None:
        if not self._share[run.run] and done > 1:  # a run that was resumed
            before = (done - 1) / total * self._jobs[run.run].work
            self._bar.done_before(100 * before / sum(job.work for job in self._jobs.values()))
        self._share[run.run] = done / total
        self._draw()

    def _ended(self, run: Run, fault: str) -> None:
        self._under_way.discard(run.run)
        self._share[run.run] = 1.0  # nothing of it is left to do, also where it failed
        self._draw()
        if fault:
            self.faults[run.run] = fault
            console.warn(f"{name_of(run)}: {fault}")
        else:
            finished(self._workspace.run(run.run), self._jobs[run.run].frames)

    def _draw(self) -> None:
        """A network's part of the bar is its part of the work."""
        work = {run: job.work for run, job in self._jobs.items()}
        done = sum(work[run] * share for run, share in self._share.items()) / sum(work.values())
        parts = [
            f"{name_of(job.run)} {self._share[run]:.0%}"
            for run, job in self._jobs.items()
            if run in self._under_way
        ]
        self._bar.update(100 * done, 100, detail=", ".join(parts))
