"""What the user sees of a training: how it goes, a line for each epoch, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.config.training import TrainConfig
from harness.runs.workspace import Run
from harness.training.history import Callbacks, Epoch
from harness.training.run import TrainingFrames
from harness.training.workers import WorkerCallbacks
from harness.utils import console
from harness.utils.progress import Bar, duration


@contextmanager
def one_run(run: Run, frames: TrainingFrames, title: str, device: str) -> Iterator[Callbacks]:
    """Show a run that trains by itself.

    Args:
        run: The run.
        frames: Its frames.
        title: Heads its bar.
        device: Name of the device.

    Yields:
        Callbacks: To be called as it goes.
    """
    config = TrainConfig.from_dict(run.settings)
    console.note(
        f"{title}: {len(frames.train)} training and {len(frames.val)} validation frames, "
        f"{config.epochs} epochs, {config.encoder}, seed {config.seed}, on {device} -> {run.run}"
    )
    with console.progress(title) as bar:

        def epoch(done: Epoch) -> None:
            bar.end_round()
            bar.update(detail=f"loss {done.loss:.3f}, IoU {done.iou:.3f}, F1 {done.f1:.3f}")
            console.note(_line(done, config.epochs))

        yield Callbacks(step=bar.update, epoch=epoch)


def finished(run: Run, frames: TrainingFrames) -> None:
    """Say how good a finished run's best checkpoint is."""
    console.success(
        f"{run.run}: best in epoch {run.row['best_epoch']}, validation IoU "
        f"{run.row['best_iou']:.3f}, F1 {run.row['best_f1']:.3f} (polyp, {run.settings['size']} "
        f"pixels, n = {len(frames.val)})"
    )
    if run.row["epochs"] < run.settings["epochs"]:
        console.note(
            f"Ended after epoch {run.row['epochs']} of {run.settings['epochs']}: no better "
            f"validation IoU for {run.settings['patience']} epochs (--patience)."
        )


class SideBySide:
    """Shows several runs that train at once, by one bar for the steps of all.

    Args:
        bar: The bar.
        networks: How many runs there are.

    Attributes:
        faults: What went wrong, by run.
    """

    def __init__(self, bar: Bar, networks: int) -> None:
        self.faults: dict[str, str] = {}
        self._bar, self._networks = bar, networks
        self._bars: dict[str, Bar] = {}
        self._over: set[str] = set()
        bar.estimate = self._seconds_left

    def callbacks(self) -> WorkerCallbacks:
        """To be called as they go."""
        return WorkerCallbacks(
            begun=lambda run, device: console.note(
                f"{run.model}: {run.settings['epochs']} epochs on {device} -> {run.run}"
            ),
            step=self._step,
            epoch=self._epoch,
            warned=lambda run, message: console.warn(f"{run.model}: {message}"),
            ended=self._ended,
        )

    def _step(self, run: Run, done: int, total: int) -> None:
        own = self._bars.setdefault(run.run, Bar(run.model, total, clock=self._bar.clock))
        own.update(done, total)
        totals = [bar.total or 0 for bar in self._bars.values()]
        # One that has not begun is taken to be as long as the longest.
        unknown = (self._networks - len(totals)) * max(totals)
        self._bar.update(sum(bar.done for bar in self._bars.values()), sum(totals) + unknown)

    def _seconds_left(self) -> float | None:
        """When the last network ends; each that has not begun follows the first that ends."""
        running = [bar for run, bar in self._bars.items() if run not in self._over]
        ends = [left for bar in running if (left := bar.seconds_left) is not None]
        if not ends or len(ends) < len(running):
            return None
        lengths = [bar.pace * bar.total for bar in self._bars.values() if bar.pace and bar.total]
        for _ in range(self._networks - len(self._bars)):
            first = ends.index(min(ends))
            ends[first] += sum(lengths) / len(lengths)
        return max(ends)

    def _epoch(self, run: Run, epoch: Epoch) -> None:
        if run.run in self._bars:
            self._bars[run.run].end_round()
        console.note(f"{run.model}: {_line(epoch, run.settings['epochs']).strip()}")

    def _ended(self, run: Run, fault: str) -> None:
        self._over.add(run.run)
        if fault:
            self.faults[run.run] = fault
            console.warn(f"{run.model}: {fault}")
        else:
            console.success(f"{run.run}: finished")


def _line(epoch: Epoch, epochs: int) -> str:
    return (
        f"  epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  "
        f"loss {epoch.loss:.3f}  IoU {epoch.iou:.3f}  F1 {epoch.f1:.3f}  "
        f"{epoch.images_per_second:.0f} images/s  {epoch.waiting:.0%} waiting for data  "
        f"{duration(epoch.seconds)}{'  best' if epoch.best else ''}"
    )
