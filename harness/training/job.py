"""A job: one run, trained in a process of its own, on this machine or on another.

Both launchers (``local_jobs``, ``slurm_jobs``) have their processes call :func:`train_job`.
"""

from __future__ import annotations

import dataclasses
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import torch

from harness.runs.run import Run, log
from harness.runs.workspace import Workspace
from harness.training.history import Callbacks, Epoch
from harness.training.train_run import TrainingFrames, TrainingSetup, train
from harness.utils import device as devices


@dataclass(frozen=True, kw_only=True)
class DeviceSlot:
    """A device, by name, or a share of one, that trains one run at a time.

    ``threads`` are those of torch's operators; ``trainings`` counts the networks that share the
    machine's cores, this one included.
    """

    device: str
    threads: int
    trainings: int = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run to train in a process of its own, on the device of its slot.

    ``work`` is how long it takes, on any scale that the runs beside it have too.
    """

    workspace: Path
    run: Run
    frames: TrainingFrames
    setup: TrainingSetup
    work: float = 1.0


@dataclass(frozen=True, kw_only=True)
class WorkerCallbacks:
    """What is called, with a run, as runs train side by side."""

    begun: Callable[[Run, str], object]  # the device's name
    step: Callable[[Run, int, int], object]  # steps done, and in all
    epoch: Callable[[Run, Epoch], object]
    warned: Callable[[Run, str], object]  # what the user should know, though the run goes on
    ended: Callable[[Run, str], object]  # what went wrong; empty where nothing did


def train_job(
    job: Job, slot: DeviceSlot, callbacks: Callbacks, warned: Callable[[str], object]
) -> str:
    """Train the run of a job in this process, which writes the run's folder and nothing else.

    ``warned`` is called with what the user should know, though the run goes on.

    Returns:
        str: What went wrong, in words for the user; empty where the run is finished.
    """
    devices.keep_memory()
    torch.set_num_threads(slot.threads)
    cv2.setNumThreads(slot.threads)
    setup = dataclasses.replace(
        job.setup, device=torch.device(slot.device), side_by_side=slot.trainings
    )
    # Before anything else in this process asks for a GPU, and starts one that is not its own.
    devices.make_current(setup.device)

    def warn(message: Warning | str, *_args: object, **_kwargs: object) -> None:
        log(job.run, f"warning: {message}")
        warned(str(message))

    warnings.showwarning = warn
    try:
        train(Workspace(job.workspace), job.run, job.frames, setup, callbacks=callbacks)
    except KeyboardInterrupt:
        fault = "stopped before its first step"  # training had not noted signals yet
    except click.ClickException as error:
        fault = error.message
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fault = f"{where}{error.strerror or error}"
    except Exception as error:
        log(job.run, traceback.format_exc())
        fault = f"{type(error).__name__}: {error}"
    else:
        fault = ""
    if fault:
        log(job.run, fault)
    return fault
