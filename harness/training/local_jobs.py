"""The local launcher: several jobs at a time on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final

import torch

from harness.runs.run import Run
from harness.training.history import Callbacks
from harness.training.job import DeviceSlot, Job, WorkerCallbacks, train_job
from harness.utils import device as devices
from harness.utils.signals import StopRequest, stopping
from harness.utils.sockets import keep_paths_short

_POLL_S: Final = 0.5
# A process that computed with threads or a GPU cannot be forked. On Linux the workers are forked
# from a server that has only imported what they need; each begins at once, and shares that memory.
if sys.platform == "linux":
    _PROCESSES: Final = multiprocessing.get_context("forkserver")
else:
    _PROCESSES = multiprocessing.get_context("spawn")
_IMPORTED: Final = [__name__, "segmentation_models_pytorch", "torch.utils.tensorboard"]


def device_slots(device: torch.device, count: int, at_once: int) -> list[DeviceSlot]:
    """Slots for runs: a GPU for each, and the share of the cores that one of ``at_once`` has.

    One GPU that is named by its number is shared by all ``count``.
    """
    names = [str(device)]
    if names == ["cuda"]:
        names = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    threads = max(1, devices.cores() // at_once)
    return [
        DeviceSlot(device=names[index % len(names)], threads=threads, trainings=count)
        for index in range(count)
    ]


def start_server() -> None:
    """Start the process that workers are forked from, which imports torch while this one goes on.

    It and its children have one thread in the libraries that count them at their start, so that
    none of them spins on a core that another trains on. What asks to stop, and may come to the
    whole process group, are blocked in them until a worker has left the group (see :func:`_work`).
    """
    if sys.platform != "linux":
        return
    keep_paths_short()
    forkserver.set_forkserver_preload(_IMPORTED)
    threads = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    resource_tracker.ensure_running()  # which leaves the signals unblocked where it has to start
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stopping())
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        del os.environ["OMP_NUM_THREADS"]
        if threads is not None:
            os.environ["OMP_NUM_THREADS"] = threads


def train_all(jobs: Iterator[Job], slots: Sequence[DeviceSlot], callbacks: WorkerCallbacks) -> int:
    """Train runs, as many at once as there are slots; one that fails does not stop the others.

    Each job is taken once a slot is free for it.

    Returns:
        int: The signal that ended it early, such as SIGINT, once every run has written what it
        had; else 0.
    """
    start_server()
    free = deque(slots)
    with StopRequest() as stop, _processes() as running:
        forwarded = False
        while True:
            while free and not stop.number and (job := next(jobs, None)):
                running.append(_start(job, free.popleft(), callbacks))
            if not running:
                return stop.number
            if stop.number and not forwarded:
                forwarded = True
                for worker in running:
                    worker.interrupt(stop.number)
            ready = wait([worker.pipe for worker in running], timeout=_POLL_S)
            for worker in [worker for worker in running if worker.pipe in ready]:
                if not worker.listen(callbacks):
                    running.remove(worker)
                    free.append(worker.slot)


@dataclass(kw_only=True)
class _Worker:
    """The parent's end of a process that trains."""

    run: Run
    slot: DeviceSlot
    process: BaseProcess
    pipe: Connection
    fault: str | None = None

    def listen(self, callbacks: WorkerCallbacks) -> bool:
        """Pass on one message; false when the process is at its end."""
        try:
            kind, *values = self.pipe.recv()
        except EOFError:
            self.process.join()
            if self.fault is None:
                code = self.process.exitcode or 0
                ended = f"by signal {-code}" if code < 0 else f"with status {code}"
                self.fault = f"its process ended {ended}; memory may have run out"
            callbacks.ended(self.run, self.fault)
            return False
        if kind == "ended":
            (self.fault,) = values
        else:  # step, epoch or warned
            getattr(callbacks, kind)(self.run, *values)
        return True

    def interrupt(self, number: int) -> None:
        """Pass a signal on."""
        self.fault = "stopped before its first step"  # unless it says more, or anything, about it
        if self.process.is_alive() and self.process.pid is not None:
            os.kill(self.process.pid, number)


@contextmanager
def _processes() -> Iterator[list[_Worker]]:
    """Workers under way; none outlives the block."""
    running: list[_Worker] = []
    try:
        yield running
    finally:
        for worker in running:
            worker.process.kill()
            worker.process.join()


def _start(job: Job, slot: DeviceSlot, callbacks: WorkerCallbacks) -> _Worker:
    ours, theirs = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_work, args=(job, slot, theirs), name=job.run.run)
    process.start()
    theirs.close()
    callbacks.begun(job.run, slot.device)
    return _Worker(run=job.run, slot=slot, process=process, pipe=ours)


def _work(job: Job, slot: DeviceSlot, pipe: Connection) -> None:
    """What a process does: train one run and report to the parent."""
    # What comes to the whole group the parent passes on, once.
    os.setpgrp()
    for number in stopping():
        signal.signal(number, signal.default_int_handler)

    def send(*message: Any) -> None:
        try:
            pipe.send(message)
        except OSError:  # the parent is gone; the run can be resumed
            signal.raise_signal(signal.SIGTERM)

    callbacks = Callbacks(
        step=lambda done, total: send("step", done, total),
        epoch=lambda epoch: send("epoch", epoch),
    )
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping())
        fault = train_job(job, slot, callbacks, lambda message: send("warned", message))
    except KeyboardInterrupt:  # before or after what train_job does
        fault = "stopped before its first step"
    send("ended", fault)
