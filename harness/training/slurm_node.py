"""What SLURM runs on a node: one job, which goes on from its last state each time it is started."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import click

from harness.data.loader import end_workers
from harness.training.history import Callbacks
from harness.training.job import DeviceSlot, Job, train_job
from harness.utils import device as devices
from metrics.utils.errors import UserError
from metrics.utils.files import write_json

PROGRESS: Final = "progress.json"
"""In a run's folder: how far its SLURM job is, and what went wrong."""

_EVERY_S: Final = 5.0
"""Seconds between two writings of it."""

ANSWER_S: Final = 20.0
"""How long SLURM may take to answer; a controller that is down keeps ``squeue`` for minutes."""

_WARNED: Final = signal.SIGUSR2  # by which submitit has SLURM announce the end of the time limit


@dataclass(frozen=True, kw_only=True)
class SlurmTraining:
    """Trains the run of a job; submitit pickles this and calls it on a node.

    ``device`` is a name, ``auto`` for the best device of the node.
    """

    job: Job
    device: str

    def __call__(self) -> str:
        """Train, and have submitit requeue the job where its time is over before the training is.

        Returns:
            str: What went wrong, also written in the run's folder; empty where nothing did.
        """
        run = self.job.run.reread()
        if run.status == "finished" or not run.folder.is_dir():  # meanwhile, or it was removed
            return ""
        requeue = signal.getsignal(_WARNED)
        warned, ended = _listen()
        progress = _Progress(run.folder)
        try:
            slot = DeviceSlot(device=str(devices.choose(self.device)), threads=devices.cores())
            job = dataclasses.replace(self.job, run=run)
            fault = train_job(job, slot, Callbacks(step=progress.step), lambda _message: None)
        except click.ClickException as error:
            fault = error.message
        except KeyboardInterrupt:
            fault = "stopped before its first step"
        finally:
            end_workers()  # which ignore SIGTERM, by which Python would end them
        if warned and fault and not progress.steps:
            fault = (
                "its time limit leaves no time for a single step; give more by --slurm time=MINUTES"
            )
        elif fault and callable(requeue):
            stopped = ended or run.reread().status == "interrupted"
            if warned or (stopped and _is_preempted()):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # SLURM sends it once more
                requeue(_WARNED, None)  # ends the process
        progress.write(fault=fault)
        return fault

    def checkpoint(self) -> Any:
        """What submitit starts in its place; everything else is in the run's folder."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _listen() -> tuple[list[int], list[int]]:
    """End the training at its next safe point on SLURM's signals.

    Returns:
        tuple: What notes the warning that the time is nearly over, and what notes SIGTERM where it
        comes before the training itself notes that (``StopRequest``).
    """
    warned: list[int] = []
    ended: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == parent and not warned:  # processes that augment frames get it too
            warned.append(number)
            signal.raise_signal(signal.SIGTERM)

    def end(number: int, _frame: FrameType | None) -> None:
        ended.append(number)
        raise KeyboardInterrupt

    parent = os.getpid()
    signal.signal(_WARNED, note)
    signal.signal(signal.SIGTERM, end)
    return warned, ended


def _is_preempted() -> bool:
    """Whether SLURM stopped the job to make room, and would not start it again by itself.

    That is so in a preempted job's time of grace. A job that is cancelled, or requeued by hand, is
    no longer said to be running.
    """
    number = os.environ.get("SLURM_JOB_ID", "")
    return (squeue("--noheader", f"--jobs={number}", "--format=%T") or "").strip() == "RUNNING"


def squeue(*options: str) -> str | None:
    """What ``squeue`` says; ``None`` where it fails, or SLURM does not answer it in time."""
    command = ["squeue", *options]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ANSWER_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None


@dataclass
class _Progress:
    """Writes how far a run is, at most every few seconds."""

    folder: Path
    steps: int = 0
    written: float = float("-inf")
    told: dict[str, Any] = field(default_factory=dict)

    def step(self, done: int, total: int) -> None:
        self.steps += 1
        self.told |= {"step": done, "steps": total}
        if time.monotonic() - self.written > _EVERY_S:
            self.write()

    def write(self, **further: str) -> None:
        self.written = time.monotonic()
        array, task = (os.environ.get(f"SLURM_ARRAY_{name}_ID") for name in ("JOB", "TASK"))
        number = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", "")
        values = {"job": number, "host": socket.gethostname(), **self.told, **further}
        with suppress(UserError):  # the training says itself that the disk is full
            write_json(self.folder / PROGRESS, values)
